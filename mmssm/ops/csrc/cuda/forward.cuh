// The forward of the scan.
//
// Some warps of a block, the scanners, have a row to every thread, or to a few
// neighbouring ones, with its states in registers. The others, the loaders, bring the
// next tile of inputs while those scan one, and take the last one's outputs away: what
// waits for memory, converts dtypes, follows paths or samples maps costs the scanners
// neither time nor registers.

#pragma once

#include "math.cuh"
#include "tiles.cuh"
#include "taps.cuh"

namespace mmssm {
namespace cuda {

constexpr int kTileSteps = 16;
static_assert(kCheckpointSteps % kTileSteps == 0, "tiles end where checkpoints are");

constexpr int kLoaders = 64;  // threads of a block
// Of a thread. With one state it is memory that is waited for, by as many as can; where
// several threads have a row there are few rows.
template <class L>
constexpr int forward_registers(bool is_sampled) {
  if (is_sampled) {
    return L::kLanes > 1 ? 128 : 96;
  }
  return L::kStates == 1 ? 64 : 96;
}

struct ForwardArgs {
  ScanArgs s;
  View y;  // (n, l, e, k, set)
};

// The first `count` step sizes of the kSteps of a row in shared memory, made by the
// row's kLanes threads. `delta` holds dt where there is no projection.
template <class L, int kSteps>
MMSSM_DEVICE void make_delta(
    const ScanArgs& s, int row, int lane, int count, typename L::Value bias,
    const typename L::Value* weight, const typename L::Value* dt,
    typename L::Value* delta) {
  using T = typename L::Value;
  constexpr int kEach = 4;
#pragma unroll 1
  for (int first = lane; first < count; first += kEach * L::kLanes) {
    T value[kEach];
    const int rank = int(s.rank);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int t = first + i * L::kLanes;
      value[i] = bias + (rank == 0 ? delta[t * L::kPitch + row] : 0);
    }
    for (int r = 0; r < rank; ++r) {
      const T w = weight[r * L::kRows + row];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        value[i] += w * dt[(first + i * L::kLanes) * rank + r];
      }
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int t = first + i * L::kLanes;
      delta[t * L::kPitch + row] = s.softplus ? softplus(value[i]) : value[i];
    }
  }
  static_assert(kSteps % (kEach * L::kLanes) == 0, "no step beyond the last");
}

// dt of a tile, (step, r), by threads `thread` of kThreads.
template <class T, int kSteps, int kThreads>
MMSSM_DEVICE void load_dt(
    int thread, const ScanArgs& s, int k, const Steps& steps, const int32_t* table,
    T* dt) {
  const int rank = int(s.rank);
  const int64_t base = steps.n * s.dt.stride[0] + k * s.dt.stride[1];
  for (int i = thread; i < kSteps * rank; i += kThreads) {
    const int step = i / rank, r = i % rank;
    dt[i] = step < steps.count
                ? load<T>(
                      s.dt, base + table[step] * s.dt.stride[2] + r * s.dt.stride[3])
                : 0;
  }
}

// Weights of the step sizes, (r, row).
template <class L, int kThreads>
MMSSM_DEVICE void load_dt_weight(
    int thread, const ScanArgs& s, const BlockPlace& p, typename L::Value* weight) {
  for (int i = thread; i < int(s.rank) * L::kRows; i += kThreads) {
    const int r = i / L::kRows;
    const int e = p.block * L::kRows + i % L::kRows;
    weight[i] = e < s.channels
                    ? load<typename L::Value>(
                          s.dt_weight, p.k * s.dt_weight.stride[0] +
                                           e * s.dt_weight.stride[1] +
                                           r * s.dt_weight.stride[2])
                    : 0;
  }
}

// A weight (k, e) of a row, or zero.
template <class T>
MMSSM_DEVICE T row_weight(const View& v, int k, int e, int64_t channels) {
  return v.data && e < channels ? load<T>(v, k * v.stride[0] + e * v.stride[1]) : 0;
}

