// Bilinear sampling of a map at predicted places, forward and backward, for one
// instruction set (see vec.h on MMSSM_ISA).
//
// The innermost loops run over channels, which lie side by side. A forward task is a
// stretch of tokens. A backward task owns a block of channels of one sample, and so
// all that it scatters into.

#pragma once

#include <cstdint>
#include <cstring>

#include "../common/deform_sample.h"
#include "../common/tap.h"

namespace mmssm {
namespace MMSSM_ISA {

constexpr int64_t kSampleTokens = 64;    // of a forward task
constexpr int64_t kSampleChannels = 64;  // of a backward task, at most
constexpr int64_t kSampleLanes = 16;     // partial sums over channels

template <class T>
struct DeformSampling {
  static const T* anchor_of(const DeformSample& s, int64_t m) {
    return static_cast<const T*>(s.anchors) + 2 * m;
  }

  // Index of (n, l, g, m).
  static int64_t tap_index(
      const DeformSample& s, int64_t n, int64_t l, int64_t g, int64_t m) {
    return ((n * s.rows * s.columns + l) * s.groups + g) * s.taps + m;
  }

  static int64_t tokens(const DeformSample& s) { return s.rows * s.columns; }

  static int64_t stretches(const DeformSample& s) {
    return (tokens(s) + kSampleTokens - 1) / kSampleTokens;
  }

  static int64_t forward_tasks(const DeformSample& s) { return s.batch * stretches(s); }

  static int64_t blocks(const DeformSample& s) {
    return (s.channels / s.groups + kSampleChannels - 1) / kSampleChannels;
  }

  // out[e] += scale[e] * value, or with one scale for all channels.
  static void accumulate(
      T* __restrict out, const T* const (&corner)[4], const T (&weight)[4],
      const T* __restrict scale, int64_t scale_stride, int64_t width) {
    const T *a = corner[0], *b = corner[1], *c = corner[2], *d = corner[3];
    const T wa = weight[0], wb = weight[1], wc = weight[2], wd = weight[3];
    if (scale_stride == 0) {
      const T one = *scale;
      for (int64_t e = 0; e < width; ++e) {
        out[e] += one * (wa * a[e] + wb * b[e] + wc * c[e] + wd * d[e]);
      }
      return;
    }
    for (int64_t e = 0; e < width; ++e) {
      out[e] += scale[e] * (wa * a[e] + wb * b[e] + wc * c[e] + wd * d[e]);
    }
  }

  static void forward(const DeformSample& s, void* y, int64_t begin, int64_t end) {
    const int64_t width = s.channels / s.groups;
    Memory memory((s.taps + 1) * s.channels + width);
    T* by_tap = memory.data;  // (m, e)
    T* const out = by_tap + s.taps * s.channels;
    T* const zeros = out + s.channels;
    std::memset(zeros, 0, width * sizeof(T));
    if (!s.per_token) {
      const T* weight = static_cast<const T*>(s.weight);
      for (int64_t e = 0; e < s.channels; ++e) {
        for (int64_t m = 0; m < s.taps; ++m) {
          by_tap[m * s.channels + e] = weight[e * s.taps + m];
        }
      }
    }
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / stretches(s);
      const int64_t first = task % stretches(s) * kSampleTokens;
      const int64_t last =
          first + kSampleTokens < tokens(s) ? first + kSampleTokens : tokens(s);
      for (int64_t l = first; l < last; ++l) {
        std::memset(out, 0, s.channels * sizeof(T));
        for (int64_t g = 0; g < s.groups; ++g) {
          sample(s, n, l, g, by_tap, zeros, out + g * width);
        }
        std::memcpy(
            static_cast<T*>(y) + (n * tokens(s) + l) * s.channels, out,
            s.channels * sizeof(T));
      }
    }
  }

  // Adds the samples of one token for the channels of one group.
  static void sample(
      const DeformSample& s, int64_t n, int64_t l, int64_t g, const T* by_tap,
      const T* zeros, T* out) {
    const int64_t width = s.channels / s.groups;
    const T* x = static_cast<const T*>(s.x) + n * s.x_batch + g * width;
    const MapPlace at = place_of(s, l);
    for (int64_t m = 0; m < s.taps; ++m) {
      const int64_t tap = tap_index(s, n, l, g, m);
      const Tap<T> place(
          s, at, anchor_of(s, m), static_cast<const T*>(s.offset) + 2 * tap);
      if (place.kind == Tap<T>::kNan) {
        for (int64_t e = 0; e < width; ++e) {
          out[e] = T(__builtin_nan(""));
        }
        continue;
      }
      const T* corner[4];
      for (int64_t c = 0; c < 4; ++c) {
        // What has no weight is not read: it may be NaN. Outside of the map nothing
        // is, but the tap's own weight may be NaN too.
        const bool is_read = place.token[c] >= 0 && place.weight[c] != 0;
        corner[c] = is_read ? x + place.token[c] * s.x_token : zeros;
      }
      const T* scale = s.per_token ? static_cast<const T*>(s.weight) + tap
                                   : by_tap + m * s.channels + g * width;
      accumulate(out, corner, place.weight, scale, s.per_token ? 0 : 1, width);
    }
  }

