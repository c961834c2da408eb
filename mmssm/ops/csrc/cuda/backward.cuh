// The backward of the scan.
//
// A block goes through its runs from the last step to the first, a chunk of
// kCheckpointSteps steps at a time: forth from the kept state to know the states every
// kPieceSteps steps, then back, a piece at a time, whose states are in registers.
// Sums over channels go through the warps' registers and shared memory, always in the
// same order, into partial sums of the block; reduce.cuh adds those up.

#pragma once

#include "forward.cuh"

namespace mmssm {
namespace cuda {

constexpr int kChunkSteps = int(kCheckpointSteps);
constexpr int kPieceSteps = 8;
constexpr int kPieces = kChunkSteps / kPieceSteps;
constexpr int kBackwardRegisters = 128;

struct BackwardArgs {
  ScanArgs s;
  View y;        // given: (n, l, e, k)
  View last_state;     // given, or no data
  View initial_state;  // wanted, or no data
  View x;        // (n, l, e, k, set): sums, or the gradient itself
  View dt;       // the same of dt without a projection: (n, k, l, e, set)
  bool skip;     // whether D adds to `x`
  void* tokens;   // (block, n, k, l, column), see `token_columns`
  void* weights;  // (part, k, column, e), see `weight_columns`
  int64_t set_states;  // states of all sets
};

// B, C, then dt by set.
MMSSM_DEVICE int64_t token_columns(const BackwardArgs& a) {
  return 2 * a.set_states + a.s.sets * a.s.rank;
}

// A, then by set: D, dt_bias, dt_weight.
MMSSM_DEVICE int64_t weight_columns(const BackwardArgs& a) {
  return a.set_states + a.s.sets * (2 + a.s.rank);
}

// Adds kCount values of each thread up over the rows of its warp. Every round halves
// the values a thread is in charge of, until there is one.
template <class L, int kCount, class Block>
MMSSM_DEVICE typename L::Value fold(
    const Block& block, int thread, typename L::Value (&value)[kCount]) {
  using T = typename L::Value;
  int count = kCount;
#pragma unroll
  for (int mask = L::kLanes; mask < kWarp; mask <<= 1) {
    if (count > 1) {
      count /= 2;
      const bool upper = thread & mask;
#pragma unroll
      for (int i = 0; i < kCount / 2; ++i) {
        if (i < count) {
          const T low = value[i], high = value[count + i];
          value[i] = (upper ? high : low) + block.shuffle_xor(upper ? low : high, mask);
        }
      }
    } else {
      value[0] += block.shuffle_xor(value[0], mask);
    }
  }
  return value[0];
}

// Which value `fold` leaves to a thread, or -1 if another thread has it too.
template <class L, int kCount>
MMSSM_DEVICE int folded(int thread) {
  int count = kCount, at = 0;
  bool is_first = true;
#pragma unroll
  for (int mask = L::kLanes; mask < kWarp; mask <<= 1) {
    if (count > 1) {
      count /= 2;
      at += thread & mask ? count : 0;
    } else {
      is_first = is_first && !(thread & mask);
    }
  }
  return is_first ? at : -1;
}

// kFull: the backward. Otherwise only what a span does to the gradient of its last
// state: see ForwardKernel.
template <class L, bool kFull, bool kSampled>
struct BackwardKernel {
  using T = typename L::Value;
  using Args = BackwardArgs;
  static constexpr int kThreads = L::kScanners;
  static constexpr int kBlocks = blocks_to_hold<T>(kThreads, kBackwardRegisters);
  static constexpr int kColumns = 2 * L::kSet;
  static constexpr int kWarps = kThreads / kWarp;
  static_assert(kThreads % kWarp == 0, "whole warps");
  static_assert(kPieceSteps % L::kLanes == 0, "whole rounds of lanes");
  // Steps that are loaded and stored at a time.
  static constexpr int kSome = kThreads < kChunkSteps ? kThreads : kChunkSteps;
  static constexpr int kFlying = sizeof(T) == 8 ? 4 : 8;
  using Rows = Tile<T, kSome, L::kRows, kThreads, kFlying>;
  using States = Tile<T, kSome, L::kSet, kThreads, kFlying>;