// The block's columns of a value (n, l, e) per channel,
template <class L>
MMSSM_DEVICE Columns channels_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t base) {
  return columns_of(v, base, 1, 2, p.block * L::kRows, s.channels, L::kRows);
}

// of the path's x,
template <class L>
MMSSM_DEVICE Columns source_of(const ScanArgs& s, const BlockPlace& p, int64_t n) {
  const View& v = s.x[s.merge ? s.source[p.k] : 0];
  return channels_of<L>(
      s, v, p, n * v.stride[0] + (s.merge ? 0 : p.k * s.apart));
}

// of a dt that has a value per channel,
template <class L>
MMSSM_DEVICE Columns steps_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t n) {
  return columns_of(
      v, n * v.stride[0] + p.k * v.stride[1], 2, 3, p.block * L::kRows, s.channels,
      L::kRows);
}

// and of B or C.
template <class L>
MMSSM_DEVICE Columns states_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t n) {
  return columns_of(
      v, n * v.stride[0] + p.k * v.stride[1], 2, 3, p.set * L::kSet, s.states, L::kSet);
}

// A, for 2^x instead of e^x.
template <class L>
MMSSM_DEVICE void load_A(
    const ScanArgs& s, int k, int e, int d0, int left,
    typename L::Value (&A)[L::kStates]) {
  using T = typename L::Value;
  with_dtype<T>(s.A.dtype, [&](auto name) {
    load_states(
        name, s.A.data,
        k * s.A.stride[0] + e * s.A.stride[1] + d0 * s.A.stride[2], s.A.stride[2],
        left, A);
  });
#pragma unroll
  for (int i = 0; i < L::kStates; ++i) {
    A[i] *= kLog2e<T>;
  }
}

// How many states from d0 on a thread has, whose row is of channel e.
MMSSM_DEVICE int states_left(const ScanArgs& s, int e, int d0) {
  return e < s.channels ? int(s.states) - d0 : 0;
}

// kFull: the scan. Otherwise only what a span does to the state that it begins with:
// the state that it ends with if it begins with zero, and the sum of its step sizes.
// kSampled: whether the states may read samples of a map.
template <class L, bool kFull, bool kSampled>
struct ForwardKernel {
  using T = typename L::Value;
  using Args = ForwardArgs;
  static constexpr int kThreads = L::kScanners + kLoaders;
  static constexpr int kBlocks =
      blocks_to_hold<T>(kThreads, forward_registers<L>(kSampled));
  using Rows = Tile<T, kTileSteps, L::kRows, kLoaders, kSampled ? 8 : 16>;
  using States = Tile<T, kTileSteps, L::kSet, kLoaders, kSampled ? 8 : 16>;
  static constexpr int kTiles = kSampled ? 3 : 2;  // that have rows
  static_assert(L::kScanners % kWarp == 0 && kLoaders % kWarp == 0, "whole warps");

  // A tile in shared memory, of which there are two.
  struct Buffer {
    T *B, *C;      // (step, state)
    T *x, *delta;  // (step, row)
    T *u;          // the same, x if there are no samples
    T *dt;         // (step, r)
    int32_t* table;
  };

  static MMSSM_DEVICE int buffer_values(const ScanArgs& s) {
    return kTileSteps * (2 * L::kStatePitch + kTiles * L::kPitch + int(s.rank));
  }

  static MMSSM_DEVICE Buffer buffer_of(const ScanArgs& s, char* memory, int number) {
    constexpr int kTile = kTileSteps * L::kPitch;
    Buffer b;
    b.table = reinterpret_cast<int32_t*>(memory) + number * kTileSteps;
    b.B = reinterpret_cast<T*>(memory + 2 * kTileSteps * sizeof(int32_t)) +
          number * buffer_values(s);
    b.C = b.B + kTileSteps * L::kStatePitch;
    b.x = b.C + kTileSteps * L::kStatePitch;
    b.delta = b.x + kTile;
    b.u = kSampled && s.taps ? b.delta + kTile : b.x;
    b.dt = b.delta + (kTiles - 1) * kTile;
    return b;
  }

  // Weights of dt, (r, row), behind the buffers.
  static MMSSM_DEVICE T* dt_weight_of(const ScanArgs& s, char* memory) {
    return buffer_of(s, memory, 2).B;
  }

