// The backward of the scan. The states of a chunk are computed again from the
// checkpoint before it, then the chunk is run through from its end. A task is some
// blocks of channels of some samples, through all paths that read one source. What
// tokens or weights of several tasks share is summed afterwards, in a
// fixed order, by `reduce_tokens` and `reduce_weights`.

#pragma once

#include "scan.h"

namespace mmssm {
namespace MMSSM_ISA {

// Parts of the batch are cheap: their partial sums are as large as the weights. Parts
// of the blocks are not, theirs are as large as the gradients of B and C: they only
// serve small batches.
constexpr int64_t kBatchParts = 32;
constexpr int64_t kTasksWanted = 4;

inline int64_t token_row(const Scan& s) { return 2 * s.states + s.rank; }
inline int64_t weight_rows(const Scan& s) { return s.states + 2 + s.rank; }

template <class T>
class Backward {
 public:
  static BackwardPlan plan(const Scan& s) {
    BackwardPlan plan;
    plan.blocks = num_blocks(s);
    plan.batch_parts = smaller(s.batch, kBatchParts);
    const int64_t others = plan.batch_parts * s.sources;
    plan.block_parts =
        others ? smaller(plan.blocks, ceil_div(kTasksWanted, others)) : 0;
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
        in_(s, arena, true),
        map_(s, arena, true),
        state_(arena.take<T>(s.states * kLanes)),
        dstate_(arena.take<T>(s.states * kLanes)),
        dy_(arena.take<T>(kSteps * kLanes)),
        ddelta_(arena.take<T>(kSteps * kLanes)),
        ddelta_x_(arena.take<T>(kSteps * kLanes)),
        dx_(arena.take<T>(kSteps * kLanes)),
        decay_(arena.take<T>((kSteps + 1) * kLanes)),
        decayed_(arena.take<T>(kSteps * kLanes)),
        dB_rows_(arena.take<Vec<T>>(kSteps)),
        dC_rows_(arena.take<Vec<T>>(kSteps)),
        token_tile_(arena.take<T>(token_row(s) * kSteps)),
        dx_sum_(arena.take<T>(dx_size())) {}

  // Samples leave a row of waste.
  int64_t dx_size() const {
    return s_.merge ? (s_.tokens + bool(s_.deform)) * kLanes : 0;
  }

  void run_task(int64_t task) {
    const int64_t part = task % plan_.block_parts;
    const int64_t source = task / plan_.block_parts % s_.sources;
    const int64_t batch_part = task / plan_.block_parts / s_.sources;
    const int64_t first_block = part * plan_.blocks / plan_.block_parts;
    const int64_t last_block = (part + 1) * plan_.blocks / plan_.block_parts;
    const int64_t first_n = batch_part * s_.batch / plan_.batch_parts;
    const int64_t last_n = (batch_part + 1) * s_.batch / plan_.batch_parts;
    block_part_ = part;
    batch_part_ = batch_part;
    for (int64_t block = first_block; block < last_block; ++block) {
      is_first_block_ = block == first_block;
      for (int64_t n = first_n; n < last_n; ++n) {
        run_source(make_place(s_, n, s_.merge ? 0 : source, block), source);
      }
    }
  }

  void run_source(const Place& p, int64_t source) {
    weights_.load(s_, p);
    if (!s_.merge) {
      run_path(p);
      return;
    }
    std::memset(dx_sum_, 0, sizeof(T) * dx_size());
    if (s_.deform) {
      map_.load(s_, p);
      map_.clear_du(s_);
    }
    for (int64_t k = 0; k < s_.paths; ++k) {
      if (s_.source[k] == source) {
        run_path(p.on_path(k));
      }
    }
    if (s_.deform) {
      map_.pass_back(s_, p, plan_, batch_part_, block_part_, dx_sum_);
    }
    store_dx(dx_sum_, source, neighbours(0, s_.tokens), p);
  }

  void run_path(const Place& p) {
    const Weights<T> weights = weights_.of(s_, p);
    const View& dinitial = grad_.initial_state;
    for (int64_t segment = 0; segment < s_.segments; ++segment) {
      load_state(dstate_, grad_.last_state, s_, p, segment);
      for (int64_t number = chunks_in(s_, segment) - 1; number >= 0; --number) {
        run_chunk(p, make_chunk(s_, segment, number), weights);
      }
      if (dinitial) {
        store_tile(dstate_, dinitial, state_window(s_, dinitial, p, segment));
      }
    }
  }

  void run_chunk(const Place& p, const Chunk& chunk, const Weights<T>& weights) {
    if (chunk.number > 0 && s_.states > 0) {
      std::memset(state_, 0, sizeof(T) * s_.states * kLanes);
      copy_lanes(
          state_, kLanes, checkpoint<T>(s_, p, chunk), s_.channels, s_.states, p.width);
    } else {
      load_state(state_, s_.initial_state, s_, p, chunk.segment);
    }
    in_.load(s_, p, chunk, weights, map_);
    in_.load_channels(dy_, grad_.y, p, p.k * grad_.y.stride[3]);
    clear_padding(chunk.count);
    std::memset(ddelta_, 0, sizeof(T) * chunk.count * kLanes);
    std::memset(ddelta_x_, 0, sizeof(T) * chunk.count * kLanes);
    for (int64_t d = 0; d < s_.states; ++d) {
      if (in_.reach * weights.reach[d] <= kExp2Bound<T>) {
        recompute_state<true>(d, weights);
      } else {
        recompute_state<false>(d, weights);
      }
      run_state(p, d, weights);
    }
    finish_channels(p, weights);
    finish_tokens(p, chunk);
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

  void run_state(const Place& p, int64_t d, const Weights<T>& weights) {
    constexpr int V = kVectors<T>;
    const int64_t count = in_.tokens.count;
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* delta_x = reinterpret_cast<const Vec<T>*>(in_.delta_x);
    const Vec<T>* decay = reinterpret_cast<const Vec<T>*>(decay_);
    const Vec<T>* decayed = reinterpret_cast<const Vec<T>*>(decayed_);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    const Vec<T>* A = reinterpret_cast<const Vec<T>*>(weights.A) + d * V;
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
        dh[v] = dh[v] * decay[i + V] + dy[i] * C[t * C_step];
        dB += dh[v] * delta_x[i];
        ddelta_x[i] += dh[v] * B[t * B_step];
        const Vec<T> dexponent = dh[v] * decayed[i];
        ddelta[i] += dexponent * a[v];
        dA[v] += dexponent * delta[i];
      }
      rows[t] = dB;
    }
    for (int v = 0; v < V; ++v) {
      dstate[v] = dh[v] * decay[v];
      dA_sum[v] += dA[v];
    }
    sum_rows<T>(token_tile_ + d * kSteps, dB_rows_, count);
    sum_rows<T>(token_tile_ + (s_.states + d) * kSteps, dC_rows_, count);
  }