  // What is in shared memory.
  struct Memory {
    T *B, *C;            // (step, state)
    T *x, *delta, *dy;   // (step, row)
    T *u;                // the same, x if there are no samples
    T *states;           // (piece, state of a thread, thread)
    T *sums;             // (warp, step of a piece, column)
    T *dt;               // (step, r)
    T *dt_weight, *ddt_weight;  // (r, row)
    int32_t* table;
  };

  static MMSSM_DEVICE Memory memory_of(const ScanArgs& s, char* memory) {
    constexpr int kTile = kChunkSteps * L::kPitch;
    Memory m;
    m.table = reinterpret_cast<int32_t*>(memory);
    m.B = reinterpret_cast<T*>(memory + kChunkSteps * sizeof(int32_t));
    m.C = m.B + kChunkSteps * L::kStatePitch;
    m.delta = m.C + kChunkSteps * L::kStatePitch;
    m.dy = m.delta + kTile;
    m.states = m.dy + kTile;
    m.sums = m.states + kPieces * L::kStates * kThreads;
    m.x = m.sums + kWarps * kPieceSteps * kColumns;
    m.u = kSampled && s.taps ? m.x + kTile : m.x;
    m.dt = m.x + (kSampled ? 2 : 1) * kTile;
    m.dt_weight = m.dt + kChunkSteps * int(s.rank);
    m.ddt_weight = m.dt_weight + int(s.rank) * L::kRows;
    return m;
  }

  static int64_t shared(const ScanArgs& s) {
    const int64_t tiles = kSampled ? 4 : 3;
    return kChunkSteps * int64_t(sizeof(int32_t)) +
           int64_t(sizeof(T)) *
               (2 * kChunkSteps * L::kStatePitch + tiles * kChunkSteps * L::kPitch +
                kPieces * L::kStates * kThreads + kWarps * kPieceSteps * kColumns +
                s.rank * (kChunkSteps + 2 * L::kRows));
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const ScanArgs& s = a.s;
    const BlockPlace p = block_place(s, block.index());
    const Memory m = memory_of(s, block.shared());
    const int thread = block.thread();
    const int row = thread / L::kLanes, lane = thread % L::kLanes;
    const int e = p.block * L::kRows + row;
    const int d0 = p.set * L::kSet + lane * L::kStates;
    const int left = states_left(s, e, d0);

    load_dt_weight<L, kThreads>(thread, s, p, m.dt_weight);
    for (int i = thread; i < int(s.rank) * L::kRows; i += kThreads) {
      m.ddt_weight[i] = 0;
    }
    const T D = p.set == 0 && a.skip ? row_weight<T>(s.D, p.k, e, s.channels) : 0;
    const T bias = row_weight<T>(s.dt_bias, p.k, e, s.channels);
    T A[L::kStates], dA[L::kStates] = {}, q[L::kStates];
    T dD = 0, dbias = 0;
    load_A<L>(s, p.k, e, d0, left, A);

    const int runs = runs_of(s);
    for (int number = p.part; number < runs; number += int(s.parts)) {
      const Run run = run_of(s, number);
      begin(a, run, p.k, e, d0, left, q);
      T sum_delta = 0;
      const int chunks = (run.count + kChunkSteps - 1) / kChunkSteps;
      for (int chunk = chunks - 1; chunk >= 0; --chunk) {
        Steps steps;
        steps.n = run.n;
        steps.first = run.start + chunk * kChunkSteps;
        steps.count = int(smaller(kChunkSteps, run.count - chunk * kChunkSteps));
        block.sync();  // the last chunk is done
        for (int i = thread; i < kChunkSteps; i += kThreads) {
          m.table[i] = token_in_table(s, p.k, steps, i);
        }
        block.sync();
        load_tiles(thread, a, p, steps, m);
        block.sync();
        make_delta<L, kChunkSteps>(
            s, row, lane, steps.count, bias, m.dt_weight, m.dt, m.delta);
        block.warp_sync();
        clear_rest(row, lane, steps.count, m);
        block.warp_sync();
        if (!kFull) {
          carry_back(row, lane, steps.count, A, m, q, sum_delta);
          continue;
        }
        const int pieces = (steps.count + kPieceSteps - 1) / kPieceSteps;
        keep_states(
            s, run, p.k, steps.first, pieces, e, d0, left, row, lane, thread, A, m);
        for (int piece = pieces - 1; piece >= 0; --piece) {
          piece_back(
              block, row, lane, thread, piece * kPieceSteps, steps.count, A, D, m, q,
              dA, dD, dbias, s.softplus);
          block.sync();
          add_warps(thread, a, p, steps, piece * kPieceSteps, m);
          block.sync();
        }
        const Columns x_to = columns_of(
            a.x, run.n * a.x.stride[0] + p.k * a.x.stride[3] + p.set * a.x.stride[4],
            1, 2, p.block * L::kRows, s.channels, L::kRows);
        store_rows(thread, steps, x_to, m.table, m.u);
        if (s.rank == 0) {
          const Columns dt_to = columns_of(
              a.dt,
              run.n * a.dt.stride[0] + p.k * a.dt.stride[1] + p.set * a.dt.stride[4],
              2, 3, p.block * L::kRows, s.channels, L::kRows);
          store_rows(thread, steps, dt_to, m.table, m.delta);
        } else {
          project_back(thread, a, p, steps, m);
        }
      }
      end(a, run, p.k, e, d0, left, q, sum_delta, lane == 0 && p.set == 0);
    }
    if (kFull) {
#pragma unroll
      for (int mask = 1; mask < L::kLanes; mask <<= 1) {
        dbias += block.shuffle_xor(dbias, mask);
      }
      block.sync();
      store_weights(thread, a, p, e, d0, lane, dA, dD, dbias, m);
    }
  }