  // Bytes of shared memory.
  static int64_t shared(const ScanArgs& s) {
    const int64_t values =
        2 * kTileSteps * (2 * L::kStatePitch + kTiles * L::kPitch + s.rank) +
        s.rank * L::kRows;
    return values * int64_t(sizeof(T)) + 2 * kTileSteps * int64_t(sizeof(int32_t));
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const BlockPlace first = block_place(a.s, int(block.index()));
#pragma unroll 1
    for (int k = first.k; k < a.s.paths; k += int(a.s.path_blocks)) {
      const BlockPlace p = {
          afresh(first.block), afresh(first.set), k, afresh(first.part)};
      const int thread = afresh(block.thread());
      load_dt_weight<L, kThreads>(thread, a.s, p, dt_weight_of(a.s, block.shared()));
      block.sync();
      if (thread < L::kScanners) {
        scan(block, a, p, thread);
      } else {
        supply(block, a, p, thread - L::kScanners);
      }
    }
  }

 private:
  // What the loaders do. In every round they take the outputs of the tile before the
  // one that is being scanned away, and load the one after it into its place. There
  // is a round more than there are tiles before the last one's outputs.
  template <class Block>
  static MMSSM_DEVICE void supply(
      const Block& block, const Args& a, const BlockPlace& p, int thread) {
    const ScanArgs& s = a.s;
    Tiles<kTileSteps> tiles(p.part);
    Steps before, scanned;
    for (int number = 0;; number ^= 1) {
      const Buffer to = buffer_of(s, block.shared(), number);
      const Steps steps = tiles.take(s);
      int32_t token = 0;
      if (thread < kTileSteps) {
        token = token_in_table(s, p.k, steps, thread);
      }
      if (kFull && before.count > 0) {
        const Columns y = columns_of(
            a.y, before.n * a.y.stride[0] + p.k * a.y.stride[3] + p.set * a.y.stride[4],
            1, 2, p.block * L::kRows, s.channels, L::kRows);
        // The paths before this one have had all their outputs stored.
        const bool adds = s.path_blocks < s.paths && p.k > 0;
        Rows::store(thread, to.table, before.count, y, to.x, L::kPitch, adds);
      }
      if (steps.count > 0) {
        block.template sync_some<kLoaders>();
        if (thread < kTileSteps) {
          to.table[thread] = token;
        }
        block.template sync_some<kLoaders>();
        bring(thread, s, p, steps, to);
      } else if (scanned.count == 0) {
        return;
      }
      block.sync();
      before = scanned;
      scanned = steps;
    }
  }

  static MMSSM_DEVICE void bring(
      int thread, const ScanArgs& s, const BlockPlace& p, const Steps& steps,
      const Buffer& to) {
    const Columns x = source_of<L>(s, p, steps.n);
    Rows::load(thread, to.table, steps.count, x, to.x, L::kPitch);
    if (s.rank == 0) {
      Rows::load(
          thread, to.table, steps.count, steps_of<L>(s, s.dt, p, steps.n), to.delta,
          L::kPitch);
    }
#pragma unroll 1
    for (int i = 0; i < (kFull ? 2 : 1); ++i) {
      States::load(
          thread, to.table, steps.count,
          states_of<L>(s, i == 0 ? s.B : s.C, p, steps.n), i == 0 ? to.B : to.C,
          L::kStatePitch);
    }
    load_dt<T, kTileSteps, kLoaders>(thread, s, p.k, steps, to.table, to.dt);
    if constexpr (kSampled) {
      if (s.taps) {
        load_samples<Rows, L::kLanes == 1 ? 4 : 2>(
            thread, s, steps, to.table, x, p.block * L::kRows, to.u, L::kPitch);
      }
    }
  }

