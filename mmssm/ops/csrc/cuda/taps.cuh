// Bilinear samples of a map: where they read, found once for all channels, and how a
// tile of them is loaded.

#pragma once

#define MMSSM_ISA cuda
#include "../common/tap.h"
#include "tiles.cuh"

namespace mmssm {
namespace cuda {

// One tap of one token. Tokens are those of the corners, -1 where nothing is read.
template <class T>
struct alignas(16) MapTap {
  T weight[4];        // of the corners, times that of the tap if it is by token
  int32_t read[4];    // only where there is a weight: the rest may be NaN
  int32_t corner[4];  // wherever there is a map
};

struct TapArgs {
  DeformSample d;
  void* taps;
};

template <class T>
MMSSM_DEVICE T tap_scale(const DeformSample& d, int64_t tap) {
  return d.per_token ? static_cast<const T*>(d.weight)[tap] : 1;
}

template <class T>
MMSSM_DEVICE Tap<T> tap_of(const DeformSample& d, int64_t tap) {
  const int64_t m = tap % d.taps, row = tap / d.taps / d.groups;
  return Tap<T>(
      d, place_of(d, row % (d.rows * d.columns)),
      static_cast<const T*>(d.anchors) + 2 * m,
      static_cast<const T*>(d.offset) + 2 * tap);
}

template <class T>
struct FindTapsKernel {
  using Args = TapArgs;
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) {
    return a.d.batch * a.d.rows * a.d.columns * a.d.groups * a.d.taps;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const int64_t tap = block.index() * kThreads + block.thread();
    if (tap >= a.d.batch * a.d.rows * a.d.columns * a.d.groups * a.d.taps) {
      return;
    }
    const Tap<T> place = tap_of<T>(a.d, tap);
    const T scale = tap_scale<T>(a.d, tap);
    MapTap<T> found;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const bool is_read = place.weight[c] != 0;
      found.corner[c] = int32_t(place.token[c]);
      found.read[c] = is_read ? int32_t(place.token[c]) : -1;
      found.weight[c] = is_read ? place.weight[c] * scale : 0;
    }
    // The weight of the tap may be NaN wherever it is.
    if (place.kind != Tap<T>::kInside) {
      found.weight[0] = place.kind == Tap<T>::kNan ? T(NAN) : scale * 0;
    }
    static_cast<MapTap<T>*>(a.taps)[tap] = found;
  }
};

// The weighted sum of what a tap reads in one channel; `corner(token)` is its value.
template <class T, class Corner>
MMSSM_DEVICE T between(const MapTap<T>& tap, const Corner& corner) {
  T sum = 0;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const T value = tap.read[c] >= 0 ? corner(tap.read[c]) : T(0);
    sum += tap.weight[c] * value;
  }
  return sum;
}

// The taps of token l, of the channels of e's group.
template <class T>
MMSSM_DEVICE const MapTap<T>* taps_of(
    const ScanArgs& s, int64_t n, int64_t l, int e) {
  const int group = s.groups == 1 ? 0 : e / int(s.channels / s.groups);
  return static_cast<const MapTap<T>*>(s.taps) +
         ((n * s.tokens + l) * s.groups + group) * s.taps_per_group;
}

// What multiplies tap m in channel e, if its weight is by channel.
template <class T>
MMSSM_DEVICE T channel_scale(const ScanArgs& s, int64_t e, int64_t m) {
  const T* scale = static_cast<const T*>(s.tap_scale);
  return scale ? scale[e * s.taps_per_group + m] : T(1);
}

// Samples of a tile into shared memory, in the places of the x of their tokens; kMost
// samples of a thread at a time, so as not to wait for each by itself.
template <class AnyTile, int kMost, class T>
MMSSM_DEVICE void load_samples(
    int thread, const ScanArgs& s, const Steps& steps, const int32_t* table,
    const Columns& from, int first_channel, T* shared, int pitch) {
  constexpr int kSome = AnyTile::kEach < kMost ? AnyTile::kEach : kMost;
  AnyTile::each_kind(from, [&](auto name, auto by_column) {
    const typename AnyTile::template Places<decltype(by_column)::value> p(thread);
#pragma unroll 1
    for (int done = 0; done < AnyTile::kEach; done += kSome) {
      T sum[kSome] = {};
#pragma unroll 1
      for (int64_t m = 0; m < s.taps_per_group; ++m) {
#pragma unroll
        for (int i = 0; i < kSome; ++i) {
          const int step = p.step_at(done + i), column = p.column_at(done + i);
          if (p.exists(done + i) && step < steps.count && column < from.count) {
            const int e = first_channel + column;
            const int64_t base = from.base + column * from.column_stride;
            const T value = between(
                taps_of<T>(s, steps.n, table[step], e)[m], [&](int64_t l) {
                  return load_as<T>(name, from.data, base + l * from.token_stride);
                });
            sum[i] += channel_scale<T>(s, e, m) * value;
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kSome; ++i) {
        if (p.exists(done + i)) {
          shared[p.step_at(done + i) * pitch + p.column_at(done + i)] = sum[i];
        }
      }
    }
  });
}

}  // namespace cuda
}  // namespace mmssm