 private:
  using Name = typename NameOf<T>::Name;

  static MMSSM_DEVICE void load_tiles(
      int thread, const Args& a, const BlockPlace& p, const Steps& steps,
      const Memory& m) {
    const ScanArgs& s = a.s;
    const Columns x = source_of<L>(s, p, steps.n);
    const int rows = !kFull ? 1 : 2;
#pragma unroll 1
    for (int i = s.rank == 0 ? -1 : 0; i < rows; ++i) {
      const Columns from =
          i < 0    ? steps_of<L>(s, s.dt, p, steps.n)
          : i == 0 ? channels_of<L>(
                         s, a.y, p, steps.n * a.y.stride[0] + p.k * a.y.stride[3])
                   : x;
      T* to = i < 0 ? m.delta : i == 0 ? m.dy : m.x;
      load_tile<Rows>(thread, steps, from, m.table, to, L::kPitch);
    }
#pragma unroll 1
    for (int i = 0; i < (kFull ? 2 : 1); ++i) {
      load_tile<States>(
          thread, steps, states_of<L>(s, i == 0 ? s.C : s.B, p, steps.n), m.table,
          i == 0 ? m.C : m.B, L::kStatePitch);
    }
    load_dt<T, kChunkSteps, kThreads>(thread, s, p.k, steps, m.table, m.dt);
    if constexpr (kFull && kSampled) {
#pragma unroll 1
      for (int done = 0; s.taps && done < kChunkSteps; done += kSome) {
        load_samples<Rows, kFlying / 4>(
            thread, s, after(steps, done), m.table + done, x, p.block * L::kRows,
            m.u + done * L::kPitch, L::kPitch);
      }
    }
  }

