// Samples as an op of its own, and the backward of samples, also of those of a scan.

#pragma once

#include "backward.cuh"

namespace mmssm {
namespace cuda {

template <class T>
struct SampleKernel {
  struct Args {
    ScanArgs s;  // taps, sizes and x
    View y;      // (n, l, e)
  };
  static constexpr int kThreads = 256;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) {
    return a.s.batch * a.s.tokens * a.s.channels;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const ScanArgs& s = a.s;
    const int64_t at = block.index() * kThreads + block.thread();
    if (at >= s.batch * s.tokens * s.channels) {
      return;
    }
    const int64_t e = at % s.channels, row = at / s.channels;
    const int64_t n = row / s.tokens, l = row % s.tokens;
    const View& x = s.x[0];
    const int64_t base = n * x.stride[0] + e * x.stride[2];
    const MapTap<T>* tap = taps_of<T>(s, n, l, e);
    T sum = 0;
#pragma unroll 2
    for (int64_t m = 0; m < s.taps_per_group; ++m) {
      sum += channel_scale<T>(s, e, m) * between(tap[m], [&](int64_t token) {
        return load<T>(x, base + token * x.stride[1]);
      });
    }
    store<T>(a.y, n * a.y.stride[0] + l * a.y.stride[1] + e * a.y.stride[2], sum);
  }
};

struct SpreadArgs {
  ScanArgs s;
  View du;       // (n, l, e): gradient of the samples
  View dy;       // of the skips of all paths, if s.D is given
  View dx;       // wanted
  void* sums;    // (n, l, e), memory; null: there is shared memory enough
  void* corners;   // (block, n, l, g, m, 4): products with the corners
  void* channels;  // (n, e, m): gradient of weights by channel, or null
};

// From the gradient of the samples to that of x, and to products with the corners. A
// block has kWarp channels of a sample; every warp of it owns some of the tokens that
// are added to, and goes through all taps, so that every sum has one order.
template <class T>
struct SpreadKernel {
  using Args = SpreadArgs;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kBlocks = 1;

  static int64_t blocks(const ScanArgs& s) {
    return (s.channels + kWarp - 1) / kWarp;
  }
  static int64_t shared(const ScanArgs& s) {
    return sizeof(T) * s.tokens * kWarp;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const ScanArgs& s = a.s;
    const int warp = block.thread() / kWarp, lane = block.thread() % kWarp;
    const int64_t all = (s.channels + kWarp - 1) / kWarp;
    const int64_t number = block.index() % all, n = block.index() / all;
    const int64_t e = number * kWarp + lane;
    const bool exists = e < s.channels;
    T* sums = reinterpret_cast<T*>(block.shared()) + lane;
    int64_t row = kWarp;
    if (a.sums) {
      // Lanes without a channel have nothing to add, and no memory.
      sums = static_cast<T*>(a.sums) + n * s.tokens * s.channels + (exists ? e : 0);
      row = s.channels;
    }
    if (exists) {
      for (int64_t l = warp; l < s.tokens; l += kWarps) {
        sums[l * row] = 0;
      }
    }
    const int64_t in_group = s.channels / s.groups;
    const int64_t last_channel = smaller(number * kWarp + kWarp, s.channels) - 1;
    const int64_t M = s.taps_per_group;
    for (int64_t g = number * kWarp / in_group; g <= last_channel / in_group; ++g) {
      const bool is_mine = exists && e / in_group == g;
      for (int64_t l = 0; l < s.tokens; ++l) {
        const T du = is_mine ? load<T>(a.du, at(a.du, n, l, e)) : 0;
        const int64_t first = ((n * s.tokens + l) * s.groups + g) * M;
        for (int64_t m = 0; m < M; ++m) {
          const MapTap<T>& tap = static_cast<const MapTap<T>*>(s.taps)[first + m];
          T drive = du;
          if (s.tap_scale && is_mine) {
            drive *= static_cast<const T*>(s.tap_scale)[e * M + m];
          }
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            const int32_t token = tap.corner[c];
            if (token >= 0 && token % kWarps == warp && is_mine) {
              sums[token * row] += tap.weight[c] * drive;
            }
          }
          if (l % kWarps == warp) {
            corners(block, a, n, number, e, lane, first + m, tap, is_mine, drive);
          }
        }
      }
    }
    if (a.channels && exists) {
      weights(a, n, e, warp);
    }
    block.sync();
    if (exists) {
      for (int64_t l = warp; l < s.tokens; l += kWarps) {
        T sum = sums[l * row];
        for (int64_t k = 0; s.D.data && k < s.paths; ++k) {
          sum += load<T>(s.D, k * s.D.stride[0] + e * s.D.stride[1]) *
                 load<T>(a.dy, at(a.dy, n, l, e));
        }
        store<T>(a.dx, at(a.dx, n, l, e), sum);
      }
    }
  }

