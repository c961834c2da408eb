// The forward of the scan.

#pragma once

#include "math.cuh"
#include "tiles.cuh"
#include "taps.cuh"

namespace mmssm {
namespace cuda {

constexpr int kTileSteps = 16;
static_assert(kCheckpointSteps % kTileSteps == 0, "tiles end where checkpoints are");

struct ForwardArgs {
  ScanArgs s;
  View y;  // (n, l, e, k, set)
};

// Step sizes of one column of a tile, in shared memory, made by the kLanes threads of
// its row. `delta` holds dt where there is no projection.
template <class L, int kSteps>
MMSSM_DEVICE void make_delta(
    const ScanArgs& s, int row, int lane, typename L::Value bias,
    const typename L::Value* weight, const typename L::Value* dt,
    typename L::Value* delta) {
  using T = typename L::Value;
  constexpr int kEach = kSteps / L::kLanes;
  T value[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    value[i] = bias;
    if (s.rank == 0) {
      value[i] += delta[(i * L::kLanes + lane) * L::kPitch + row];
    }
  }
  for (int r = 0; r < s.rank; ++r) {
    const T w = weight[r * L::kRows + row];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      value[i] += w * dt[(i * L::kLanes + lane) * s.rank + r];
    }
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    delta[(i * L::kLanes + lane) * L::kPitch + row] =
        s.softplus ? softplus(value[i]) : value[i];
  }
}

// dt of a tile, (step, r).
template <class L>
MMSSM_DEVICE void load_dt(
    int thread, const ScanArgs& s, const Run& run, int64_t k, int64_t first, int count,
    int steps, typename L::Value* dt) {
  const int rank = int(s.rank);
  const int64_t base = run.n * s.dt.stride[0] + k * s.dt.stride[1];
  for (int i = thread; i < steps * rank; i += L::kThreads) {
    const int step = i / rank, r = i % rank;
    dt[i] = step < count
                ? load<typename L::Value>(
                      s.dt, base + token_of(s, k, first + step) * s.dt.stride[2] +
                                r * s.dt.stride[3])
                : 0;
  }
}

// Weights of the step sizes, (r, row).
template <class L>
MMSSM_DEVICE void load_dt_weight(
    int thread, const ScanArgs& s, const BlockPlace& p, typename L::Value* weight) {
  for (int i = thread; i < s.rank * L::kRows; i += L::kThreads) {
    const int64_t r = i / L::kRows, e = p.block * L::kRows + i % L::kRows;
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
MMSSM_DEVICE T row_weight(const View& v, int64_t k, int64_t e, int64_t channels) {
  return v.data && e < channels ? load<T>(v, k * v.stride[0] + e * v.stride[1]) : 0;
}

template <class L>
MMSSM_DEVICE Rectangle channels_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t base) {
  return rectangle(v, base, 1, 2, p.block * L::kRows, s.channels, L::kRows);
}

// dt as a value per channel.
template <class L>
MMSSM_DEVICE Rectangle steps_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t n) {
  return rectangle(
      v, n * v.stride[0] + p.k * v.stride[1], 2, 3, p.block * L::kRows, s.channels,
      L::kRows);
}

// B or C.
template <class L>
MMSSM_DEVICE Rectangle states_of(
    const ScanArgs& s, const View& v, const BlockPlace& p, int64_t n) {
  return rectangle(
      v, n * v.stride[0] + p.k * v.stride[1], 2, 3, p.set * L::kSet, s.states, L::kSet);
}

// kFull: the scan. Otherwise only what a span does to the state that it begins with:
// the state that it ends with if it begins with zero, and the sum of its step sizes.
template <class L, bool kFull>
struct ForwardKernel {
  using T = typename L::Value;
  using Args = ForwardArgs;
  static constexpr int kThreads = L::kThreads;
  static constexpr int kBlocks = L::kBlocks;
  using Rows = Tile<T, kTileSteps, L::kRows, kThreads>;
  using States = Tile<T, kTileSteps, L::kSet, kThreads>;