  static MMSSM_DEVICE Steps after(const Steps& steps, int done) {
    Steps rest = steps;
    rest.first += done;
    rest.count -= done;
    return rest;
  }

  template <class AnyTile>
  static MMSSM_DEVICE void load_tile(
      int thread, const Steps& steps, const Columns& from, const int32_t* table, T* to,
      int pitch) {
#pragma unroll 1
    for (int done = 0; done < kChunkSteps; done += kSome) {
      AnyTile::load(
          thread, table + done, steps.count - done, from, to + done * pitch, pitch);
    }
  }

  static MMSSM_DEVICE void store_rows(
      int thread, const Steps& steps, const Columns& to, const int32_t* table,
      const T* from) {
#pragma unroll 1
    for (int done = 0; done < steps.count; done += kSome) {
      Rows::store(
          thread, table + done, steps.count - done, to, from + done * L::kPitch,
          L::kPitch);
    }
  }

  // Steps beyond the last do nothing: their delta is zero.
  static MMSSM_DEVICE void clear_rest(int row, int lane, int count, const Memory& m) {
    for (int t = count + lane; t < kChunkSteps; t += L::kLanes) {
      m.delta[t * L::kPitch + row] = 0;
    }
  }

  static MMSSM_DEVICE void begin(
      const Args& a, const Run& run, int k, int e, int d0, int left,
      T (&q)[L::kStates]) {
    const ScanArgs& s = a.s;
    if (kFull && s.spans > 1) {
      load_states(
          Name(), s.carry, carry_at(a, run, k, d0, e), s.channels, left, q);
    } else if (kFull && a.last_state.data) {
      const View& v = a.last_state;
      load_states(v, state_at(v, run.n, k, run.segment, e, d0), left, q);
    } else {
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        q[i] = 0;
      }
    }
  }

  static MMSSM_DEVICE int64_t carry_at(
      const Args& a, const Run& run, int k, int d, int e) {
    return ((run.number * a.s.paths + k) * a.set_states + d) * a.s.channels + e;
  }

  static MMSSM_DEVICE void carry_back(
      int row, int lane, int count, const T (&A)[L::kStates], const Memory& m,
      T (&q)[L::kStates], T& sum_delta) {
    for (int t = count - 1; t >= 0; --t) {
      const T step = m.delta[t * L::kPitch + row], g = m.dy[t * L::kPitch + row];
      T c[L::kStates];
      load_row(c, m.C + t * L::kStatePitch + lane * L::kStates);
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        q[i] = exp2_of(step * A[i]) * (c[i] * g + q[i]);
      }
      sum_delta += step;
    }
  }