 private:
  static MMSSM_DEVICE int64_t at(const View& v, int64_t n, int64_t l, int64_t e) {
    return n * v.stride[0] + l * v.stride[1] + e * v.stride[2];
  }

  static MMSSM_DEVICE T corner_of(const ScanArgs& s, int64_t n, int64_t l, int64_t e) {
    return load<T>(s.x[0], at(s.x[0], n, l, e));
  }

  template <class Block>
  static MMSSM_DEVICE void corners(
      const Block& block, const Args& a, int64_t n, int64_t number, int64_t e, int lane,
      int64_t tap_number, const MapTap<T>& tap, bool is_mine, T drive) {
    const ScanArgs& s = a.s;
    using Warp = Layout<T, 1, 1, kWarp>;
    T product[4];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      product[c] = is_mine && tap.corner[c] >= 0
                       ? drive * corner_of(s, n, tap.corner[c], e)
                       : 0;
    }
    const T sum = fold<Warp>(block, lane, product);
    const int column = folded<Warp, 4>(lane);
    if (column >= 0) {
      const int64_t taps = s.batch * s.tokens * s.groups * s.taps_per_group;
      T* to = static_cast<T*>(a.corners) + (number * taps + tap_number) * 4 + column;
      *to = sum;
    }
  }

  // The gradient of the channel's own weights, for one sample.
  static MMSSM_DEVICE void weights(const Args& a, int64_t n, int64_t e, int warp) {
    const ScanArgs& s = a.s;
    const int64_t g = e / (s.channels / s.groups), M = s.taps_per_group;
    for (int64_t m = warp; m < M; m += kWarps) {
      T sum = 0;
      for (int64_t l = 0; l < s.tokens; ++l) {
        const MapTap<T>& tap = static_cast<const MapTap<T>*>(
            s.taps)[((n * s.tokens + l) * s.groups + g) * M + m];
        sum += load<T>(a.du, at(a.du, n, l, e)) *
               between(tap, [&](int64_t token) { return corner_of(s, n, token, e); });
      }
      static_cast<T*>(a.channels)[(n * s.channels + e) * M + m] = sum;
    }
  }
};

// The gradients of offsets, and of weights by token, from the products with corners.
template <class T>
struct ReduceTapsKernel {
  struct Args {
    DeformSample d;
    const void* corners;
    void *offset, *weight;
  };
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) {
    return a.d.batch * a.d.rows * a.d.columns * a.d.groups * a.d.taps;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const DeformSample& d = a.d;
    const int64_t all = d.batch * d.rows * d.columns * d.groups * d.taps;
    const int64_t tap = block.index() * kThreads + block.thread();
    if (tap >= all) {
      return;
    }
    // Only the blocks that have channels of the group.
    const int64_t in_group = d.channels / d.groups, g = tap / d.taps % d.groups;
    const int64_t last = ((g + 1) * in_group - 1) / kWarp;
    T dot[4] = {0, 0, 0, 0};
    for (int64_t b = g * in_group / kWarp; b <= last; ++b) {
      const T* from = static_cast<const T*>(a.corners) + (b * all + tap) * 4;
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        dot[c] += from[c];
      }
    }
    const TapGradient<T> sum(tap_of<T>(d, tap), dot, tap_scale<T>(d, tap));
    T* offset = static_cast<T*>(a.offset);
    offset[2 * tap] = sum.y;
    offset[2 * tap + 1] = sum.x;
    if (d.per_token) {
      static_cast<T*>(a.weight)[tap] = sum.weight;
    }
  }
};

template <class T>
struct ReduceChannelsKernel {
  struct Args {
    int64_t batch, count;
    const void* from;  // (n, e, m)
    void* to;          // (e, m)
  };
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) { return a.count; }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const int64_t at = block.index() * kThreads + block.thread();
    if (at >= a.count) {
      return;
    }
    T sum = 0;
    for (int64_t n = 0; n < a.batch; ++n) {
      sum += static_cast<const T*>(a.from)[n * a.count + at];
    }
    static_cast<T*>(a.to)[at] = sum;
  }
};

}  // namespace cuda
}  // namespace mmssm
