// The backward of the scan. The states of a chunk are computed again from the
// checkpoint before it, then the chunk is run through from its end. A task is some
// blocks of channels of some samples, through all paths that are summed into one
// output. What tokens or weights of several tasks share is summed afterwards, in a
// fixed order, by `reduce_tokens` and `reduce_weights`.

#pragma once

#include "scan.h"

namespace mmssm {
namespace MMSSM_ISA {

// Enough for many cores, few enough for the partial sums to stay small.
constexpr int64_t kBackwardTasks = 32;

inline int64_t token_row(const Scan& s) { return 2 * s.states + s.rank; }
inline int64_t weight_rows(const Scan& s) { return s.states + 2 + s.rank; }

// Turns (t, vector) into the sums over lanes (t).
template <class T>
inline void sum_rows(T* sums, const Vec<T>* rows, int64_t count) {
  for (int64_t t = 0; t < count; t += kWidth<T>) {
    *reinterpret_cast<Vec<T>*>(sums + t) = sum_lanes<T>(rows + t);
  }
}

template <class T>
class Backward {
 public:
  static BackwardPlan plan(const Scan& s) {
    BackwardPlan plan;
    plan.blocks = num_blocks(s);
    plan.batch_parts = smaller(s.batch, kBackwardTasks);
    const int64_t others = plan.batch_parts * num_path_sets(s);
    plan.block_parts =
        others ? smaller(plan.blocks, ceil_div(kBackwardTasks, others)) : 0;
    return plan;
  }

  static int64_t scratch(const Scan& s) {
    Arena arena(nullptr);
    Backward(s, ScanGrad{}, BackwardPlan{}, arena);
    return arena.used();
  }

  static void run(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end, void* memory) {
    Arena arena(memory);
    Backward backward(s, grad, plan, arena);
    for (int64_t task = begin; task < end; ++task) {
      backward.run_task(task);
    }
  }

 private:
  Backward(const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, Arena& arena)
      : s_(s),
        grad_(grad),
        plan_(plan),
        weights_(s, arena),
        in_(s, arena),
        state_(arena.take<T>(s.states * kLanes)),
        dstate_(arena.take<T>(s.states * kLanes)),
        dy_(arena.take<T>(kSteps * kLanes)),
        ddelta_(arena.take<T>(kSteps * kLanes)),
        ddelta_x_(arena.take<T>(kSteps * kLanes)),
        dx_(arena.take<T>(kSteps * kLanes)),
        decay_(arena.take<T>(kSteps * kLanes)),
        decayed_(arena.take<T>(kSteps * kLanes)),
        dB_rows_(arena.take<Vec<T>>(kSteps)),
        dC_rows_(arena.take<Vec<T>>(kSteps)),
        token_tile_(arena.take<T>(token_row(s) * kSteps)),
        dx_sum_(arena.take<T>(sums() ? s.sources * s.tokens * kLanes : 0)) {}

  bool sums() const {
    return paths_per_set(s_) > 1 || (s_.merge && s_.sources > 1);
  }

  void run_task(int64_t task) {
    const int64_t part = task % plan_.block_parts;
    const int64_t set = task / plan_.block_parts % num_path_sets(s_);
    const int64_t batch_part = task / plan_.block_parts / num_path_sets(s_);
    const int64_t first_block = part * plan_.blocks / plan_.block_parts;
    const int64_t last_block = (part + 1) * plan_.blocks / plan_.block_parts;
    const int64_t first_n = batch_part * s_.batch / plan_.batch_parts;
    const int64_t last_n = (batch_part + 1) * s_.batch / plan_.batch_parts;
    block_part_ = part;
    batch_part_ = batch_part;
    Place p;
    for (p.block = first_block; p.block < last_block; ++p.block) {
      p.first = p.block * kLanes;
      p.width = smaller(kLanes, s_.channels - p.first);
      for (p.n = first_n; p.n < last_n; ++p.n) {
        run_set(p, set);
      }
    }
  }

  void run_set(Place p, int64_t set) {
    if (sums()) {
      std::memset(dx_sum_, 0, sizeof(T) * s_.sources * s_.tokens * kLanes);
    }
    for (int64_t i = 0; i < paths_per_set(s_); ++i) {
      p.k = set * paths_per_set(s_) + i;
      run_path(p);
    }
    if (sums()) {
      store_dx_sum(p);
    }
  }

  void run_path(const Place& p) {
    weights_.load(s_, p);
    for (int64_t segment = 0; segment < s_.segments; ++segment) {
      load_dstate(p, segment);
      for (int64_t number = chunks_in(s_, segment) - 1; number >= 0; --number) {
        run_chunk(p, make_chunk(s_, segment, number));
      }
      if (grad_.initial_state) {
        store_state(dstate_, grad_.initial_state, s_, p, segment);
      }
    }
  }