  // The states before each piece of the chunk.
  static MMSSM_DEVICE void keep_states(
      const ScanArgs& s, const Run& run, int k, int first, int pieces, int e, int d0,
      int left, int row, int lane, int thread, const T (&A)[L::kStates],
      const Memory& m) {
    T h[L::kStates] = {};
    const int within = first - run.segment * int(s.segment);
    if (within > 0) {
      const int slot = within / int(kCheckpointSteps) - 1;
      load_states(
          Name(), s.checkpoints, checkpoint_at(s, run, k, slot, d0, e), s.channels,
          left, h);
    } else if (s.initial_state.data) {
      const View& v = s.initial_state;
      load_states(v, state_at(v, run.n, k, run.segment, e, d0), left, h);
    }
    for (int piece = 0; piece < pieces; ++piece) {
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        m.states[(piece * L::kStates + i) * kThreads + thread] = h[i];
      }
      if (piece == pieces - 1) {
        break;
      }
      for (int t = piece * kPieceSteps; t < (piece + 1) * kPieceSteps; ++t) {
        const T step = m.delta[t * L::kPitch + row];
        const T drive = step * m.u[t * L::kPitch + row];
        T b[L::kStates];
        load_row(b, m.B + t * L::kStatePitch + lane * L::kStates);
#pragma unroll
        for (int i = 0; i < L::kStates; ++i) {
          h[i] = exp2_of(step * A[i]) * h[i] + drive * b[i];
        }
      }
    }
  }

  // Leaves the gradients of x (or of the samples) and of dt, before its projection, in
  // the place of x and delta, and those of B and C, summed over the rows of the warp,
  // in `sums`.
  template <class Block>
  static MMSSM_DEVICE void piece_back(
      const Block& block, int row, int lane, int thread, int start, int count,
      const T (&A)[L::kStates], T D, const Memory& m, T (&q)[L::kStates],
      T (&dA)[L::kStates], T& dD, T& dbias, bool is_softplus) {
    T before[kPieceSteps][L::kStates], decay[kPieceSteps][L::kStates];
    T h[L::kStates];
#pragma unroll
    for (int i = 0; i < L::kStates; ++i) {
      h[i] = m.states[(start / kPieceSteps * L::kStates + i) * kThreads + thread];
    }
#pragma unroll
    for (int t = 0; t < kPieceSteps; ++t) {
      const int at = (start + t) * L::kPitch + row;
      const T step = m.delta[at], drive = step * m.u[at];
      T b[L::kStates];
      load_row(b, m.B + (start + t) * L::kStatePitch + lane * L::kStates);
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        before[t][i] = h[i];
        decay[t][i] = exp2_of(step * A[i]);
        h[i] = decay[t][i] * h[i] + drive * b[i];
      }
    }
#pragma unroll
    for (int t = kPieceSteps - 1; t >= 0; --t) {
      const int at = (start + t) * L::kPitch + row;
      const T step = m.delta[at], u = m.u[at], x = m.x[at], g = m.dy[at];
      T b[L::kStates], c[L::kStates], both[2 * L::kStates];
      load_row(b, m.B + (start + t) * L::kStatePitch + lane * L::kStates);
      load_row(c, m.C + (start + t) * L::kStatePitch + lane * L::kStates);
      T by_B = 0, by_A = 0;
#pragma unroll
      for (int i = 0; i < L::kStates; ++i) {
        const T lambda = c[i] * g + q[i];
        both[i] = lambda * (step * u);
        both[L::kStates + i] = h[i] * g;
        q[i] = decay[t][i] * lambda;
        const T by_decay = q[i] * before[t][i];
        dA[i] += by_decay * step;
        by_A += by_decay * A[i];
        by_B += lambda * b[i];
        h[i] = before[t][i];
      }
      const T folded_sum = fold<L>(block, thread, both);
      const int column = folded<L, 2 * L::kStates>(thread);
      if (column >= 0) {
        const int state = lane * L::kStates + column % L::kStates;
        m.sums[((thread / kWarp) * kPieceSteps + t) * kColumns +
               (column / L::kStates) * L::kSet + state] = folded_sum;
      }
#pragma unroll
      for (int mask = 1; mask < L::kLanes; mask <<= 1) {
        by_B += block.shuffle_xor(by_B, mask);
        by_A += block.shuffle_xor(by_A, mask);
      }
      dD += g * x;
      if (L::kLanes > 1) {
        block.warp_sync();  // all lanes of the row have read what is overwritten
      }
      // dy has no other use any more.
      if (lane == 0) {
        m.u[at] = step * by_B + D * g;
        m.dy[at] = by_A * kLn2<T> + u * by_B;
      }
    }
    block.warp_sync();
    // Through softplus, every lane for other steps.