  // Runs one state forward again, keeping what its backward needs of every step:
  // the decay, and the decayed state before it.
  template <bool kBounded>
  void recompute_state(int64_t d, const Weights<T>& weights) {
    constexpr int V = kVectors<T>;
    const int64_t count = in_.tokens.count;
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* delta_x = reinterpret_cast<const Vec<T>*>(in_.delta_x);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    const Vec<T>* A = reinterpret_cast<const Vec<T>*>(weights.A_log2e) + d * V;
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
        decay[i] = exp2<T, kBounded>(delta[i] * a[v]);
        decayed[i] = decay[i] * h[v];
        h[v] = decayed[i] + delta_x[i] * B[t * B_step];
        dC += dy[i] * h[v];
      }
      rows[t] = dC;
    }
    // After the last step nothing decays: `dstate_` is the gradient right there.
    for (int v = 0; v < V; ++v) {
      decay[count * V + v] = Vec<T>{} + T(1);
    }
  }

  // From the sums over states to the gradients of x, D, dt and the bias. What the
  // states read may be samples: their gradient takes the place of `ddelta_x_`.
  void finish_channels(const Place& p, const Weights<T>& weights) {
    constexpr int V = kVectors<T>;
    const int64_t count = in_.tokens.count;
    const Vec<T>* x = reinterpret_cast<const Vec<T>*>(in_.x);
    const Vec<T>* u = reinterpret_cast<const Vec<T>*>(in_.u);
    const Vec<T>* delta = reinterpret_cast<const Vec<T>*>(in_.delta);
    const Vec<T>* slope = reinterpret_cast<const Vec<T>*>(in_.slope);
    const Vec<T>* dy = reinterpret_cast<const Vec<T>*>(dy_);
    Vec<T>* ddelta_x = reinterpret_cast<Vec<T>*>(ddelta_x_);
    const Vec<T>* D = reinterpret_cast<const Vec<T>*>(weights.D);
    Vec<T>* draw = reinterpret_cast<Vec<T>*>(ddelta_);
    Vec<T>* dx = reinterpret_cast<Vec<T>*>(dx_);
    Vec<T>* dD = reinterpret_cast<Vec<T>*>(weight_sum(p, s_.states));
    Vec<T>* dbias = reinterpret_cast<Vec<T>*>(weight_sum(p, s_.states + 1));
    const bool has_D = bool(s_.D), is_sampled = bool(s_.deform);
    Vec<T> D_part[V] = {}, bias_part[V] = {};
    for (int64_t t = 0; t < count; ++t) {
      for (int v = 0; v < V; ++v) {
        const int64_t i = t * V + v;
        const Vec<T> given = ddelta_x[i];
        Vec<T> sum = given * delta[i];
        if (is_sampled) {
          ddelta_x[i] = sum;
          sum = Vec<T>{};
        }
        if (has_D) {
          sum += dy[i] * D[v];
          D_part[v] += dy[i] * x[i];
        }
        dx[i] = sum;
        sum = (draw[i] + given * u[i]) * slope[i];
        draw[i] = sum;
        bias_part[v] += sum;
      }
    }
    for (int v = 0; v < V; ++v) {
      dD[v] += D_part[v];
      dbias[v] += bias_part[v];
    }
    if (s_.merge) {
      add_rows(dx_sum_, dx_, in_.tokens);
    } else {
      store_dx(dx_, p.k, in_.tokens, p);
    }
    if (is_sampled) {
      add_rows(map_.du(), ddelta_x_, in_.tokens);
    }
    if (s_.rank) {
      project_back(p, weights);
    } else {
      store_tile(ddelta_, grad_.dt, in_.steps(grad_.dt, p));
    }
  }