  void load_dstate(const Place& p, int64_t segment) {
    const View& v = grad_.last_state;
    if (!v) {
      std::memset(dstate_, 0, sizeof(T) * s_.states * kLanes);
      return;
    }
    const int64_t start = offset(v, p.n, p.k) + segment * v.stride[2];
    load_lanes(
        dstate_, v, start + p.first * v.stride[3], v.stride[4], s_.states,
        v.stride[3], p.width);
  }

  void run_chunk(const Place& p, const Chunk& chunk) {
    if (chunk.number > 0) {
      std::memset(state_, 0, sizeof(T) * s_.states * kLanes);
      copy_lanes(
          state_, kLanes, checkpoint<T>(s_, p, chunk), s_.channels, s_.states, p.width);
    } else {
      load_state(state_, s_, p, chunk.segment);
    }
    in_.load(s_, p, chunk, weights_);
    const View& y = grad_.y;
    in_.load_channels(dy_, y, p.n, p, chunk, p.k * y.stride[3]);
    clear_padding(chunk.count);
    std::memset(ddelta_, 0, sizeof(T) * chunk.count * kLanes);
    std::memset(ddelta_x_, 0, sizeof(T) * chunk.count * kLanes);
    for (int64_t d = 0; d < s_.states; ++d) {
      run_state(p, d, chunk.count);
    }
    finish_channels(p, chunk.count);
    finish_tokens(p, chunk.count);
  }

  // Rows beyond the last step take part in `sum_rows`, though nobody reads their
  // sums: keep what was never written out of the arithmetic.
  void clear_padding(int64_t count) {
    for (int64_t t = count; t < ceil_div(count, kWidth<T>) * kWidth<T>; ++t) {
      dB_rows_[t] = Vec<T>{};
      dC_rows_[t] = Vec<T>{};
    }
  }

  T* weight_sum(const Place& p, int64_t row) {
    const int64_t place = (batch_part_ * s_.paths + p.k) * plan_.blocks + p.block;
    return static_cast<T*>(plan_.weight_sums) +
           (place * weight_rows(s_) + row) * kLanes;
  }

  void run_state(const Place& p, int64_t d, int64_t count) {
    constexpr int V = kVectors<T>;
    recompute_state(d, count);
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* delta_x = reinterpret_cast<const Vec<T>*>(in_.delta_x);
    const Vec<T>* decay = reinterpret_cast<const Vec<T>*>(decay_);
    const Vec<T>* decayed = reinterpret_cast<const Vec<T>*>(decayed_);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    const Vec<T>* A = reinterpret_cast<const Vec<T>*>(weights_.A) + d * V;
    const T* B = in_.B.data + d * in_.B.state;
    const int64_t B_step = in_.B.step;
    const T* C = in_.C.data + d * in_.C.state;
    const int64_t C_step = in_.C.step;
    Vec<T>* ddelta = reinterpret_cast<Vec<T>*>(ddelta_);
    Vec<T>* ddelta_x = reinterpret_cast<Vec<T>*>(ddelta_x_);
    Vec<T>* dstate = reinterpret_cast<Vec<T>*>(dstate_) + d * V;
    Vec<T>* dA_sum = reinterpret_cast<Vec<T>*>(weight_sum(p, d));
    Vec<T>* rows = dB_rows_;
    Vec<T> dh[V], dA[V], a[V];
    for (int v = 0; v < V; ++v) {
      dh[v] = dstate[v];
      dA[v] = Vec<T>{};
      a[v] = A[v];
    }
    for (int64_t t = count - 1; t >= 0; --t) {
      Vec<T> dB = {};
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        dh[v] += dy[i] * C[t * C_step];
        dB += dh[v] * delta_x[i];
        ddelta_x[i] += dh[v] * B[t * B_step];
        const Vec<T> dexponent = dh[v] * decayed[i];
        ddelta[i] += dexponent * a[v];
        dA[v] += dexponent * delta[i];
        dh[v] *= decay[i];
      }
      rows[t] = dB;
    }
    for (int v = 0; v < V; ++v) {
      dstate[v] = dh[v];
      dA_sum[v] += dA[v];
    }
    sum_rows<T>(token_tile_ + d * kSteps, dB_rows_, count);
    sum_rows<T>(token_tile_ + (s_.states + d) * kSteps, dC_rows_, count);
  }

