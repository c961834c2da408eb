// The scan, forward and backward, for one instruction set.
//
// A task owns one block of kLanes channels; the innermost loops run over them, so
// that the recurrence needs no sums over lanes. Time is cut into chunks of
// kCheckpointSteps steps whose tiles stay in the cache, and each state runs through
// a chunk by itself, in registers.

#pragma once

#include "../common/scan.h"
#include "math.h"
#include "tile.h"
#include "vec.h"

namespace mmssm {
namespace MMSSM_ISA {

constexpr int64_t kSteps = kCheckpointSteps;

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t num_blocks(const Scan& s) { return ceil_div(s.channels, kLanes); }

// Hands out pieces of a thread's memory; without memory it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<char*>(memory)) {}

  template <class T>
  T* take(int64_t count) {
    T* piece = memory_ ? reinterpret_cast<T*>(memory_ + used_) : nullptr;
    used_ += ceil_div(count * int64_t(sizeof(T)), 64) * 64;
    return piece;
  }

  int64_t used() const { return used_; }

 private:
  char* memory_;
  int64_t used_ = 0;
};

// One block of channels of one path.
struct Place {
  int64_t n, k, block;
  int64_t first;  // first channel
  int64_t width;  // channels in use
};

// A stretch of at most kSteps steps between two restarts of the state.
struct Chunk {
  int64_t segment, number, start, count;
};

inline Chunk make_chunk(const Scan& s, int64_t segment, int64_t number) {
  const int64_t start = segment * s.segment + number * kSteps;
  const int64_t end = smaller((segment + 1) * s.segment, s.tokens);
  return {segment, number, start, smaller(kSteps, end - start)};
}

inline int64_t chunks_in(const Scan& s, int64_t segment) {
  const int64_t start = segment * s.segment;
  return ceil_div(smaller(s.segment, s.tokens - start), kSteps);
}

// The tokens that the steps of a chunk visit.
inline void find_tokens(const Scan& s, int64_t k, const Chunk& chunk, int64_t* token) {
  if (!s.index) {
    for (int64_t t = 0; t < chunk.count; ++t) {
      token[t] = chunk.start + t;
    }
    return;
  }
  const int64_t* order = s.index + s.rows[k] * s.tokens;
  for (int64_t t = 0; t < chunk.count; ++t) {
    const int64_t step = chunk.start + t;
    token[t] = order[s.reverse[k] ? s.tokens - 1 - step : step];
  }
}

inline int64_t offset(const View& v, int64_t a) { return a * v.stride[0]; }
inline int64_t offset(const View& v, int64_t a, int64_t b) {
  return a * v.stride[0] + b * v.stride[1];
}

// The weights of one block of channels of one path.
template <class T>
struct Weights {
  T* A;        // (d, lane)
  T* A_log2e;  // (d, lane), what 2^x needs
  T* D;        // (lane)
  T* dt_bias;  // (lane)
  T* dt;       // (r, lane)

  Weights(const Scan& s, Arena& arena)
      : A(arena.take<T>(s.states * kLanes)),
        A_log2e(arena.take<T>(s.states * kLanes)),
        D(arena.take<T>(kLanes)),
        dt_bias(arena.take<T>(kLanes)),
        dt(arena.take<T>(s.rank * kLanes)) {}

  void load(const Scan& s, const Place& p) {
    const auto at = [&](const View& v) {
      return offset(v, p.k) + p.first * v.stride[1];
    };
    load_lanes(A, s.A, at(s.A), s.A.stride[2], s.states, s.A.stride[1], p.width);
    for (int64_t i = 0; i < s.states * kLanes; ++i) {
      A_log2e[i] = A[i] * Constants<T>::kLog2e;
    }
    load_or_zero(D, s.D, p);
    load_or_zero(dt_bias, s.dt_bias, p);
    if (s.rank) {
      const View& w = s.dt_weight;
      load_lanes(dt, w, at(w), w.stride[2], s.rank, w.stride[1], p.width);
    }
  }

 private:
  static void load_or_zero(T* to, const View& v, const Place& p) {
    if (v) {
      load_lanes(to, v, offset(v, p.k, p.first), 0, 1, v.stride[1], p.width);
    } else {
      std::memset(to, 0, sizeof(T) * kLanes);
    }
  }
};

// B or C of a chunk, in the order of their memory, so that loading is copying.
template <class T>
struct StateTile {
  int64_t step, state;  // strides
  T* data;

  StateTile(const Scan& s, const View& view, Arena& arena)
      : step(view.stride[3] == 1 ? s.states : 1),
        state(view.stride[3] == 1 ? 1 : kSteps),
        data(arena.take<T>(s.states * kSteps)) {}

  void load(
      const Scan& s, const View& view, const Place& p, const int64_t* token,
      int64_t count) {
    load_tile<T>(
        data, step, state, view, offset(view, p.n, p.k), token, view.stride[2], count,
        view.stride[3], s.states);
  }
};

// What the steps of a chunk read.
template <class T>
struct Inputs {
  int64_t* token;  // (t)
  T* x;            // (t, lane)
  T* delta;        // (t, lane)
  T* raw;          // (t, lane), what softplus was given
  T* delta_x;      // (t, lane)
  StateTile<T> B;
  StateTile<T> C;
  T* dt;           // (t, r)

  Inputs(const Scan& s, Arena& arena)
      : token(arena.take<int64_t>(kSteps)),
        x(arena.take<T>(kSteps * kLanes)),
        delta(arena.take<T>(kSteps * kLanes)),
        raw(arena.take<T>(kSteps * kLanes)),
        delta_x(arena.take<T>(kSteps * kLanes)),
        B(s, s.B, arena),
        C(s, s.C, arena),
        dt(arena.take<T>(kSteps * s.rank)) {
    // Lanes beyond the last channel are never loaded and stay zero.
    if (x) {
      std::memset(x, 0, sizeof(T) * kSteps * kLanes);
      std::memset(delta, 0, sizeof(T) * kSteps * kLanes);
    }
  }