  // What the scanners do.
  template <class Block>
  static MMSSM_DEVICE void scan(
      const Block& block, const Args& a, const BlockPlace& p, int thread) {
    const ScanArgs& s = a.s;
    const int row = thread / L::kLanes, lane = thread % L::kLanes;
    const int e = p.block * L::kRows + row;
    const int d0 = p.set * L::kSet + lane * L::kStates;
    const T* dt_weight = dt_weight_of(s, block.shared());
    const T D = p.set == 0 ? row_weight<T>(s.D, p.k, e, s.channels) : 0;
    const T bias = row_weight<T>(s.dt_bias, p.k, e, s.channels);
    T A[L::kStates], h[L::kStates];
    const int left = states_left(s, e, d0);
    load_A<L>(s, p.k, e, d0, left, A);

    int number = 0;
    bool is_first = true;
    const int runs = runs_of(s);
    for (int i = p.part; i < runs; i += int(s.parts)) {
      const Run run = run_of(s, i);
      begin(s, run, p.k, e, d0, left, h);
      T sum_delta = 0;
      for (int done = 0; done < run.count; done += kTileSteps) {
        block.sync();
        is_first = false;
        const int count = int(smaller(kTileSteps, run.count - done));
        const Buffer b = buffer_of(s, block.shared(), number);
        number ^= 1;
        make_delta<L, kTileSteps>(s, row, lane, count, bias, dt_weight, b.dt, b.delta);
        block.warp_sync();
        if (kFull) {
          keep(s, run, p.k, run.start + done, e, d0, left, h);
        }
        scan_tile(block, b, row, lane, count, A, D, h, sum_delta);
      }
      end(s, run, p.k, e, d0, left, h, sum_delta, lane == 0 && p.set == 0);
    }
    if (!is_first) {
      block.sync();
    }
  }

  template <int kCount>
  static MMSSM_DEVICE void add_up(T (&y)[kCount]) {
#pragma unroll
    for (int i = kCount / 2; i > 0; i /= 2) {
#pragma unroll
      for (int j = 0; j < i; ++j) {
        y[j] += y[i + j];
      }
    }
  }

  template <class Block>
  static MMSSM_DEVICE void scan_tile(
      const Block& block, const Buffer& tile, int row, int lane, int count,
      const T (&A)[L::kStates], T D, T (&h)[L::kStates], T& sum_delta) {
    // A few sums side by side, for shorter chains of dependent additions.
    constexpr int kSums = L::kStates < 4 ? 1 : L::kStates / 4;
    const T *delta = tile.delta + row, *u = tile.u + row;
    const T* B = tile.B + lane * L::kStates;
    const T* C = tile.C + lane * L::kStates;
    T* x = tile.x + row;
#pragma unroll 2
    for (int t = 0; t < count; ++t) {
      const T step = delta[t * L::kPitch];
      const T drive = step * u[t * L::kPitch];
      T b[L::kStates], c[L::kStates], y[kSums];
      load_row(b, B + t * L::kStatePitch);
      if (kFull) {
        load_row(c, C + t * L::kStatePitch);
      }
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        h[i] = exp2_of(step * A[i]) * h[i] + drive * b[i];
        if (kFull) {
          y[i % kSums] = i < kSums ? c[i] * h[i] : y[i % kSums] + c[i] * h[i];
        }
      }
      if (!kFull) {
        sum_delta += step;
        continue;
      }
      add_up(y);
#pragma unroll
      for (int m = 1; m < L::kLanes; m <<= 1) {
        y[0] += block.shuffle_xor(y[0], m);
      }
      if (L::kLanes > 1) {
        block.warp_sync();  // all lanes of the row have read x
      }
      if (lane == 0) {
        x[t * L::kPitch] = y[0] + D * x[t * L::kPitch];
      }
    }
  }

  static MMSSM_DEVICE int64_t carry_at(
      const ScanArgs& s, const Run& run, int k, int d, int e) {
    return ((run.number * s.paths + k) * s.sets * L::kSet + d) * s.channels + e;
  }

  using Name = typename NameOf<T>::Name;

  static MMSSM_DEVICE void begin(
      const ScanArgs& s, const Run& run, int k, int e, int d0, int left,
      T (&h)[L::kStates]) {
    if (kFull && s.spans > 1) {
      load_states(
          Name(), s.carry, carry_at(s, run, k, d0, e), s.channels, left, h);
    } else if (kFull && s.initial_state.data) {
      const View& v = s.initial_state;
      load_states(v, state_at(v, run.n, k, run.segment, e, d0), left, h);
    } else {
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        h[i] = 0;
      }
    }
  }

  // The states that the backward begins with.
  static MMSSM_DEVICE void keep(
      const ScanArgs& s, const Run& run, int k, int first, int e, int d0, int left,
      const T (&h)[L::kStates]) {
    const int within = first - run.segment * int(s.segment);
    if (s.checkpoints && within > 0 && within % int(kCheckpointSteps) == 0) {
      const int slot = within / int(kCheckpointSteps) - 1;
      store_states(
          Name(), s.checkpoints, checkpoint_at(s, run, k, slot, d0, e), s.channels,
          left, h);
    }
  }

  static MMSSM_DEVICE void end(
      const ScanArgs& s, const Run& run, int k, int e, int d0, int left,
      const T (&h)[L::kStates], T sum_delta, bool is_first) {
    if (!kFull) {
      store_states(
          Name(), s.carry, carry_at(s, run, k, d0, e), s.channels, left, h);
      if (is_first && e < s.channels) {
        static_cast<T*>(s.decay)[(run.number * s.paths + k) * s.channels + e] =
            sum_delta;
      }
    } else if (s.last_state.data && run.span == s.spans - 1) {
      const View& v = s.last_state;
      store_states(v, state_at(v, run.n, k, run.segment, e, d0), left, h);
    }
  }
};

