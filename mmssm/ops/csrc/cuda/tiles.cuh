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
  View x[kMaxPaths];  // by source; without `merge` the first alone
  int64_t apart;      // elements from one of the others to the next
  View dt, A, B, C, D, dt_bias, dt_weight, initial_state, last_state;
  void* checkpoints;

  // Samples that the states read instead of x, (n, l, g, m), by token.
  const void* taps;
  const void* tap_scale;  // (e, m), if the weight is of channels
  int64_t groups, taps_per_group;

  bool merge;  // whether the paths are summed: only then may they have an index

  // How the work is cut (see plan.h).
  int64_t spans, span_steps;     // of each segment; steps are whole checkpoints
  int64_t parts;                 // of the runs; each is one block's
  int64_t blocks, sets;          // of channels and of states
  int64_t path_blocks;           // of paths: each path's, or 1
  void* carry;                   // (run, k, d, e), of `sets` whole sets of states
  void* decay;                   // (run, k, e), sums of delta
};

// A run is a stretch of steps that one block does one after the other: one span of one
// segment of one sample.
struct Run {
  int n, segment, span, number, start, count;
};

MMSSM_DEVICE int runs_of(const ScanArgs& s) {
  return int(s.batch * s.segments * s.spans);
}

MMSSM_DEVICE Run run_of(const ScanArgs& s, int number) {
  Run run;
  run.number = number;
  run.span = number % int(s.spans);
  number /= int(s.spans);
  run.segment = number % int(s.segments);
  run.n = number / int(s.segments);
  const int64_t first = run.segment * s.segment;
  const int64_t start = first + run.span * s.span_steps;
  const int64_t end = smaller(
      start + s.span_steps, smaller(first + s.segment, s.tokens));
  run.start = int(start);
  run.count = end > start ? int(end - start) : 0;
  return run;
}

// The token that step `step` of path k visits.
MMSSM_DEVICE int token_of(const ScanArgs& s, int k, int step) {
  if (!s.index) {
    return step;
  }
  return int(
      s.index[s.row[k] * s.tokens + (s.reverse[k] ? s.tokens - 1 - step : step)]);
}

MMSSM_DEVICE int64_t state_at(
    const View& v, int n, int k, int segment, int e, int d) {
  return n * v.stride[0] + k * v.stride[1] + segment * v.stride[2] + e * v.stride[3] +
         d * v.stride[4];
}

// Where the state before step `slot + 1` times kCheckpointSteps of a segment is kept.
MMSSM_DEVICE int64_t checkpoint_at(
    const ScanArgs& s, const Run& run, int k, int slot, int d, int e) {
  int64_t at = (run.n * s.paths + k) * s.segments + run.segment;
  at = at * (s.segment / kCheckpointSteps) + slot;
  return (at * s.states + d) * s.channels + e;
}

// The states of a row that a thread has, of which `left` are there, from memory,
template <class T, class Name, int kStates>
MMSSM_DEVICE void load_states(
    Name name, const void* data, int64_t at, int64_t stride, int left,
    T (&h)[kStates]) {
  const int64_t apart = afresh(stride);
  const auto* from = static_cast<const typename Name::Stored*>(data) + at;
#pragma unroll
  for (int i = 0; i < kStates; ++i) {
    h[i] = 0;
    if (i < left) {
      h[i] = T(widen(name, *from));
    }
    from += apart;
  }
}

// and to memory.
template <class T, class Name, int kStates>
MMSSM_DEVICE void store_states(
    Name name, void* data, int64_t at, int64_t stride, int left,
    const T (&h)[kStates]) {
  const int64_t apart = afresh(stride);
  auto* to = static_cast<typename Name::Stored*>(data) + at;
#pragma unroll
  for (int i = 0; i < kStates; ++i) {
    if (i < left) {
      *to = narrow(name, h[i]);
    }
    to += apart;
  }
}

// The same of a view (n, k, segment, e, d).
template <class T, int kStates>
MMSSM_DEVICE void load_states(
    const View& v, int64_t at, int left, T (&h)[kStates]) {
  with_dtype<T>(v.dtype, [&](auto name) {
    load_states(name, v.data, at, v.stride[4], left, h);
  });
}

