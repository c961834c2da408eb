// Sums of what blocks, paths and sets of states have each for themselves, always in
// the same order.

#pragma once

#include "backward.cuh"

namespace mmssm {
namespace cuda {

// Paths of one output, added up token by token: y of all, dx of those of a source.
template <class T>
struct SumPathsKernel {
  struct Args {
    const void* from;  // (n, k, set, l, e)
    int64_t batch, paths, sets, tokens, channels;
    int count;
    int path[kMaxPaths];
    View to;  // (n, l, e)
  };
  static constexpr int kThreads = 256;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) { return a.batch * a.tokens * a.channels; }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const int64_t at = block.index() * kThreads + block.thread();
    const int64_t sample = a.tokens * a.channels;
    if (at >= a.batch * sample) {
      return;
    }
    const int64_t n = at / sample, within = at % sample;
    const int64_t l = within / a.channels, e = within % a.channels;
    T sum = 0;
    for (int i = 0; i < a.count; ++i) {
      const T* from = static_cast<const T*>(a.from) +
                      (n * a.paths + a.path[i]) * a.sets * sample + within;
      for (int64_t set = 0; set < a.sets; ++set) {
        sum += from[set * sample];
      }
    }
    store<T>(a.to, n * a.to.stride[0] + l * a.to.stride[1] + e * a.to.stride[2], sum);
  }
};

// dB, dC and dt's gradient from the sums of blocks of channels.
template <class T>
struct ReduceTokensKernel {
  struct Args {
    BackwardArgs a;
    View B, C, dt;  // (n, k, l, column)
  };
  static constexpr int kThreads = 256;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static MMSSM_DEVICE int64_t columns(const ScanArgs& s) {
    return 2 * s.states + s.rank;
  }

  static int64_t threads(const Args& a) {
    const ScanArgs& s = a.a.s;
    return s.batch * s.paths * s.tokens * (2 * s.states + s.rank);
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& args) {
    const BackwardArgs& a = args.a;
    const ScanArgs& s = a.s;
    const int64_t at = block.index() * kThreads + block.thread();
    const int64_t rows = s.batch * s.paths * s.tokens;
    if (at >= rows * columns(s)) {
      return;
    }
    const int64_t row = at / columns(s);
    int64_t column = at % columns(s);
    const View* to = &args.B;
    int64_t from = column, sets = 1;
    if (column >= 2 * s.states) {
      column -= 2 * s.states;
      to = &args.dt;
      from = 2 * a.set_states + column;
      sets = s.sets;
    } else if (column >= s.states) {
      column -= s.states;
      to = &args.C;
      from = a.set_states + column;
    }
    T sum = 0;
    for (int64_t b = 0; b < s.blocks; ++b) {
      const T* sums = static_cast<const T*>(a.tokens) +
                      (b * rows + row) * token_columns(a) + from;
      for (int64_t set = 0; set < sets; ++set) {
        sum += sums[set * s.rank];
      }
    }
    const int64_t l = row % s.tokens, k = row / s.tokens % s.paths;
    const int64_t n = row / s.tokens / s.paths;
    store<T>(
        *to, n * to->stride[0] + k * to->stride[1] + l * to->stride[2] +
                 column * to->stride[3],
        sum);
  }
};

// The gradients of A, D, dt_bias and dt_weight from the sums of the parts.
template <class T>
struct ReduceWeightsKernel {
  struct Args {
    BackwardArgs a;
    View A, D, dt_bias, dt_weight;
  };
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) {
    const ScanArgs& s = a.a.s;
    return s.paths * (s.states + 2 + s.rank) * s.channels;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& args) {
    const BackwardArgs& a = args.a;
    const ScanArgs& s = a.s;
    int64_t at = block.index() * kThreads + block.thread();
    const int64_t e = at % s.channels;
    at /= s.channels;
    int64_t column = at % (s.states + 2 + s.rank);
    const int64_t k = at / (s.states + 2 + s.rank);
    if (k >= s.paths) {
      return;
    }
    const View* to = &args.A;
    int64_t from = column, sets = 1, stride = 0;
    if (column >= s.states) {
      column -= s.states;
      from = a.set_states + column;
      // Every set has the whole gradient of D, and its share of the others.
      sets = column == 0 ? 1 : s.sets;
      to = column == 0 ? &args.D : column == 1 ? &args.dt_bias : &args.dt_weight;
      stride = column < 2 ? 0 : to->stride[2];
      column = column < 2 ? 0 : column - 2;
    } else {
      stride = to->stride[2];
    }
    if (!to->data) {
      return;
    }
    T sum = 0;
    for (int64_t part = 0; part < s.parts; ++part) {
      const T* sums = static_cast<const T*>(a.weights) +
                      ((part * s.paths + k) * weight_columns(a) + from) *
                          s.channels +
                      e;
      for (int64_t set = 0; set < sets; ++set) {
        sum += sums[set * (2 + s.rank) * s.channels];
      }
    }
    store<T>(*to, k * to->stride[0] + e * to->stride[1] + column * stride, sum);
  }
};

}  // namespace cuda
}  // namespace mmssm
