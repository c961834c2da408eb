// The kernels of an op in their order, for any `Launcher`: a GPU's, or the emulator's.
//
// A launcher has `launch<Kernel>(blocks, shared, arguments)`, `allocate(bytes)` of
// memory that lasts until the op has run, and the numbers that plans depend on.

#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "deform.cuh"
#include "forward.cuh"
#include "plan.h"
#include "reduce.cuh"

namespace mmssm {
namespace cuda {

inline int64_t size_of(Dtype dtype) {
  return dtype == Dtype::kDouble ? 8 : dtype == Dtype::kFloat ? 4 : 2;
}

// (n, k, set, l, e) as (n, l, e, k, set).
template <class T>
View path_buffer(void* data, const ScanArgs& s) {
  View v;
  v.data = data;
  v.dtype = sizeof(T) == 8 ? Dtype::kDouble : Dtype::kFloat;
  v.stride[2] = 1;
  v.stride[1] = s.channels;
  v.stride[4] = s.channels * s.tokens;
  v.stride[3] = v.stride[4] * s.sets;
  v.stride[0] = v.stride[3] * s.paths;
  return v;
}

// (n, l, e), contiguous.
template <class T>
View token_buffer(void* data, int64_t tokens, int64_t channels) {
  View v;
  v.data = data;
  v.dtype = sizeof(T) == 8 ? Dtype::kDouble : Dtype::kFloat;
  v.stride[0] = tokens * channels;
  v.stride[1] = channels;
  v.stride[2] = 1;
  return v;
}

template <class T>
bool is_of_state(const View& v) {
  return v.dtype == (sizeof(T) == 8 ? Dtype::kDouble : Dtype::kFloat);
}

inline ScanShape shape_of(const Scan& s, bool is_double, bool can_add = false) {
  return {s.batch,   s.paths,    s.tokens,  s.channels,          s.states,
          s.segment, s.segments, is_double, s.deform != nullptr,
          can_add};
}

// Elements from one of several views, which are evenly apart, to the next.
inline int64_t apart(const View* views, int64_t count) {
  if (count < 2) {
    return 0;
  }
  const int64_t bytes =
      static_cast<char*>(views[1].data) - static_cast<char*>(views[0].data);
  return bytes / size_of(views[0].dtype);
}

inline ScanArgs scan_args(const Scan& s, const ScanPlan& plan) {
  if (s.merge && s.paths > kMaxPaths) {
    throw std::runtime_error(
        "mmssm: on CUDA a scan has at most " + std::to_string(kMaxPaths) +
        " paths, got " + std::to_string(s.paths));
  }
  // Kernels count these in 32 bits; offsets in memory have 64.
  const int64_t runs = s.batch * s.segments * plan.spans;
  for (const int64_t count : {s.tokens, s.channels, s.states, s.paths, runs}) {
    if (count > INT32_MAX / 2) {
      throw std::runtime_error(
          "mmssm: on CUDA a scan has less than 2^30 tokens, channels, states, paths "
          "and samples times segments, got " +
          std::to_string(count));
    }
  }
  ScanArgs a = {};
  a.batch = s.batch;
  a.tokens = s.tokens;
  a.channels = s.channels;
  a.states = s.states;
  a.rank = s.rank;
  a.segment = s.segment;
  a.segments = s.segments;
  a.paths = s.paths;
  a.sources = s.sources;
  a.softplus = s.softplus;
  a.index = s.index;
  a.merge = s.merge;
  for (int64_t k = 0; s.merge && k < s.paths; ++k) {
    a.row[k] = s.rows ? s.rows[k] : 0;
    a.reverse[k] = s.reverse && s.reverse[k];
    a.source[k] = int(s.source[k]);
  }
  for (int64_t i = 0; i < (s.merge ? s.sources : 1); ++i) {
    a.x[i] = s.x[i];
  }
  a.apart = s.merge ? 0 : apart(s.x, s.sources);
  a.dt = s.dt;
  a.A = s.A;
  a.B = s.B;
  a.C = s.C;
  a.D = s.D;
  a.dt_bias = s.dt_bias;
  a.dt_weight = s.dt_weight;
  a.initial_state = s.initial_state;
  a.last_state = s.last_state;
  a.checkpoints = s.checkpoints;
  a.groups = a.taps_per_group = 1;
  a.spans = plan.spans;
  a.span_steps = plan.span_steps;
  a.parts = plan.parts;
  a.blocks = plan.blocks;
  a.sets = plan.sets;
  a.path_blocks = plan.adds ? 1 : s.paths;
  return a;
}

// Sizes and samples of a map, without a scan.
inline ScanArgs sample_args(const DeformSample& d) {
  ScanArgs a = {};
  a.batch = d.batch;
  a.tokens = d.rows * d.columns;
  a.channels = d.channels;
  a.paths = a.sources = 1;
  a.merge = true;
  a.blocks = a.sets = a.path_blocks = a.spans = a.parts = a.segments = 1;
  return a;
}

// Calls one kernel with enough blocks for `threads` threads.
template <class Kernel, class Launcher>
void launch_threads(Launcher& launcher, const typename Kernel::Args& args) {
  const int64_t threads = Kernel::threads(args);
  if (threads > 0) {
    launcher.template launch<Kernel>(divide_up(threads, Kernel::kThreads), 0, args);
  }
}

template <class T, class Launcher>
void find_taps(Launcher& launcher, const DeformSample& d, ScanArgs& s) {
  if (d.rows * d.columns > INT32_MAX) {
    throw std::runtime_error(
        "mmssm: on CUDA a map has less than 2^31 tokens, got " +
        std::to_string(d.rows * d.columns));
  }
  const int64_t taps = d.batch * d.rows * d.columns * d.groups * d.taps;
  s.groups = d.groups;
  s.taps_per_group = d.taps;
  s.tap_scale = d.per_token ? nullptr : d.weight;
  TapArgs args = {d, launcher.allocate((taps + 1) * int64_t(sizeof(MapTap<T>)))};
  s.taps = args.taps;
  launch_threads<FindTapsKernel<T>>(launcher, args);
}

template <bool kValue>
struct Is {
  static constexpr bool value = kValue;
};

// Call `body` with the layout of a plan and whether there may be samples. Those in
// double are always ready for samples, which is less to compile.
template <class T, class Body>
void with_forward_layout(const ScanPlan& p, bool is_sampled, const Body& body) {
  if constexpr (sizeof(T) == 8) {
    return p.lanes == 1 ? body(Layout<T, 1, 1, 64>(), Is<true>())
                        : body(Layout<T, 4, 4, 32>(), Is<true>());
  } else {
    const auto with_samples = [&](auto layout) {
      return is_sampled ? body(layout, Is<true>()) : body(layout, Is<false>());
    };
    if (p.lanes == 4) {
      return with_samples(Layout<T, 4, 4, 32>());
    }
    if (p.states == 8) {
      return body(Layout<T, 8, 1, 64>(), Is<false>());
    }
    return p.states == 1 ? with_samples(Layout<T, 1, 1, 64>())
                         : with_samples(Layout<T, 16, 1, 64>());
  }
}

template <class T, class Body>
void with_backward_layout(const ScanPlan& p, bool is_sampled, const Body& body) {
  if constexpr (sizeof(T) == 8) {
    return p.lanes == 1 ? body(Layout<T, 1, 1, 32>(), Is<true>())
                        : body(Layout<T, 2, 8, 16>(), Is<true>());
  } else {
    const auto with_samples = [&](auto layout) {
      return is_sampled ? body(layout, Is<true>()) : body(layout, Is<false>());
    };
    if (p.lanes == 2) {
      return body(Layout<T, 4, 2, 64>(), Is<false>());
    }
    return p.lanes == 1 ? with_samples(Layout<T, 1, 1, 64>())
                        : with_samples(Layout<T, 4, 4, 32>());
  }
}

template <class Kernel, class Launcher>
void launch_scan(Launcher& launcher, const typename Kernel::Args& args) {
  const ScanArgs& s = args.s;
  launcher.template launch<Kernel>(
      s.blocks * s.sets * s.path_blocks * s.parts, Kernel::shared(s), args);
}

// The states that the spans begin with, from what `Kernel` says each does by itself.
template <class Kernel, class Launcher, class T, bool kBackward>
void carry(
    Launcher& launcher, typename Kernel::Args& args, int64_t set_states,
    const View& first) {
  ScanArgs& s = args.s;
  if (s.spans == 1) {
    return;
  }
  const int64_t rows = s.batch * s.segments * s.spans * s.paths * s.channels;
  s.carry = launcher.allocate(rows * set_states * int64_t(sizeof(T)));
  s.decay = launcher.allocate(rows * int64_t(sizeof(T)));
  launch_scan<Kernel>(launcher, args);
  launch_threads<CarryKernel<T, kBackward>>(launcher, {s, first, set_states});
}

// Adds paths up, those of `source` or all.
template <class T, class Launcher>
void sum_paths(
    Launcher& launcher, const ScanArgs& s, const void* from, const View& to,
    int source = -1) {
  typename SumPathsKernel<T>::Args sum = {
      from, s.batch, s.paths, s.sets, s.tokens, s.channels, 0, {}, to};
  for (int64_t k = 0; k < s.paths; ++k) {
    if (source < 0 || s.source[k] == source) {
      sum.path[sum.count++] = int(k);
    }
  }
  launch_threads<SumPathsKernel<T>>(launcher, sum);
}

// The same for each path by itself, from `to` (n, l, e, k).
template <class T, class Launcher>
void sum_sets(
    Launcher& launcher, const ScanArgs& s, const void* from, const View& to) {
  for (int64_t k = 0; k < s.paths; ++k) {
    View of_path = to;
    of_path.data = static_cast<char*>(to.data) + k * to.stride[3] * size_of(to.dtype);
    typename SumPathsKernel<T>::Args sum = {
        from, s.batch, s.paths, s.sets, s.tokens, s.channels, 1, {int(k)}, of_path};
    launch_threads<SumPathsKernel<T>>(launcher, sum);
  }
}

template <class T, class Launcher>
void run_forward(Launcher& launcher, const Scan& scan) {
  const bool is_double = sizeof(T) == 8;
  const ScanPlan plan = plan_forward(
      shape_of(scan, is_double, scan.merge && is_of_state<T>(scan.y)),
      launcher.multiprocessors());
  ForwardArgs args = {scan_args(scan, plan), scan.y};
  ScanArgs& s = args.s;
  if (scan.deform) {
    find_taps<T>(launcher, *scan.deform, s);
  }
  const bool merges = scan.merge && s.paths > 1 && !plan.adds;
  const bool buffers = merges || s.sets > 1;
  if (buffers) {
    args.y = path_buffer<T>(
        launcher.allocate(
            s.batch * s.paths * s.sets * s.tokens * s.channels * int64_t(sizeof(T))),
        s);
  }
  with_forward_layout<T>(plan, scan.deform, [&](auto layout, auto is_sampled) {
    using L = decltype(layout);
    constexpr bool kSampled = decltype(is_sampled)::value;
    // Where 16 states are one thread's, the length is never split.
    if constexpr (L::kStates < 16) {
      carry<ForwardKernel<L, false, kSampled>, Launcher, T, false>(
          launcher, args, s.sets * L::kSet, s.initial_state);
    }
    launch_scan<ForwardKernel<L, true, kSampled>>(launcher, args);
  });
  if (scan.merge && buffers) {
    sum_paths<T>(launcher, s, args.y.data, scan.y);
  } else if (buffers) {
    sum_sets<T>(launcher, s, args.y.data, scan.y);
  }
}

// The backward of samples, given the gradient `du` of them.
template <class T, class Launcher>
void spread(
    Launcher& launcher, const DeformSample& d, SpreadArgs& args, void* offset,
    void* weight) {
  const ScanArgs& s = args.s;
  const int64_t size = sizeof(T), blocks = SpreadKernel<T>::blocks(s);
  const int64_t taps = s.batch * s.tokens * s.groups * s.taps_per_group;
  args.corners = launcher.allocate(blocks * taps * 4 * size);
  int64_t shared = SpreadKernel<T>::shared(s);
  if (shared > launcher.max_shared()) {
    shared = 0;
    args.sums = launcher.allocate(s.batch * s.tokens * s.channels * size);
  }
  const int64_t weights = s.channels * s.taps_per_group;
  if (!d.per_token) {
    args.channels = launcher.allocate(s.batch * weights * size);
  }
  launcher.template launch<SpreadKernel<T>>(blocks * s.batch, shared, args);
  launch_threads<ReduceTapsKernel<T>>(launcher, {d, args.corners, offset, weight});
  if (!d.per_token) {
    launch_threads<ReduceChannelsKernel<T>>(
        launcher, {s.batch, weights, args.channels, weight});
  }
}

template <class T, class Launcher>
void run_backward(Launcher& launcher, const Scan& scan, const ScanGrad& grad) {
  const bool is_double = sizeof(T) == 8;
  const ScanPlan plan =
      plan_backward(shape_of(scan, is_double), launcher.multiprocessors());
  BackwardArgs args = {};
  args.s = scan_args(scan, plan);
  ScanArgs& s = args.s;
  if (scan.deform) {
    find_taps<T>(launcher, *scan.deform, s);
  }
  args.y = grad.y;
  args.last_state = grad.last_state;
  args.initial_state = grad.initial_state;
  args.skip = !scan.deform;
  args.set_states = plan.states * plan.lanes * s.sets;
  const int64_t size = sizeof(T);
  const int64_t path_values = s.batch * s.paths * s.sets * s.tokens * s.channels;
  const int64_t rows = s.batch * s.paths * s.tokens;

  // Where every path has an x of its own, its gradient is written at once.
  const bool is_direct = s.sets == 1 && !scan.deform &&
                         (!scan.merge || (s.paths == 1 && s.sources == 1));
  if (is_direct) {
    args.x = grad.x[0];
    args.x.stride[3] = apart(grad.x, s.sources);
    args.x.stride[4] = 0;
  } else {
    args.x = path_buffer<T>(launcher.allocate(path_values * size), s);
  }
  if (s.rank == 0 && s.sets == 1) {
    args.dt = grad.dt;
    args.dt.stride[4] = 0;
  } else if (s.rank == 0) {
    const View v = path_buffer<T>(launcher.allocate(path_values * size), s);
    args.dt = v;
    args.dt.stride[1] = v.stride[3];
    args.dt.stride[2] = v.stride[1];
    args.dt.stride[3] = v.stride[2];
  }
  const int64_t token_columns = 2 * args.set_states + s.sets * s.rank;
  const int64_t weight_columns = args.set_states + s.sets * (2 + s.rank);
  args.tokens = launcher.allocate(s.blocks * rows * token_columns * size);
  args.weights =
      launcher.allocate(s.parts * s.paths * weight_columns * s.channels * size);

  with_backward_layout<T>(plan, scan.deform, [&](auto layout, auto is_sampled) {
    using L = decltype(layout);
    constexpr bool kSampled = decltype(is_sampled)::value;
    carry<BackwardKernel<L, false, false>, Launcher, T, true>(
        launcher, args, args.set_states, grad.last_state);
    launch_scan<BackwardKernel<L, true, kSampled>>(launcher, args);
  });
  launch_threads<ReduceTokensKernel<T>>(launcher, {args, grad.B, grad.C, grad.dt});
  launch_threads<ReduceWeightsKernel<T>>(
      launcher, {args, grad.A, grad.D, grad.dt_bias, grad.dt_weight});
  if (s.rank == 0 && s.sets > 1) {
    View to = grad.dt;
    to.stride[1] = grad.dt.stride[2];
    to.stride[2] = grad.dt.stride[3];
    to.stride[3] = grad.dt.stride[1];
    sum_sets<T>(launcher, s, args.dt.data, to);
  }
  if (scan.deform) {
    SpreadArgs spreads = {};
    spreads.s = s;
    spreads.du = token_buffer<T>(
        launcher.allocate(s.batch * s.tokens * s.channels * size), s.tokens,
        s.channels);
    sum_paths<T>(launcher, s, args.x.data, spreads.du);
    spreads.dy = grad.y;
    spreads.dx = grad.x[0];
    spread<T>(launcher, *scan.deform, spreads, grad.offset, grad.weight);
  } else if (!is_direct && !scan.merge) {
    View each = grad.x[0];
    each.stride[3] = apart(grad.x, s.sources);
    sum_sets<T>(launcher, s, args.x.data, each);
  } else if (!is_direct) {
    for (int64_t i = 0; i < s.sources; ++i) {
      sum_paths<T>(launcher, s, args.x.data, grad.x[i], int(i));
    }
  }
}

inline View sampled_view(const DeformSample& d, Dtype dtype) {
  View v;
  v.data = const_cast<void*>(d.x);
  v.dtype = dtype;
  v.stride[0] = d.x_batch;
  v.stride[1] = d.x_token;
  v.stride[2] = 1;
  return v;
}

template <class T, class Launcher>
void run_sample(Launcher& launcher, const DeformSample& d, void* y) {
  typename SampleKernel<T>::Args args = {sample_args(d), {}};
  args.y = token_buffer<T>(y, args.s.tokens, d.channels);
  args.s.x[0] = sampled_view(d, args.y.dtype);
  find_taps<T>(launcher, d, args.s);
  launch_threads<SampleKernel<T>>(launcher, args);
}

template <class T, class Launcher>
void run_sample_backward(
    Launcher& launcher, const DeformSample& d, const DeformSampleGrad& grad) {
  SpreadArgs args = {};
  args.s = sample_args(d);
  args.du = token_buffer<T>(const_cast<void*>(grad.y), args.s.tokens, d.channels);
  args.dx = token_buffer<T>(grad.x, args.s.tokens, d.channels);
  args.s.x[0] = sampled_view(d, args.du.dtype);
  find_taps<T>(launcher, d, args.s);
  spread<T>(launcher, d, args, grad.offset, grad.weight);
}

}  // namespace cuda
}  // namespace mmssm