  static T sum_of_lanes(T* lanes) {
    for (int64_t half = kSampleLanes / 2; half > 0; half /= 2) {
      for (int64_t i = 0; i < half; ++i) {
        lanes[i] += lanes[i + half];
      }
    }
    return lanes[0];
  }

  // The products of one tap with the gradient: for each corner, the sum over
  // channels of drive[e] * corner[e].
  static void dot(
      const T* const (&corner)[4], const T* __restrict drive, int64_t width,
      T (&sums)[4]) {
    T lanes[4][kSampleLanes] = {};
    const int64_t whole = width / kSampleLanes * kSampleLanes;
    for (int64_t first = 0; first < whole; first += kSampleLanes) {
      for (int64_t c = 0; c < 4; ++c) {
        for (int64_t i = 0; i < kSampleLanes; ++i) {
          lanes[c][i] += drive[first + i] * corner[c][first + i];
        }
      }
    }
    for (int64_t c = 0; c < 4; ++c) {
      for (int64_t e = whole; e < width; ++e) {
        lanes[c][e - whole] += drive[e] * corner[c][e];
      }
      sums[c] = sum_of_lanes(lanes[c]);
    }
  }

  static void backward(
      const DeformSample& s, const DeformSampleGrad& grad, int64_t begin,
      int64_t end) {
    Memory memory((4 * s.taps + 4) * kSampleChannels);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % blocks(s);
      const int64_t g = task / blocks(s) % s.groups;
      const int64_t n = task / blocks(s) / s.groups;
      Block(s, grad, n, g, block, memory.data).run();
    }
  }

  // One task of the backward.
  struct Block {
    const DeformSample& s;
    const DeformSampleGrad& grad;
    const int64_t n, g, block;
    int64_t first, width;  // of the channels
    const T* x;            // their values in this sample
    T* dx;
    T* weight;     // (m, kSampleChannels)
    T* recent;     // the same, gradient of the weight over the last tokens
    T* total;      // the same, over all tokens
    T* drive;      // gradient times weight
    T* zeros;
    T* waste;

    Block(
        const DeformSample& s, const DeformSampleGrad& grad, int64_t n, int64_t g,
        int64_t block, T* memory)
        : s(s), grad(grad), n(n), g(g), block(block) {
      const int64_t in_group = s.channels / s.groups;
      first = g * in_group + block * kSampleChannels;
      const int64_t left = in_group - block * kSampleChannels;
      width = left < kSampleChannels ? left : kSampleChannels;
      x = static_cast<const T*>(s.x) + n * s.x_batch + first;
      dx = static_cast<T*>(grad.x) + n * tokens(s) * s.channels + first;
      const int64_t of_taps = s.taps * kSampleChannels;
      weight = memory;
      recent = weight + of_taps;
      total = recent + of_taps;
      drive = total + of_taps;
      zeros = drive + kSampleChannels;
      waste = zeros + kSampleChannels;
      std::memset(recent, 0, 2 * of_taps * sizeof(T));
      std::memset(zeros, 0, 2 * kSampleChannels * sizeof(T));
    }

    void run() {
      for (int64_t l = 0; l < tokens(s); ++l) {
        std::memset(dx + l * s.channels, 0, width * sizeof(T));
      }
      if (!s.per_token) {
        load_weight();
      }
      for (int64_t l = 0; l < tokens(s); ++l) {
        const MapPlace at = place_of(s, l);
        for (int64_t m = 0; m < s.taps; ++m) {
          run_tap(l, m, at);
        }
        // Long sums in two stages lose fewer digits.
        if (!s.per_token && (l % kSampleTokens == kSampleTokens - 1)) {
          flush();
        }
      }
      if (!s.per_token) {
        flush();
        store_channel_sums();
      }
    }

    void load_weight() {
      const T* from = static_cast<const T*>(s.weight) + first * s.taps;
      for (int64_t e = 0; e < width; ++e) {
        for (int64_t m = 0; m < s.taps; ++m) {
          weight[m * kSampleChannels + e] = from[e * s.taps + m];
        }
      }
    }

