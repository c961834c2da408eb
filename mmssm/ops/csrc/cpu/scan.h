// The scan, forward and backward, for one instruction set.
//
// A task owns one block of kLanes channels; the innermost loops run over them, so
// that the recurrence needs no sums over lanes. Time is cut into chunks of
// kCheckpointSteps steps whose tiles stay in the cache, and each state runs through
// a chunk by itself, in registers.

#pragma once

#include "blocks.h"
#include "math.h"
#include "sampled_map.h"

namespace mmssm {
namespace MMSSM_ISA {

// The weights of one block of channels of one path.
template <class T>
struct Weights {
  T* A;        // (d, lane)
  T* A_log2e;  // (d, lane), what 2^x needs
  T* D;        // (lane)
  T* dt_bias;  // (lane)
  T* dt;       // (r, lane)
  T* reach;    // (d), largest |A_log2e| of all lanes, NaN if there is one

  static int64_t size(const Scan& s) {
    return (2 * s.states + 2 + s.rank) * kLanes + ceil_div(s.states, kLanes) * kLanes;
  }

  Weights(const Scan& s, T* memory)
      : A(memory),
        A_log2e(A + s.states * kLanes),
        D(A_log2e + s.states * kLanes),
        dt_bias(D + kLanes),
        dt(dt_bias + kLanes),
        reach(dt + s.rank * kLanes) {}

  void load(const Scan& s, const Place& p) {
    load_part(A, s.A, p, s.states);
    load_part(D, s.D, p, 1);
    load_part(dt_bias, s.dt_bias, p, 1);
    load_part(dt, s.dt_weight, p, s.rank);
    for (int64_t d = 0; d < s.states; ++d) {
      T most = 0;
      for (int64_t i = d * kLanes; i < (d + 1) * kLanes; ++i) {
        A_log2e[i] = A[i] * Constants<T>::kLog2e;
        const T size = A_log2e[i] < 0 ? -A_log2e[i] : A_log2e[i];
        most = size > most || size != size ? size : most;
      }
      reach[d] = most;
    }
  }

 private:
  static void load_part(T* to, const View& v, const Place& p, int64_t count) {
    std::memset(to, 0, sizeof(T) * count * kLanes);
    if (v) {
      load_tile(
          to, kLanes, 1, v,
          block_window(p, offset(v, p.k), count, v.stride[2], v.stride[1]));
    }
  }
};

// The weights of one block of channels of all paths of a set, kept from one sample
// to the next.
template <class T>
class WeightSet {
 public:
  WeightSet(const Scan& s, Arena& arena)
      : size_(Weights<T>::size(s)), memory_(arena.take<T>(paths_per_set(s) * size_)) {}

  // Loads what the paths from p.k on need.
  void load(const Scan& s, Place p) {
    if (p.k == first_path_ && p.block == block_) {
      return;
    }
    first_path_ = p.k;
    block_ = p.block;
    for (int64_t i = 0; i < paths_per_set(s); ++i, ++p.k) {
      of(s, p).load(s, p);
    }
  }

  Weights<T> of(const Scan& s, const Place& p) const {
    return {s, memory_ + (p.k - first_path_) * size_};
  }

 private:
  int64_t size_;
  T* memory_;
  int64_t first_path_ = -1, block_ = -1;
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

  void load(const Scan& s, const View& view, const Place& p, const Places& tokens) {
    if (s.states > 0) {
      load_tile(
          data, step, state, view,
          {offset(view, p.n, p.k), tokens, view.stride[2], s.states, view.stride[3]});
    }
  }
};

// What the steps of a chunk read.
template <class T>
struct Inputs {
  int64_t* list;  // (t), memory of `tokens`
  Places tokens;  // (t)
  T* tiles;       // two of (t, lane), memory of `x` and `u`
  const T* x;     // (t, lane), what the skip reads
  const T* u;     // (t, lane), what the states read: `x`, or samples of it
  T* delta;       // (t, lane)
  T* slope;       // (t, lane), derivative of softplus; for the backward
  T* delta_x;     // (t, lane)
  StateTile<T> B;
  StateTile<T> C;
  T* dt;          // (t, r)
  T reach;        // largest |delta|, NaN if there is one

  Inputs(const Scan& s, Arena& arena, bool for_backward)
      : list(arena.take<int64_t>(kSteps)),
        tiles(arena.take<T>((s.deform ? 2 : 1) * kSteps * kLanes)),
        x(tiles),
        u(tiles),
        delta(arena.take<T>(kSteps * kLanes)),
        slope(for_backward ? arena.take<T>(kSteps * kLanes) : nullptr),
        delta_x(arena.take<T>(kSteps * kLanes)),
        B(s, s.B, arena),
        C(s, s.C, arena),
        dt(arena.take<T>(kSteps * s.rank)) {}

  void load(
      const Scan& s, const Place& p, const Chunk& chunk, const Weights<T>& w,
      const SampledMap<T>& map) {
    tokens = find_tokens(s, p.k, chunk, list);
    if (s.deform) {
      x = rows_of(map.x(), tokens, tiles);
      u = rows_of(map.u(), tokens, tiles + kSteps * kLanes);
    } else {
      load_channels(tiles, s.x[s.source ? s.source[p.k] : p.k], p, 0);
    }
    B.load(s, s.B, p, tokens);
    C.load(s, s.C, p, tokens);
    load_delta(s, p, w);
  }