  // Bytes of shared memory.
  static int64_t shared(const ScanArgs& s) {
    const int64_t tiles = s.taps ? 3 : 2;
    return sizeof(T) * (2 * kTileSteps * L::kSet + tiles * kTileSteps * L::kPitch +
                        s.rank * (kTileSteps + L::kRows));
  }

  template <class Block>
  static MMSSM_DEVICE void run(const Block& block, const Args& a) {
    const ScanArgs& s = a.s;
    const BlockPlace p = block_place(s, block.index());
    const int thread = block.thread();
    const int row = thread / L::kLanes, lane = thread % L::kLanes;
    const int64_t e = p.block * L::kRows + row;
    const int64_t d0 = p.set * L::kSet + lane * L::kStates;
    const View& view = s.x[s.source[p.k]];

    T* const B = reinterpret_cast<T*>(block.shared());  // (step, state)
    T* const C = B + kTileSteps * L::kSet;
    T* const x = C + kTileSteps * L::kSet;              // (step, row)
    T* const delta = x + kTileSteps * L::kPitch;
    T* const u = s.taps ? delta + kTileSteps * L::kPitch : x;
    T* const dt = (s.taps ? u : delta) + kTileSteps * L::kPitch;
    T* const dt_weight = dt + kTileSteps * s.rank;      // (r, row)

    load_dt_weight<L>(thread, s, p, dt_weight);
    const T D = p.set == 0 ? row_weight<T>(s.D, p.k, e, s.channels) : 0;
    const T bias = row_weight<T>(s.dt_bias, p.k, e, s.channels);
    T A[L::kStates], h[L::kStates];
#pragma unroll
    for (int i = 0; i < L::kStates; ++i) {
      const bool exists = e < s.channels && d0 + i < s.states;
      A[i] = exists ? kLog2e<T> * load<T>(s.A, p.k * s.A.stride[0] +
                                                   e * s.A.stride[1] +
                                                   (d0 + i) * s.A.stride[2])
                    : 0;
    }

    const int64_t runs = runs_of(s);
    for (int64_t number = p.part; number < runs; number += s.parts) {
      const Run run = run_of(s, number);
      begin(s, run, p.k, e, d0, h);
      T sum_delta = 0;
      for (int64_t done = 0; done < run.count; done += kTileSteps) {
        const int64_t first = run.start + done;
        const int count = int(smaller(kTileSteps, run.count - done));
        load_tiles(thread, s, p, run, view, first, count, x, u, delta, B, C);
        load_dt<L>(thread, s, run, p.k, first, count, kTileSteps, dt);
        block.sync();
        make_delta<L, kTileSteps>(s, row, lane, bias, dt_weight, dt, delta);
        block.warp_sync();
        if (kFull) {
          keep(s, run, p.k, first, e, d0, h);
        }
        for (int t = 0; t < count; ++t) {
          const T step = delta[t * L::kPitch + row];
          const T drive = step * u[t * L::kPitch + row];
          T b[L::kStates], c[L::kStates];
          load_row(b, B + t * L::kSet + lane * L::kStates);
          if (kFull) {
            load_row(c, C + t * L::kSet + lane * L::kStates);
          }
          T y = 0;
#pragma unroll
          for (int i = 0; i < L::kStates; ++i) {
            h[i] = exp2_of(step * A[i]) * h[i] + drive * b[i];
            if (kFull) {
              y += c[i] * h[i];
            }
          }
          if (kFull) {
#pragma unroll
            for (int m = 1; m < L::kLanes; m <<= 1) {
              y += block.shuffle_xor(y, m);
            }
            // All lanes of the row have read x.
            if (lane == 0) {
              y += D * x[t * L::kPitch + row];
              x[t * L::kPitch + row] = y;
            }
          } else {
            sum_delta += step;
          }
        }
        if (kFull) {
          block.sync();
          const Rectangle y_to = rectangle(
              a.y, run.n * a.y.stride[0] + p.k * a.y.stride[3] + p.set * a.y.stride[4],
              1, 2, p.block * L::kRows, s.channels, L::kRows);
          Rows::store(thread, s, p.k, first, count, y_to, x, L::kPitch);
        }
        block.sync();
      }
      end(s, run, p.k, e, d0, h, sum_delta, lane == 0 && p.set == 0);
    }
  }