template <class T, int kStates>
MMSSM_DEVICE void store_states(
    const View& v, int64_t at, int left, const T (&h)[kStates]) {
  with_dtype<T>(v.dtype, [&](auto name) {
    store_states(name, v.data, at, v.stride[4], left, h);
  });
}

// Neighbouring steps of one sample. None: their number is 0.
struct Steps {
  int n = 0, first = 0, count = 0;
};

// The tiles of the runs of a part, one after the other.
template <int kSteps>
class Tiles {
 public:
  explicit MMSSM_DEVICE Tiles(int part) : next_(part) {}

  // The next one, or none.
  MMSSM_DEVICE Steps take(const ScanArgs& s) {
    while (done_ >= run_.count) {
      if (next_ >= runs_of(s)) {
        return {};
      }
      run_ = run_of(s, next_);
      next_ += int(s.parts);
      done_ = 0;
    }
    Steps steps;
    steps.n = run_.n;
    steps.first = run_.start + done_;
    steps.count = run_.count - done_ < kSteps ? run_.count - done_ : kSteps;
    done_ += kSteps;
    return steps;
  }

 private:
  int next_, done_ = 0;
  Run run_ = {};
};

// The token that step `step` of path k visits, at a place of a table in shared memory:
// what all of a tile's tensors are read and written by.
MMSSM_DEVICE int32_t token_in_table(
    const ScanArgs& s, int k, const Steps& steps, int place) {
  return place < steps.count ? token_of(s, k, steps.first + place) : 0;
}

// Columns of a view, all tokens of one sample.
struct Columns {
  void* data;
  Dtype dtype;
  int64_t base, token_stride, column_stride;
  int count;  // that are there
};

// Columns [first, first + most) of `all`, whose strides are v's at `token`, `column`.
MMSSM_DEVICE Columns columns_of(
    const View& v, int64_t base, int token, int column, int first, int64_t all,
    int most) {
  const int left = int(all) - first;
  return {
      v.data,
      v.dtype,
      base + first * v.stride[column],
      v.stride[token],
      v.stride[column],
      left < most ? (left < 0 ? 0 : left) : most};
}

// kSteps by kColumns values in shared memory, of which each of kThreads threads moves
// some. Neighbouring threads take neighbours in global memory: columns, or steps where
// the columns are apart. At most kMost values of a thread are on their way at a time:
// more would wait less, and cost registers.
template <class T, int kSteps, int kColumns, int kThreads, int kMost>
struct Tile {
  static constexpr int kAll = kSteps * kColumns;
  static constexpr int kEach = (kAll + kThreads - 1) / kThreads;
  static constexpr int kFlying = kEach < kMost ? kEach : kMost;

  static_assert(kThreads % kColumns == 0 && kThreads % kSteps == 0, "even shares");
  static_assert(kAll % kThreads == 0 || kAll < kThreads, "even shares");
  static_assert(kEach % kFlying == 0, "even shares");

  // Where the values of a thread are.
  template <bool kByColumn>
  struct Places {
    static constexpr int kStepBy = kByColumn ? kThreads / kColumns : 0;
    static constexpr int kColumnBy = kByColumn ? 0 : kThreads / kSteps;
    int step, column;

    explicit MMSSM_DEVICE Places(int thread)
        : step(kByColumn ? thread / kColumns : thread % kSteps),
          column(kByColumn ? thread % kColumns : thread / kSteps) {}
    MMSSM_DEVICE int step_at(int i) const { return step + i * kStepBy; }
    MMSSM_DEVICE int column_at(int i) const { return column + i * kColumnBy; }
    MMSSM_DEVICE bool exists(int i) const {
      return kAll >= kThreads || (step_at(i) < kSteps && column_at(i) < kColumns);
    }
  };

  // The first `count` steps of `table`; what is not there is zero.
  static MMSSM_DEVICE void load(
      int thread, const int32_t* table, int count, const Columns& from, T* shared,
      int pitch) {
    each_kind(from, [&](auto name, auto by_column) {
      using Stored = typename decltype(name)::Stored;
      constexpr bool kByColumn = decltype(by_column)::value;
      const Places<kByColumn> p(thread);
      const Stored* data = start<kByColumn, Stored>(p, table, from);
#pragma unroll 1
      for (int done = 0; done < kEach; done += kFlying) {
        Stored value[kFlying];
#pragma unroll
        for (int i = 0; i < kFlying; ++i) {
          value[i] = 0;
          if (is_there(p, done + i, count, from)) {
            value[i] = data[hop(p, done + i, table, from)];
          }
        }
#pragma unroll
        for (int i = 0; i < kFlying; ++i) {
          if (p.exists(done + i)) {
            shared[p.step_at(done + i) * pitch + p.column_at(done + i)] =
                T(widen(name, value[i]));
          }
        }
      }
    });
  }

