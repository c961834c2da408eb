// The forward of the scan. A task is one block of channels of one sample, through
// all paths that are summed into one output.

#pragma once

#include "scan.h"

namespace mmssm {
namespace MMSSM_ISA {

template <class T>
class Forward {
 public:
  static int64_t tasks(const Scan& s) {
    return s.batch * num_path_sets(s) * num_blocks(s);
  }

  static int64_t scratch(const Scan& s) {
    Arena arena(nullptr);
    Forward(s, arena);
    return arena.used();
  }

  static void run(const Scan& s, int64_t begin, int64_t end, void* memory) {
    Arena arena(memory);
    Forward forward(s, arena);
    for (int64_t task = begin; task < end; ++task) {
      forward.run_task(task);
    }
  }

 private:
  Forward(const Scan& s, Arena& arena)
      : s_(s),
        weights_(s, arena),
        in_(s, arena, false),
        map_(s, arena, false),
        state_(arena.take<T>(s.states * kLanes)),
        y_(arena.take<T>(kSteps * kLanes)),
        sum_(arena.take<T>(sums() ? s.tokens * kLanes : 0)) {}

  // Whether a token is visited more than once, so that its output is a sum.
  bool sums() const { return paths_per_set(s_) > 1; }

  // Samples follow each other, so that a block's weights are loaded once.
  void run_task(int64_t task) {
    const int64_t blocks = num_blocks(s_), set = task / s_.batch / blocks;
    const Place p = make_place(
        s_, task % s_.batch, set * paths_per_set(s_), task / s_.batch % blocks);
    weights_.load(s_, p);
    if (s_.deform) {
      map_.load(s_, p);
    }
    if (!sums()) {
      run_path(p);
      return;
    }
    std::memset(sum_, 0, sizeof(T) * s_.tokens * kLanes);
    for (int64_t i = 0; i < paths_per_set(s_); ++i) {
      run_path(p.on_path(p.k + i));
    }
    store(sum_, neighbours(0, s_.tokens), p);
  }

  void run_path(const Place& p) {
    const Weights<T> weights = weights_.of(s_, p);
    for (int64_t segment = 0; segment < s_.segments; ++segment) {
      load_state(state_, s_.initial_state, s_, p, segment);
      for (int64_t number = 0; number < chunks_in(s_, segment); ++number) {
        run_chunk(p, make_chunk(s_, segment, number), weights);
      }
      if (s_.last_state) {
        store_tile(state_, s_.last_state, state_window(s_, s_.last_state, p, segment));
      }
    }
  }

  void run_chunk(const Place& p, const Chunk& chunk, const Weights<T>& weights) {
    if (chunk.number > 0 && s_.checkpoints) {
      copy_lanes(
          checkpoint<T>(s_, p, chunk), s_.channels, state_, kLanes, s_.states, p.width);
    }
    in_.load(s_, p, chunk, weights, map_);
    in_.prefetch_next(s_, p, chunk, s_.y);
    skip(weights);
    for (int64_t d = 0; d < s_.states; ++d) {
      if (in_.reach * weights.reach[d] <= kExp2Bound<T>) {
        run_state<true>(d, weights);
      } else {
        run_state<false>(d, weights);
      }
    }
    if (sums()) {
      add_rows(sum_, y_, in_.tokens);
    } else {
      store(y_, in_.tokens, p);
    }
  }

  void skip(const Weights<T>& weights) {
    if (!s_.D) {
      std::memset(y_, 0, sizeof(T) * in_.tokens.count * kLanes);
      return;
    }
    constexpr int V = kVectors<T>;
    const Vec<T>* D = reinterpret_cast<const Vec<T>*>(weights.D);
    const Vec<T>* x = reinterpret_cast<const Vec<T>*>(in_.x);
    Vec<T>* y = reinterpret_cast<Vec<T>*>(y_);
    for (int64_t t = 0; t < in_.tokens.count; ++t) {
      for (int v = 0; v < V; ++v) {
        y[t * V + v] = D[v] * x[t * V + v];
      }
    }
  }

  template <bool kBounded>
  void run_state(int64_t d, const Weights<T>& weights) {
    constexpr int V = kVectors<T>;
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* delta_x = reinterpret_cast<const Vec<T>*>(in_.delta_x);
    const Vec<T>* A = reinterpret_cast<const Vec<T>*>(weights.A_log2e) + d * V;
    const T* B = in_.B.data + d * in_.B.state;
    const int64_t B_step = in_.B.step;
    const T* C = in_.C.data + d * in_.C.state;
    const int64_t C_step = in_.C.step;
    Vec<T>* state = reinterpret_cast<Vec<T>*>(state_) + d * V;
    Vec<T>* y = reinterpret_cast<Vec<T>*>(y_);
    Vec<T> h[V], a[V];
    for (int v = 0; v < V; ++v) {
      h[v] = state[v];
      a[v] = A[v];
    }
    for (int64_t t = 0; t < in_.tokens.count; ++t) {
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        h[v] = exp2<T, kBounded>(delta[i] * a[v]) * h[v] + delta_x[i] * B[t * B_step];
        y[i] += h[v] * C[t * C_step];
      }
    }
    for (int v = 0; v < V; ++v) {
      state[v] = h[v];
    }
  }

  void store(const T* tile, const Places& tokens, const Place& p) {
    const View& v = s_.y;
    const int64_t start = offset(v, p.n) + p.first * v.stride[2] + p.k * v.stride[3];
    store_tile(tile, v, {start, tokens, v.stride[1], p.width, v.stride[2]});
  }

  const Scan& s_;
  WeightSet<T> weights_;
  Inputs<T> in_;
  SampledMap<T> map_;
  T* state_;  // (d, lane)
  T* y_;      // (t, lane), output of one path
  T* sum_;    // (l, lane), output of all paths in token order
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