  // Runs one state forward again, keeping what its backward needs of every step:
  // the decay, and the decayed state before it.
  void recompute_state(int64_t d, int64_t count) {
    constexpr int V = kVectors<T>;
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* delta_x = reinterpret_cast<const Vec<T>*>(in_.delta_x);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    const Vec<T>* A = reinterpret_cast<const Vec<T>*>(weights_.A_log2e) + d * V;
    const Vec<T>* state = reinterpret_cast<const Vec<T>*>(state_) + d * V;
    const T* B = in_.B.data + d * in_.B.state;
    const int64_t B_step = in_.B.step;
    Vec<T>* decay = reinterpret_cast<Vec<T>*>(decay_);
    Vec<T>* decayed = reinterpret_cast<Vec<T>*>(decayed_);
    Vec<T>* rows = dC_rows_;
    Vec<T> h[V], a[V];
    for (int v = 0; v < V; ++v) {
      h[v] = state[v];
      a[v] = A[v];
    }
    for (int64_t t = 0; t < count; ++t) {
      Vec<T> dC = {};
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        decay[i] = exp2<T>(delta[i] * a[v]);
        decayed[i] = decay[i] * h[v];
        h[v] = decayed[i] + delta_x[i] * B[t * B_step];
        dC += dy[i] * h[v];
      }
      rows[t] = dC;
    }
  }

  // From the sums over states to the gradients of x, D, dt and the bias.
  void finish_channels(const Place& p, int64_t count) {
    constexpr int V = kVectors<T>;
    const Vec<T>* x = reinterpret_cast<const Vec<T>*>(in_.x);
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* raw = reinterpret_cast<const Vec<T>*>(in_.raw);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    const Vec<T>* ddelta_x = reinterpret_cast<const Vec<T>*>(ddelta_x_);
    const Vec<T>* D = reinterpret_cast<const Vec<T>*>(weights_.D);
    Vec<T>* draw = reinterpret_cast<Vec<T>*>(ddelta_);
    Vec<T>* dx = reinterpret_cast<Vec<T>*>(dx_);
    Vec<T>* dD = reinterpret_cast<Vec<T>*>(weight_sum(p, s_.states));
    Vec<T>* dbias = reinterpret_cast<Vec<T>*>(weight_sum(p, s_.states + 1));
    const bool has_D = bool(s_.D), has_softplus = s_.softplus;
    Vec<T> D_part[V] = {}, bias_part[V] = {};
    for (int64_t t = 0; t < count; ++t) {
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        Vec<T> sum = ddelta_x[i] * delta[i];
        if (has_D) {
          sum += dy[i] * D[v];
          D_part[v] += dy[i] * x[i];
        }
        dx[i] = sum;
        sum = draw[i] + ddelta_x[i] * x[i];
        if (has_softplus) {
          sum *= softplus_slope<T>(raw[i]);
        }
        draw[i] = sum;
        bias_part[v] += sum;
      }
    }
    for (int v = 0; v < V; ++v) {
      dD[v] += D_part[v];
      dbias[v] += bias_part[v];
    }
    put_dx(p, count);
    if (s_.rank) {
      project_back(p, count);
    } else {
      const View& v = grad_.dt;
      store_tile<T>(
          ddelta_, kLanes, 1, v, offset(v, p.n, p.k) + p.first * v.stride[3],
          in_.token, v.stride[2], count, v.stride[3], p.width);
    }
  }

  // Through the projection of the step sizes, to its input and its weight.
  void project_back(const Place& p, int64_t count) {
    constexpr int V = kVectors<T>;
    const Vec<T>* draw = reinterpret_cast<const Vec<T>*>(ddelta_);
    const T* dt = in_.dt;
    Vec<T>* rows = dB_rows_;
    for (int64_t r = 0; r < s_.rank; ++r) {
      const Vec<T>* weight = reinterpret_cast<const Vec<T>*>(weights_.dt) + r * V;
      Vec<T>* dweight = reinterpret_cast<Vec<T>*>(weight_sum(p, s_.states + 2 + r));
      Vec<T> part[V] = {};
      for (int64_t t = 0; t < count; ++t) {
        Vec<T> ddt = {};
        for (int v = 0; v < V; ++v) {
          ddt += draw[t * V + v] * weight[v];
          part[v] += draw[t * V + v] * dt[t * s_.rank + r];
        }
        rows[t] = ddt;
      }
      for (int v = 0; v < V; ++v) {
        dweight[v] += part[v];
      }
      sum_rows<T>(token_tile_ + (2 * s_.states + r) * kSteps, dB_rows_, count);
    }
  }

  void put_dx(const Place& p, int64_t count) {
    if (!sums()) {
      store_dx(dx_, p.k, count, p);
      return;
    }
    add_rows(
        dx_sum_ + s_.source[p.k] * s_.tokens * kLanes, dx_, in_.token, count);
  }

  void store_dx_sum(const Place& p) {
    for (int64_t source = 0; source < s_.sources; ++source) {
      const T* sum = dx_sum_ + source * s_.tokens * kLanes;
      for (int64_t start = 0; start < s_.tokens; start += kSteps) {
        const int64_t count = smaller(kSteps, s_.tokens - start);
        for (int64_t t = 0; t < count; ++t) {
          in_.token[t] = start + t;
        }
        store_dx(sum + start * kLanes, source, count, p);
      }
    }
  }

  void store_dx(const T* tile, int64_t source, int64_t count, const Place& p) {
    const View& v = grad_.x[source];
    store_tile<T>(
        tile, kLanes, 1, v, offset(v, p.n) + p.first * v.stride[2], in_.token,
        v.stride[1], count, v.stride[2], p.width);
  }

  void finish_tokens(const Place& p, int64_t count) {
    const int64_t row = token_row(s_);
    const T* tile = token_tile_;
    const int64_t place = (block_part_ * s_.batch + p.n) * s_.paths + p.k;
    T* sums = static_cast<T*>(plan_.token_sums) + place * s_.tokens * row;
    for (int64_t t = 0; t < count; ++t) {
      T* sum = sums + in_.token[t] * row;
      for (int64_t i = 0; i < row; ++i) {
        sum[i] += tile[i * kSteps + t];
      }
    }
  }

  const Scan& s_;
  const ScanGrad& grad_;
  const BackwardPlan& plan_;
  Weights<T> weights_;
  Inputs<T> in_;
  T* state_;        // (d, lane), before the chunk
  T* dstate_;       // (d, lane), gradient of the state after the chunk
  T* dy_;           // (t, lane)
  T* ddelta_;       // (t, lane)
  T* ddelta_x_;     // (t, lane)
  T* dx_;           // (t, lane)
  T* decay_;        // (t, lane), of one state
  T* decayed_;      // (t, lane), of one state
  Vec<T>* dB_rows_;  // (t), of one state, not yet summed over lanes
  Vec<T>* dC_rows_;
  T* token_tile_;  // (2 d + r, t): gradients of B, C and dt of this block
  T* dx_sum_;      // (source, l, lane)
  int64_t block_part_ = 0;
  int64_t batch_part_ = 0;
};