#pragma unroll
    for (int i = 0; i < kPieceSteps; i += L::kLanes) {
      const int at = (start + i + lane) * L::kPitch + row;
      const T d_raw = m.dy[at] * (is_softplus ? softplus_slope(m.delta[at]) : T(1));
      m.delta[at] = d_raw;
      // A step of 0 behind the last one hands on the last state's gradient too.
      dbias += start + i + lane < count ? d_raw : T(0);
    }
  }

  // Adds the warps' sums of a piece up.
  static MMSSM_DEVICE void add_warps(
      int thread, const Args& a, const BlockPlace& p, const Steps& steps, int start,
      const Memory& m) {
    for (int i = thread; i < kPieceSteps * kColumns; i += kThreads) {
      const int t = i / kColumns, column = i % kColumns;
      if (start + t >= steps.count) {
        continue;
      }
      T sum = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        sum += m.sums[(w * kPieceSteps + t) * kColumns + column];
      }
      const int64_t to = column < L::kSet
                             ? p.set * L::kSet + column
                             : a.set_states + p.set * L::kSet + column - L::kSet;
      sums_of(a, p, steps.n, m.table[start + t])[to] = sum;
    }
  }

  static MMSSM_DEVICE T* sums_of(
      const Args& a, const BlockPlace& p, int n, int token) {
    const ScanArgs& s = a.s;
    const int64_t row = ((p.block * s.batch + n) * s.paths + p.k) * s.tokens + token;
    return static_cast<T*>(a.tokens) + row * token_columns(a);
  }

  // From the gradient of the step sizes to those of dt and its weights.
  static MMSSM_DEVICE void project_back(
      int thread, const Args& a, const BlockPlace& p, const Steps& steps,
      const Memory& m) {
    const int rank = int(a.s.rank);
    for (int i = thread; i < steps.count * rank; i += kThreads) {
      const int t = i / rank, r = i % rank;
      T sum = 0;
      for (int row = 0; row < L::kRows; ++row) {
        sum += m.delta[t * L::kPitch + row] * m.dt_weight[r * L::kRows + row];
      }
      sums_of(a, p, steps.n, m.table[t])[2 * a.set_states + p.set * rank + r] = sum;
    }
    for (int i = thread; i < rank * L::kRows; i += kThreads) {
      const int r = i / L::kRows, row = i % L::kRows;
      T sum = m.ddt_weight[i];
      for (int t = 0; t < steps.count; ++t) {
        sum += m.delta[t * L::kPitch + row] * m.dt[t * rank + r];
      }
      m.ddt_weight[i] = sum;
    }
  }

  static MMSSM_DEVICE void end(
      const Args& a, const Run& run, int k, int e, int d0, int left,
      const T (&q)[L::kStates], T sum_delta, bool is_first) {
    const ScanArgs& s = a.s;
    if (!kFull) {
      store_states(
          Name(), s.carry, carry_at(a, run, k, d0, e), s.channels, left, q);
      if (is_first && e < s.channels) {
        static_cast<T*>(s.decay)[(run.number * s.paths + k) * s.channels + e] =
            sum_delta;
      }
    } else if (a.initial_state.data && run.span == 0) {
      const View& v = a.initial_state;
      store_states(v, state_at(v, run.n, k, run.segment, e, d0), left, q);
    }
  }

  static MMSSM_DEVICE void store_weights(
      int thread, const Args& a, const BlockPlace& p, int e, int d0, int lane,
      const T (&dA)[L::kStates], T dD, T dbias, const Memory& m) {
    const ScanArgs& s = a.s;
    const int64_t columns = weight_columns(a);
    T* to = static_cast<T*>(a.weights) +
            (p.part * s.paths + p.k) * columns * s.channels;
    const int64_t rest = a.set_states + p.set * (2 + s.rank);
    if (e < s.channels) {
      store_states(Name(), to, d0 * s.channels + e, s.channels, L::kStates, dA);
      if (lane == 0) {
        to[rest * s.channels + e] = dD;
        to[(rest + 1) * s.channels + e] = dbias;
      }
    }
    for (int i = thread; i < int(s.rank) * L::kRows; i += kThreads) {
      const int r = i / L::kRows, channel = p.block * L::kRows + i % L::kRows;
      if (channel < s.channels) {
        to[(rest + 2 + r) * s.channels + channel] = m.ddt_weight[i];
      }
    }
  }
};

}  // namespace cuda
}  // namespace mmssm