  // Asks for what the chunk after this one reads, here or in the next sample, and for
  // its part of `other` (n, l, e, k). Only channels that are contiguous need it.
  void prefetch_next(
      const Scan& s, Place p, const Chunk& chunk, const View& other) const {
    if (s.index || s.x[p.k].stride[1] != 1) {
      return;
    }
    int64_t start = chunk.start + chunk.count;
    if (start == s.tokens) {
      start = 0;
      p.n += 1;
    }
    if (p.n == s.batch) {
      return;
    }
    const Places next = neighbours(start, smaller(kSteps, s.tokens - start));
    const auto ask = [&](const View& v, Window window) {
      window.places = next;
      prefetch(v, window);
    };
    ask(s.x[p.k], channels(s.x[p.k], p, 0));
    ask(s.dt, steps(s.dt, p));
    ask(other, channels(other, p, p.k * other.stride[3]));
  }

  // Loads (t, lane) from a view that begins with (n, l, e); lanes beyond the last
  // channel are zero.
  void load_channels(T* tile, const View& v, const Place& p, int64_t more) const {
    clear_idle(tile, p);
    load_tile(tile, kLanes, 1, v, channels(v, p, more));
  }

  Window channels(const View& v, const Place& p, int64_t more) const {
    return {
        offset(v, p.n) + p.first * v.stride[2] + more, tokens, v.stride[1], p.width,
        v.stride[2]};
  }

  // Of a view (n, k, l, e).
  Window steps(const View& v, const Place& p) const {
    return {
        offset(v, p.n, p.k) + p.first * v.stride[3], tokens, v.stride[2], p.width,
        v.stride[3]};
  }

 private:
  void clear_idle(T* tile, const Place& p) const {
    if (p.width < kLanes) {
      std::memset(tile, 0, sizeof(T) * tokens.count * kLanes);
    }
  }

  void load_delta(const Scan& s, const Place& p, const Weights<T>& w) {
    const View& v = s.dt;
    if (s.rank) {
      load_tile(
          dt, s.rank, 1, v,
          {offset(v, p.n, p.k), tokens, v.stride[2], s.rank, v.stride[3]});
      project(s.rank, w);
    } else {
      clear_idle(delta, p);
      load_tile(delta, kLanes, 1, v, steps(v, p));
    }
    const Bits<T> most = s.softplus ? (slope ? finish_delta<true, true>(w)
                                            : finish_delta<true, false>(w))
                                   : (slope ? finish_delta<false, true>(w)
                                            : finish_delta<false, false>(w));
    auto size = most[0];
    for (int i = 1; i < kWidth<T>; ++i) {
      size = most[i] > size ? most[i] : size;
    }
    reach = read_as<T>(&size);
  }

  // delta = W dt
  void project(int64_t rank, const Weights<T>& w) {
    constexpr int V = kVectors<T>;
    const Vec<T>* weight = reinterpret_cast<const Vec<T>*>(w.dt);
    Vec<T>* out = reinterpret_cast<Vec<T>*>(delta);
    const T* in = dt;
    for (int64_t t = 0; t < tokens.count; ++t) {
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

  // Bias and softplus; returns the largest |delta| of the lanes. Two short loops keep
  // more steps in flight than a long one.
  template <bool kSoftplus, bool kSlope>
  Bits<T> finish_delta(const Weights<T>& w) {
    constexpr int V = kVectors<T>;
    const int64_t count = tokens.count;
    const Vec<T>* bias = reinterpret_cast<const Vec<T>*>(w.dt_bias);
    const Vec<T>* from = reinterpret_cast<const Vec<T>*>(u);
    Vec<T>* out = reinterpret_cast<Vec<T>*>(delta);
    Vec<T>* slopes = reinterpret_cast<Vec<T>*>(slope);
    Vec<T>* product = reinterpret_cast<Vec<T>*>(delta_x);
    for (int64_t t = 0; t < count; ++t) {
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        out[i] += bias[v];
        if constexpr (kSoftplus) {
          product[i] = exp_negative<T>(out[i]);
        }
      }
    }
    Bits<T> most = {};
    for (int64_t i = 0; i < count * V; ++i) {
      const Vec<T> given = out[i], e = product[i];
      const Vec<T> value = kSoftplus ? softplus<T>(given, e) : given;
      const Bits<T> size = magnitude<T>(value);
      most = size > most ? size : most;
      out[i] = value;
      product[i] = value * from[i];
      if constexpr (kSlope) {
        slopes[i] = kSoftplus ? softplus_slope<T>(given, e) : Vec<T>{} + T(1);
      }
    }
    return most;
  }
};

// Adds the rows of a tile to those of `sum` that the tokens name.
template <class T>
inline void add_rows(T* sum, const T* tile, const Places& tokens) {
  constexpr int V = kVectors<T>;
  const Vec<T>* from = reinterpret_cast<const Vec<T>*>(tile);
  for (int64_t t = 0; t < tokens.count; ++t) {
    Vec<T>* to = reinterpret_cast<Vec<T>*>(sum) + tokens[t] * V;
    for (int v = 0; v < V; ++v) {
      to[v] += from[t * V + v];
    }
  }
}

// A state (d, lane) at the beginning of a segment: given, or zero.
template <class T>
inline void load_state(
    T* state, const View& v, const Scan& s, const Place& p, int64_t segment) {
  std::memset(state, 0, sizeof(T) * s.states * kLanes);
  if (v) {
    load_tile(state, kLanes, 1, v, state_window(s, v, p, segment));
  }
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