template <class T>
class Reduce {
 public:
  // Sums the parts of the blocks for the rows (n, k) in [begin, end).
  static void tokens(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end) {
    const int64_t row = token_row(s);
    const int64_t part = s.batch * s.paths * s.tokens * row;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t l = 0; l < s.tokens; ++l) {
        T* sums = static_cast<T*>(plan.token_sums) + (i * s.tokens + l) * row;
        for (int64_t b = 1; b < plan.block_parts; ++b) {
          for (int64_t j = 0; j < row; ++j) {
            sums[j] += sums[b * part + j];
          }
        }
      }
      const T* sums = static_cast<const T*>(plan.token_sums) + i * s.tokens * row;
      put_tokens(grad.B, s, i, sums, s.states);
      put_tokens(grad.C, s, i, sums + s.states, s.states);
      put_tokens(grad.dt, s, i, sums + 2 * s.states, s.rank);
    }
  }

  // Sums the parts of the batch for the paths in [begin, end).
  static void weights(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end) {
    const int64_t rows = weight_rows(s);
    const int64_t part = s.paths * plan.blocks * rows * kLanes;
    for (int64_t k = begin; k < end; ++k) {
      for (int64_t block = 0; block < plan.blocks; ++block) {
        T* sums = static_cast<T*>(plan.weight_sums) +
                  (k * plan.blocks + block) * rows * kLanes;
        for (int64_t b = 1; b < plan.batch_parts; ++b) {
          for (int64_t j = 0; j < rows * kLanes; ++j) {
            sums[j] += sums[b * part + j];
          }
        }
        const Place p = {
            0, k, block, block * kLanes,
            smaller(kLanes, s.channels - block * kLanes)};
        put_weights(grad.A, p, sums, s.states);
        put_weights(grad.D, p, sums + s.states * kLanes, 1);
        put_weights(grad.dt_bias, p, sums + (s.states + 1) * kLanes, 1);
        put_weights(grad.dt_weight, p, sums + (s.states + 2) * kLanes, s.rank);
      }
    }
  }

 private:
  static void put_tokens(
      const View& v, const Scan& s, int64_t i, const T* sums, int64_t width) {
    if (width == 0) {
      return;
    }
    const int64_t start = offset(v, i / s.paths, i % s.paths);
    with_type(v, [&](auto* data) {
      using S = typename std::remove_reference<decltype(*data)>::type;
      for (int64_t l = 0; l < s.tokens; ++l) {
        for (int64_t j = 0; j < width; ++j) {
          data[start + l * v.stride[2] + j * v.stride[3]] =
              Narrow<S>::from(sums[l * token_row(s) + j]);
        }
      }
    });
  }

  static void put_weights(const View& v, const Place& p, const T* sums, int64_t rows) {
    if (v) {
      store_lanes(
          sums, v, offset(v, p.k, p.first), v.stride[2], rows, v.stride[1], p.width);
    }
  }
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