// Turns what the spans do into the states that they begin with; backwards in time for
// the gradient of the state, which then begins with that of the last state.
template <class T, bool kBackward>
struct CarryKernel {
  struct Args {
    ScanArgs s;
    View first;  // (n, k, segment, e, d), or no data: zero
    int64_t set_states;  // states of all sets
  };
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;  // that a multiprocessor holds at least

  static int64_t threads(const Args& a) {
    return a.s.batch * a.s.segments * a.s.paths * a.s.states * a.s.channels;
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const ScanArgs& s = a.s;
    int64_t at = block.index() * kThreads + block.thread();
    const int64_t e = at % s.channels;
    at /= s.channels;
    const int64_t d = at % s.states;
    at /= s.states;
    const int64_t k = at % s.paths, first_run = at / s.paths * s.spans;
    if (first_run >= runs_of(s)) {
      return;
    }
    const T A = kLog2e<T> * load<T>(
        s.A, k * s.A.stride[0] + e * s.A.stride[1] + d * s.A.stride[2]);
    const Run run = run_of(s, first_run);
    T h = a.first.data
              ? load<T>(a.first, state_at(a.first, run.n, k, run.segment, e, d))
              : 0;
    // Several at a time, so as not to wait for each by itself.
    for (int64_t first = 0; first < s.spans; first += kSome) {
      T own[kSome], decay[kSome];
#pragma unroll
      for (int i = 0; i < kSome; ++i) {
        if (first + i < s.spans) {
          const int64_t row = row_of(s, first_run, first + i, k);
          own[i] = carry_of(a, row, d, e);
          decay[i] = static_cast<const T*>(s.decay)[row * s.channels + e];
        }
      }
#pragma unroll
      for (int i = 0; i < kSome; ++i) {
        if (first + i < s.spans) {
          carry_of(a, row_of(s, first_run, first + i, k), d, e) = h;
          h = exp2_of(A * decay[i]) * h + own[i];
        }
      }
    }
  }

 private:
  static constexpr int kSome = 8;

  static MMSSM_DEVICE int64_t row_of(
      const ScanArgs& s, int64_t first_run, int64_t span, int64_t k) {
    return (first_run + (kBackward ? s.spans - 1 - span : span)) * s.paths + k;
  }

  static MMSSM_DEVICE T& carry_of(const Args& a, int64_t row, int64_t d, int64_t e) {
    return static_cast<T*>(a.s.carry)[(row * a.set_states + d) * a.s.channels + e];
  }
};

}  // namespace cuda
}  // namespace mmssm
