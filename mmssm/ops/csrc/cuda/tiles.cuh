// The scan as kernels see it, and tiles of it on their way between global memory,
// registers and shared memory.

#pragma once

#include "values.cuh"

namespace mmssm {
namespace cuda {

constexpr int kMaxPaths = 16;  // that are summed into one output

// A `Scan` that can be passed to a kernel: without pointers into the host's memory.
struct ScanArgs {
  int64_t batch, tokens, channels, states, rank, segment, segments;
  int64_t paths;
  int64_t sources;
  bool softplus;
  const int64_t* index;
  int64_t row[kMaxPaths];
  bool reverse[kMaxPaths];
  int source[kMaxPaths];
  View x[kMaxPaths];  // by source
  View dt, A, B, C, D, dt_bias, dt_weight, initial_state, last_state;
  void* checkpoints;

  // Samples that the states read instead of x, (n, l, g, m), by token.
  const void* taps;
  const void* tap_scale;  // (e, m), if the weight is of channels
  int64_t groups, taps_per_group;

  // How the work is cut (see plan.h).
  int64_t spans, span_steps;     // of each segment; steps are whole checkpoints
  int64_t parts;                 // of the runs; each is one block's
  int64_t blocks, sets;          // of channels and of states
  void* carry;                   // (run, k, d, e), of `sets` whole sets of states
  void* decay;                   // (run, k, e), sums of delta
};

// A run is a stretch of steps that one block does one after the other: one span of one
// segment of one sample.
struct Run {
  int64_t n, segment, span, number, start, count;
};

MMSSM_DEVICE int64_t runs_of(const ScanArgs& s) {
  return s.batch * s.segments * s.spans;
}

MMSSM_DEVICE Run run_of(const ScanArgs& s, int64_t number) {
  Run run;
  run.number = number;
  run.span = number % s.spans;
  run.segment = number / s.spans % s.segments;
  run.n = number / s.spans / s.segments;
  const int64_t last = smaller((run.segment + 1) * s.segment, s.tokens);
  run.start = run.segment * s.segment + run.span * s.span_steps;
  const int64_t end = smaller(run.start + s.span_steps, last);
  run.count = end > run.start ? end - run.start : 0;
  return run;
}

// The token that step `step` of path k visits.
MMSSM_DEVICE int64_t token_of(const ScanArgs& s, int64_t k, int64_t step) {
  if (!s.index) {
    return step;
  }
  return s.index[s.row[k] * s.tokens + (s.reverse[k] ? s.tokens - 1 - step : step)];
}

MMSSM_DEVICE int64_t state_at(
    const View& v, int64_t n, int64_t k, int64_t segment, int64_t e, int64_t d) {
  return n * v.stride[0] + k * v.stride[1] + segment * v.stride[2] + e * v.stride[3] +
         d * v.stride[4];
}

// Where the state before step `slot + 1` times kCheckpointSteps of a segment is kept.
MMSSM_DEVICE int64_t checkpoint_at(
    const ScanArgs& s, const Run& run, int64_t k, int64_t slot, int64_t d, int64_t e) {
  int64_t at = (run.n * s.paths + k) * s.segments + run.segment;
  at = at * (s.segment / kCheckpointSteps) + slot;
  return (at * s.states + d) * s.channels + e;
}

// A rectangle of a view: steps of a path by columns that have a stride.
struct Rectangle {
  const void* data;
  Dtype dtype;
  int64_t base, token_stride, column_stride;
  int columns;  // that are there
};

MMSSM_DEVICE Rectangle rectangle(
    const View& v, int64_t base, int token, int column, int64_t first, int64_t all,
    int most) {
  const int64_t left = all - first;
  return {
      v.data,
      v.dtype,
      base + first * v.stride[column],
      v.stride[token],
      v.stride[column],
      int(left < most ? (left < 0 ? 0 : left) : most)};
}

// kSteps by kColumns values, of which each thread of the block moves some.
// Neighbouring threads take neighbours in memory: columns, or steps where the columns
// are apart.
template <class T, int kSteps, int kColumns, int kThreads>
struct Tile {
  static constexpr int kAll = kSteps * kColumns;
  static constexpr int kEach = (kAll + kThreads - 1) / kThreads;