  // adds: to what is there.
  static MMSSM_DEVICE void store(
      int thread, const int32_t* table, int count, const Columns& to, const T* shared,
      int pitch, bool adds = false) {
    each_kind(to, [&](auto name, auto by_column) {
      using Stored = typename decltype(name)::Stored;
      constexpr bool kByColumn = decltype(by_column)::value;
      const Places<kByColumn> p(thread);
      Stored* data = start<kByColumn, Stored>(p, table, to);
#pragma unroll 4
      for (int i = 0; i < kEach; ++i) {
        if (is_there(p, i, count, to)) {
          Stored* at = data + hop(p, i, table, to);
          const T value = shared[p.step_at(i) * pitch + p.column_at(i)];
          *at = narrow(name, adds ? value + T(widen(name, *at)) : value);
        }
      }
    });
  }

  template <class Body>
  static MMSSM_DEVICE void each_kind(const Columns& columns, const Body& body) {
    with_dtype<T>(columns.dtype, [&](auto name) {
      if (columns.column_stride == 1) {
        body(name, Is<true>());
      } else {
        body(name, Is<false>());
      }
    });
  }

 private:
  template <bool kValue>
  struct Is {
    static constexpr bool value = kValue;
  };

  // Where the values of a thread begin, and the way from there to one of them.
  template <bool kByColumn, class Stored>
  static MMSSM_DEVICE Stored* start(
      const Places<kByColumn>& p, const int32_t* table, const Columns& c) {
    Stored* data = static_cast<Stored*>(c.data) + c.base + p.column * c.column_stride;
    return kByColumn ? data : data + table[p.step] * c.token_stride;
  }

  template <bool kByColumn>
  static MMSSM_DEVICE int64_t hop(
      const Places<kByColumn>& p, int i, const int32_t* table, const Columns& c) {
    return kByColumn ? table[p.step_at(i)] * c.token_stride
                     : i * Places<kByColumn>::kColumnBy * c.column_stride;
  }

  template <bool kByColumn>
  static MMSSM_DEVICE bool is_there(
      const Places<kByColumn>& p, int i, int count, const Columns& c) {
    return p.exists(i) && p.step_at(i) < count && p.column_at(i) < c.count;
  }
};

// The part of the work that a block does.
struct BlockPlace {
  int block, set, k, part;
};

MMSSM_DEVICE BlockPlace block_place(const ScanArgs& s, int index) {
  BlockPlace p;
  p.block = index % int(s.blocks);
  index /= int(s.blocks);
  p.set = index % int(s.sets);
  index /= int(s.sets);
  p.k = index % int(s.path_blocks);
  p.part = index / int(s.path_blocks);
  return p;
}

// How a kernel is laid out: kLanes neighbouring threads share a row and have kStates
// states of it each, a block has kRows rows.
template <class T, int kStates_, int kLanes_, int kRows_>
struct Layout {
  using Value = T;
  static constexpr int kStates = kStates_, kLanes = kLanes_, kRows = kRows_;
  static constexpr int kSet = kStates * kLanes;
  static constexpr int kScanners = kRows * kLanes;
  // From step to step in shared memory: so that neither rows nor states nor steps that
  // are written side by side meet in a bank, and `load_row` finds its 16 bytes.
  static constexpr int kPitch = kRows + 1;
  static constexpr int kStatePitch = kSet == 1 ? 1 : kSet + 16 / int(sizeof(T));
};

// Blocks of a kernel that a multiprocessor is to hold at least, so that a thread has
// no more than so many registers. Those in double have all they want.
template <class T>
constexpr int blocks_to_hold(int threads, int registers) {
  return sizeof(T) == 8 ? 1 : 65536 / (threads * registers);
}

}  // namespace cuda
}  // namespace mmssm