    void flush() {
      for (int64_t i = 0; i < s.taps * kSampleChannels; ++i) {
        total[i] += recent[i];
        recent[i] = 0;
      }
    }

    void store_channel_sums() {
      T* to = static_cast<T*>(grad.channel_sums) + (n * s.channels + first) * s.taps;
      for (int64_t e = 0; e < width; ++e) {
        for (int64_t m = 0; m < s.taps; ++m) {
          to[e * s.taps + m] = total[m * kSampleChannels + e];
        }
      }
    }

    void store_places(int64_t l, int64_t m, const TapGradient<T>& sum) {
      const int64_t taps = s.batch * tokens(s) * s.groups * s.taps;
      T* to = static_cast<T*>(grad.place_sums) +
              3 * (block * taps + tap_index(s, n, l, g, m));
      to[0] = sum.y;
      to[1] = sum.x;
      to[2] = sum.weight;
    }

    void run_tap(int64_t l, int64_t m, MapPlace at) {
      const int64_t tap = tap_index(s, n, l, g, m);
      const Tap<T> place(
          s, at, anchor_of(s, m), static_cast<const T*>(s.offset) + 2 * tap);
      if (place.kind == Tap<T>::kNan) {
        for (int64_t e = 0; e < width; ++e) {
          recent[m * kSampleChannels + e] = T(__builtin_nan(""));
        }
      }
      if (place.kind != Tap<T>::kInside) {
        store_places(l, m, TapGradient<T>(place, {}, 1));
        return;
      }
      const T* corner[4];
      T* target[4];
      for (int64_t c = 0; c < 4; ++c) {
        const int64_t token = place.token[c];
        corner[c] = token < 0 ? zeros : x + token * s.x_token;
        target[c] = token < 0 ? waste : dx + token * s.channels;
      }
      const T* g_y = static_cast<const T*>(grad.y) +
                     (n * tokens(s) + l) * s.channels + first;
      T scale = 1;  // of the places' gradient, beside what `drive` holds
      if (s.per_token) {
        scale = static_cast<const T*>(s.weight)[tap];
        std::memcpy(drive, g_y, width * sizeof(T));
      } else {
        const T* __restrict w = weight + m * kSampleChannels;
        T* __restrict dw = recent + m * kSampleChannels;
        for (int64_t e = 0; e < width; ++e) {
          drive[e] = g_y[e] * w[e];
        }
        accumulate(dw, corner, place.weight, g_y, 1, width);
      }
      T dots[4];
      dot(corner, drive, width, dots);
      store_places(l, m, TapGradient<T>(place, dots, scale));
      for (int64_t c = 0; c < 4; ++c) {
        const T w = scale * place.weight[c];
        T* __restrict to = target[c];
        for (int64_t e = 0; e < width; ++e) {
          to[e] += w * drive[e];
        }
      }
    }
  };

  static void reduce_places(
      const DeformSample& s, const DeformSampleGrad& grad, int64_t begin,
      int64_t end) {
    const int64_t in_sample = tokens(s) * s.groups * s.taps;
    const T* sums = static_cast<const T*>(grad.place_sums);
    T* offset = static_cast<T*>(grad.offset);
    T* weight = static_cast<T*>(grad.weight);
    for (int64_t tap = begin * in_sample; tap < end * in_sample; ++tap) {
      T sum[3] = {};
      for (int64_t block = 0; block < blocks(s); ++block) {
        const T* part = sums + 3 * (block * s.batch * in_sample + tap);
        for (int64_t i = 0; i < 3; ++i) {
          sum[i] += part[i];
        }
      }
      offset[2 * tap] = sum[0];
      offset[2 * tap + 1] = sum[1];
      if (s.per_token) {
        weight[tap] = sum[2];
      }
    }
  }

  static void reduce_channels(
      const DeformSample& s, const DeformSampleGrad& grad, int64_t begin,
      int64_t end) {
    const T* sums = static_cast<const T*>(grad.channel_sums);
    T* weight = static_cast<T*>(grad.weight);
    for (int64_t i = begin * s.taps; i < end * s.taps; ++i) {
      T sum = 0;
      for (int64_t n = 0; n < s.batch; ++n) {
        sum += sums[n * s.channels * s.taps + i];
      }
      weight[i] = sum;
    }
  }

  // A thread's memory.
  struct Memory {
    T* data;
    explicit Memory(int64_t count) : data(new T[count]) {}
    ~Memory() { delete[] data; }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
  };
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