  // Where the values of a thread are: every `step_by` steps and `column_by` columns.
  struct Places {
    int step, column, step_by, column_by;

    MMSSM_DEVICE int step_at(int i) const { return step + i * step_by; }
    MMSSM_DEVICE int column_at(int i) const { return column + i * column_by; }
    MMSSM_DEVICE bool exists(int i) const {
      return kAll >= kThreads || (step_at(i) < kSteps && column_at(i) < kColumns);
    }
  };

  static_assert(kThreads % kColumns == 0 && kThreads % kSteps == 0, "even shares");
  static_assert(kAll % kThreads == 0 || kAll < kThreads, "even shares");

  static MMSSM_DEVICE Places places(int thread, bool by_column) {
    if (by_column) {
      return {thread / kColumns, thread % kColumns, kThreads / kColumns, 0};
    }
    return {thread % kSteps, thread / kSteps, 0, kThreads / kSteps};
  }

  // Steps [first, first + count) of path k; what is not there is zero. Few loads at a
  // time: more of them cost the registers that the states need.
  static MMSSM_DEVICE void load(
      int thread, const ScanArgs& s, int64_t k, int64_t first, int count,
      const Rectangle& from, T* shared, int pitch) {
    const Places p = places(thread, from.column_stride == 1);
    with_dtype<T>(from.dtype, [&](auto name) {
#pragma unroll 4
      for (int i = 0; i < kEach; ++i) {
        const int step = p.step_at(i), column = p.column_at(i);
        T value = 0;
        if (p.exists(i) && step < count && column < from.columns) {
          value = load_as<T>(
              name, from.data,
              from.base + token_of(s, k, first + step) * from.token_stride +
                  column * from.column_stride);
        }
        if (p.exists(i)) {
          shared[step * pitch + column] = value;
        }
      }
    });
  }

  static MMSSM_DEVICE void store(
      int thread, const ScanArgs& s, int64_t k, int64_t first, int count,
      const Rectangle& to, const T* shared, int pitch) {
    const Places p = places(thread, to.column_stride == 1);
    with_dtype<T>(to.dtype, [&](auto name) {
#pragma unroll 4
      for (int i = 0; i < kEach; ++i) {
        const int step = p.step_at(i), column = p.column_at(i);
        if (p.exists(i) && step < count && column < to.columns) {
          store_as(
              name, const_cast<void*>(to.data),
              to.base + token_of(s, k, first + step) * to.token_stride +
                  column * to.column_stride,
              shared[step * pitch + column]);
        }
      }
    });
  }
};

// The part of the work that a block does.
struct BlockPlace {
  int64_t block, set, k, part;
};

MMSSM_DEVICE BlockPlace block_place(const ScanArgs& s, int64_t index) {
  BlockPlace p;
  p.block = index % s.blocks;
  index /= s.blocks;
  p.set = index % s.sets;
  index /= s.sets;
  p.k = index % s.paths;
  p.part = index / s.paths;
  return p;
}

// How a kernel is laid out: kLanes neighbouring threads share a row and have kStates
// states of it each, a block has kRows rows.
template <class T, int kStates_, int kLanes_, int kRows_>
struct Layout {
  using Value = T;
  static constexpr int kStates = kStates_, kLanes = kLanes_, kRows = kRows_;
  static constexpr int kSet = kStates * kLanes;
  static constexpr int kThreads = kRows * kLanes;
  static constexpr int kPitch = kRows + 1;
  // Blocks that a multiprocessor is to hold at least: 384 threads, of 168 registers.
  static constexpr int kBlocks = sizeof(T) == 8 ? 1 : 384 / kThreads;
};

}  // namespace cuda
}  // namespace mmssm