  // Through the projection of the step sizes, to its input and its weight.
  void project_back(const Place& p, const Weights<T>& weights) {
    constexpr int V = kVectors<T>;
    const int64_t count = in_.tokens.count;
    const Vec<T>* draw = reinterpret_cast<const Vec<T>*>(ddelta_);
    const T* dt = in_.dt;
    Vec<T>* rows = dB_rows_;
    for (int64_t r = 0; r < s_.rank; ++r) {
      const Vec<T>* weight = reinterpret_cast<const Vec<T>*>(weights.dt) + r * V;
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

  void store_dx(const T* tile, int64_t source, const Places& tokens, const Place& p) {
    const View& v = grad_.x[source];
    const int64_t start = offset(v, p.n) + p.first * v.stride[2];
    store_tile(tile, v, {start, tokens, v.stride[1], p.width, v.stride[2]});
  }

  // Adds this block's part to the sums of its tokens, in the order of the steps.
  void finish_tokens(const Place& p, const Chunk& chunk) {
    const int64_t place = (block_part_ * s_.batch + p.n) * s_.paths + p.k;
    T* sums = static_cast<T*>(plan_.token_sums) +
              (place * s_.tokens + chunk.start) * token_row(s_);
    for (int64_t i = 0; i < token_row(s_); ++i) {
      const T* row = token_tile_ + i * kSteps;
      T* sum = sums + i * chunk.count;
      if (is_first_block_) {
        std::memcpy(sum, row, sizeof(T) * chunk.count);
        continue;
      }
      for (int64_t t = 0; t < chunk.count; ++t) {
        sum[t] += row[t];
      }
    }
  }

  const Scan& s_;
  const ScanGrad& grad_;
  const BackwardPlan& plan_;
  WeightSet<T> weights_;
  Inputs<T> in_;
  SampledMap<T> map_;
  T* state_;        // (d, lane), before the chunk
  T* dstate_;       // (d, lane), gradient of the state after the chunk
  T* dy_;           // (t, lane)
  T* ddelta_;       // (t, lane)
  T* ddelta_x_;     // (t, lane)
  T* dx_;           // (t, lane)
  T* decay_;        // (t + 1, lane), of one state
  T* decayed_;      // (t, lane), of one state
  Vec<T>* dB_rows_;  // (t), of one state, not yet summed over lanes
  Vec<T>* dC_rows_;
  T* token_tile_;  // (2 d + r, t): gradients of B, C and dt of this block
  T* dx_sum_;      // (l, lane), of all paths of the source; after samples also waste
  int64_t block_part_ = 0;
  int64_t batch_part_ = 0;
  bool is_first_block_ = true;
};

template <class T>
class Reduce {
 public:
  // Sums the parts of the blocks for the rows (n, k) in [begin, end).
  static void tokens(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end, void* memory) {
    if (token_row(s) == 0) {
      return;
    }
    const int64_t size = s.tokens * token_row(s);
    const int64_t part = s.batch * s.paths * size;
    Arena arena(memory);
    T* sums = arena.take<T>(token_row(s) * kSteps);
    int64_t* list = arena.take<int64_t>(kSteps);
    for (int64_t i = begin; i < end; ++i) {
      const T* from = static_cast<const T*>(plan.token_sums) + i * size;
      for (int64_t segment = 0; segment < s.segments; ++segment) {
        for (int64_t number = 0; number < chunks_in(s, segment); ++number) {
          const Chunk chunk = make_chunk(s, segment, number);
          const T* given = from + chunk.start * token_row(s);
          const int64_t count = chunk.count * token_row(s);
          std::memcpy(sums, given, sizeof(T) * count);
          for (int64_t b = 1; b < plan.block_parts; ++b) {
            for (int64_t j = 0; j < count; ++j) {
              sums[j] += given[b * part + j];
            }
          }
          const Place p = {i / s.paths, i % s.paths};
          const Places tokens = find_tokens(s, p.k, chunk, list);
          put_tokens(grad.B, p, tokens, sums, s.states);
          put_tokens(grad.C, p, tokens, sums + s.states * chunk.count, s.states);
          put_tokens(grad.dt, p, tokens, sums + 2 * s.states * chunk.count, s.rank);
        }
      }
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
        const Place p = make_place(s, 0, k, block);
        put_weights(grad.A, p, sums, s.states);
        put_weights(grad.D, p, sums + s.states * kLanes, 1);
        put_weights(grad.dt_bias, p, sums + (s.states + 1) * kLanes, 1);
        put_weights(grad.dt_weight, p, sums + (s.states + 2) * kLanes, s.rank);
      }
    }
  }

 private:
  // sums: (row, t)
  static void put_tokens(
      const View& v, const Place& p, const Places& tokens, const T* sums,
      int64_t width) {
    if (width > 0) {
      with_type(v, [&](auto* data) {
        auto* to = data + offset(v, p.n, p.k);
        for (int64_t j = 0; j < width; ++j) {
          for (int64_t t = 0; t < tokens.count; ++t) {
            store_one(
                to + tokens[t] * v.stride[2] + j * v.stride[3],
                sums[j * tokens.count + t]);
          }
        }
      });
    }
  }

  static void put_weights(const View& v, const Place& p, const T* sums, int64_t rows) {
    if (v) {
      store_tile(
          sums, v,
          block_window(p, offset(v, p.k), rows, v.stride[2], v.stride[1]));
    }
  }
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