 private:
  static MMSSM_DEVICE void load_tiles(
      int thread, const ScanArgs& s, const BlockPlace& p, const Run& run,
      const View& view, int64_t first, int count, T* x, T* u, T* delta, T* B, T* C) {
    const Rectangle x_from = channels_of<L>(s, view, p, run.n * view.stride[0]);
    Rows::load(thread, s, p.k, first, count, x_from, x, L::kPitch);
    if (s.taps) {
      load_samples<Rows>(
          thread, s, run.n, p.k, first, count, x_from, p.block * L::kRows, u,
          L::kPitch);
    }
    if (s.rank == 0) {
      Rows::load(
          thread, s, p.k, first, count, steps_of<L>(s, s.dt, p, run.n), delta,
          L::kPitch);
    }
    States::load(
        thread, s, p.k, first, count, states_of<L>(s, s.B, p, run.n), B, L::kSet);
    if (kFull) {
      States::load(
          thread, s, p.k, first, count, states_of<L>(s, s.C, p, run.n), C, L::kSet);
    }
  }

  static MMSSM_DEVICE int64_t carry_at(
      const ScanArgs& s, const Run& run, int64_t k, int64_t d, int64_t e) {
    return ((run.number * s.paths + k) * s.sets * L::kSet + d) * s.channels + e;
  }

  static MMSSM_DEVICE void begin(
      const ScanArgs& s, const Run& run, int64_t k, int64_t e, int64_t d0,
      T (&h)[L::kStates]) {
#pragma unroll
    for (int i = 0; i < L::kStates; ++i) {
      h[i] = 0;
      if (!kFull || e >= s.channels || d0 + i >= s.states) {
        continue;
      }
      if (s.spans > 1) {
        h[i] = static_cast<const T*>(s.carry)[carry_at(s, run, k, d0 + i, e)];
      } else if (s.initial_state.data) {
        h[i] = load<T>(
            s.initial_state,
            state_at(s.initial_state, run.n, k, run.segment, e, d0 + i));
      }
    }
  }

  // The states that the backward begins with.
  static MMSSM_DEVICE void keep(
      const ScanArgs& s, const Run& run, int64_t k, int64_t first, int64_t e,
      int64_t d0, const T (&h)[L::kStates]) {
    const int64_t within = first - run.segment * s.segment;
    if (!s.checkpoints || within == 0 || within % kCheckpointSteps != 0) {
      return;
    }
#pragma unroll
    for (int i = 0; i < L::kStates; ++i) {
      if (e < s.channels && d0 + i < s.states) {
        static_cast<T*>(s.checkpoints)[checkpoint_at(
            s, run, k, within / kCheckpointSteps - 1, d0 + i, e)] = h[i];
      }
    }
  }

  static MMSSM_DEVICE void end(
      const ScanArgs& s, const Run& run, int64_t k, int64_t e, int64_t d0,
      const T (&h)[L::kStates], T sum_delta, bool is_first) {
    const bool keeps = kFull && s.last_state.data && run.span == s.spans - 1;
#pragma unroll
    for (int i = 0; i < L::kStates; ++i) {
      if (e >= s.channels || d0 + i >= s.states) {
        continue;
      }
      if (keeps) {
        store<T>(
            s.last_state, state_at(s.last_state, run.n, k, run.segment, e, d0 + i),
            h[i]);
      }
      if (!kFull) {
        static_cast<T*>(s.carry)[carry_at(s, run, k, d0 + i, e)] = h[i];
      }
    }
    if (!kFull && is_first && e < s.channels) {
      static_cast<T*>(s.decay)[(run.number * s.paths + k) * s.channels + e] = sum_delta;
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
    for (int64_t i = 0; i < s.spans; ++i) {
      const int64_t row =
          (first_run + (kBackward ? s.spans - 1 - i : i)) * s.paths + k;
      T* carry =
          static_cast<T*>(s.carry) + (row * a.set_states + d) * s.channels + e;
      const T decay = static_cast<const T*>(s.decay)[row * s.channels + e];
      const T next = exp2_of(A * decay) * h + *carry;
      *carry = h;
      h = next;
    }
  }
};

}  // namespace cuda
}  // namespace mmssm