  void load(const Scan& s, const Place& p, const Chunk& chunk, const Weights<T>& w) {
    find_tokens(s, p.k, chunk, token);
    load_channels(x, s.x[s.source ? s.source[p.k] : p.k], p.n, p, chunk);
    B.load(s, s.B, p, token, chunk.count);
    C.load(s, s.C, p, token, chunk.count);
    load_delta(s, p, chunk, w);
  }

  // Loads (t, lane) from a view that begins with (n, l, e).
  void load_channels(
      T* tile, const View& v, int64_t n, const Place& p, const Chunk& chunk,
      int64_t more = 0) const {
    const int64_t start = offset(v, n) + p.first * v.stride[2] + more;
    clear_idle(tile, p, chunk);
    load_tile<T>(
        tile, kLanes, 1, v, start, token, v.stride[1], chunk.count, v.stride[2],
        p.width);
  }

 private:
  static void clear_idle(T* tile, const Place& p, const Chunk& chunk) {
    if (p.width < kLanes) {
      std::memset(tile, 0, sizeof(T) * chunk.count * kLanes);
    }
  }

  void load_delta(
      const Scan& s, const Place& p, const Chunk& chunk, const Weights<T>& w) {
    const View& v = s.dt;
    int64_t start = offset(v, p.n, p.k);
    if (s.rank) {
      load_tile<T>(
          dt, s.rank, 1, v, start, token, v.stride[2], chunk.count, v.stride[3],
          s.rank);
    } else {
      start += p.first * v.stride[3];
      clear_idle(delta, p, chunk);
      load_tile<T>(
          delta, kLanes, 1, v, start, token, v.stride[2], chunk.count, v.stride[3],
          p.width);
    }
    if (s.rank) {
      project(s.rank, chunk.count, w);
    }
    finish_delta(s.softplus, chunk.count, w);
  }

  // delta = W dt
  void project(int64_t rank, int64_t count, const Weights<T>& w) {
    constexpr int V = kVectors<T>;
    const Vec<T>* weight = reinterpret_cast<const Vec<T>*>(w.dt);
    Vec<T>* out = reinterpret_cast<Vec<T>*>(delta);
    const T* in = dt;
    for (int64_t t = 0; t < count; ++t) {
      Vec<T> sum[V] = {};
      for (int64_t r = 0; r < rank; ++r) {
        for (int v = 0; v < V; ++v) {
          sum[v] += in[t * rank + r] * weight[r * V + v];
        }
      }
      for (int v = 0; v < V; ++v) {
        out[t * V + v] = sum[v];
      }
    }
  }

  void finish_delta(bool with_softplus, int64_t count, const Weights<T>& w) {
    constexpr int V = kVectors<T>;
    const Vec<T>* bias = reinterpret_cast<const Vec<T>*>(w.dt_bias);
    const Vec<T>* from = reinterpret_cast<const Vec<T>*>(x);
    Vec<T>* given = reinterpret_cast<Vec<T>*>(raw);
    Vec<T>* out = reinterpret_cast<Vec<T>*>(delta);
    Vec<T>* product = reinterpret_cast<Vec<T>*>(delta_x);
    for (int64_t t = 0; t < count; ++t) {
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        given[i] = out[i] + bias[v];
        out[i] = with_softplus ? softplus<T>(given[i]) : given[i];
        product[i] = out[i] * from[i];
      }
    }
  }
};

// Adds the rows of a tile to those of `sum` that the tokens name.
template <class T>
inline void add_rows(T* sum, const T* tile, const int64_t* token, int64_t count) {
  constexpr int V = kVectors<T>;
  const Vec<T>* from = reinterpret_cast<const Vec<T>*>(tile);
  for (int64_t t = 0; t < count; ++t) {
    Vec<T>* to = reinterpret_cast<Vec<T>*>(sum) + token[t] * V;
    for (int v = 0; v < V; ++v) {
      to[v] += from[t * V + v];
    }
  }
}

// The state of a block at the beginning of a segment, (d, lane).
template <class T>
inline void load_state(T* state, const Scan& s, const Place& p, int64_t segment) {
  const View& v = s.initial_state;
  if (!v) {
    std::memset(state, 0, sizeof(T) * s.states * kLanes);
    return;
  }
  const int64_t start = offset(v, p.n, p.k) + segment * v.stride[2];
  load_lanes(
      state, v, start + p.first * v.stride[3], v.stride[4], s.states, v.stride[3],
      p.width);
}

template <class T>
inline void store_state(
    const T* state, const View& v, const Scan& s, const Place& p, int64_t segment) {
  const int64_t start = offset(v, p.n, p.k) + segment * v.stride[2];
  store_lanes(
      state, v, start + p.first * v.stride[3], v.stride[4], s.states, v.stride[3],
      p.width);
}

// Where the state before chunk `chunk.number` (from 1 on) is kept.
template <class T>
inline T* checkpoint(const Scan& s, const Place& p, const Chunk& chunk) {
  int64_t slot = (p.n * s.paths + p.k) * s.segments + chunk.segment;
  slot = slot * num_slots(s) + chunk.number - 1;
  return static_cast<T*>(s.checkpoints) + slot * s.states * s.channels + p.first;
}

template <class T>
inline void copy_lanes(
    T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows,
    int64_t width) {
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_row, from + i * from_row, sizeof(T) * width);
  }
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
