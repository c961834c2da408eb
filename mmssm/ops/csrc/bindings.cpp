// The ops of the library `mmssm`, on PyTorch's stable interface: from tensors to the
// views of common/scan.h and back. The Python functions have checked the arguments.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "cpu/kernels.h"

#ifndef MMSSM_STAMP
#error "build this library with `python -m mmssm.ops build`"
#endif

// Read from the file by _library.py before it loads the library.
extern "C" __attribute__((used, visibility("default")))
const char mmssm_stamp[] = "mmssm-stamp:" MMSSM_STAMP ":";

// For the report of _library.py: the instruction set in use, or what is wrong with
// the choice; and those that could be used.
extern "C" __attribute__((used, visibility("default")))
const char* mmssm_cpu_isa() {
  const mmssm::IsaChoice& isa = mmssm::chosen_isa();
  return (isa.kernels ? isa.name : isa.error).c_str();
}

extern "C" __attribute__((used, visibility("default")))
const char* mmssm_usable_cpu_isas() {
  return mmssm::chosen_isa().usable.c_str();
}

namespace mmssm {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Sizes = std::vector<int64_t>;

Dtype dtype_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float:
      return Dtype::kFloat;
    case ScalarType::Double:
      return Dtype::kDouble;
    case ScalarType::Half:
      return Dtype::kHalf;
    case ScalarType::BFloat16:
      return Dtype::kBFloat16;
    default:
      STD_TORCH_CHECK(false, "mmssm: unsupported dtype");
  }
}

// A view whose strides follow `order`: entry i is the dimension of the tensor that
// stands at place i, or -1 for a stride of 0.
View view_of(const Tensor& tensor, const std::vector<int>& order) {
  View view;
  view.data = const_cast<void*>(tensor.data_ptr());
  view.dtype = dtype_of(tensor);
  for (size_t i = 0; i < order.size(); ++i) {
    view.stride[i] = order[i] < 0 ? 0 : tensor.stride(order[i]);
  }
  return view;
}

View view_of(const OptionalTensor& tensor, const std::vector<int>& order) {
  return tensor ? view_of(*tensor, order) : View{};
}

// Splits the channels of a view, at place `channel`, into K groups of `size`.
// Returns the stride of a group.
int64_t group_stride(const View& view, int channel, int64_t size) {
  return view.stride[channel] * size;
}

View shifted(View view, int64_t elements) {
  const int64_t size = view.dtype == Dtype::kDouble  ? 8
                       : view.dtype == Dtype::kFloat ? 4
                                                     : 2;
  view.data = static_cast<char*>(view.data) + elements * size;
  return view;
}

const Kernels& kernels_for(ScalarType state) {
  const IsaChoice& isa = chosen_isa();
  STD_TORCH_CHECK(isa.kernels != nullptr, isa.error);
  return state == ScalarType::Double ? isa.kernels->double_ : isa.kernels->single;
}

ScalarType state_dtype(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double
                                                    : ScalarType::Float;
}

Tensor empty(const Tensor& like, const Sizes& sizes, ScalarType dtype) {
  return torch::stable::new_empty(like, sizes, dtype);
}

Tensor zeros(const Tensor& like, const Sizes& sizes, ScalarType dtype) {
  return torch::stable::new_zeros(like, sizes, dtype);
}

Sizes sizes_of(const Tensor& tensor) {
  Sizes sizes;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    sizes.push_back(tensor.size(i));
  }
  return sizes;
}

// The gradient of an argument: uninitialised, or empty if there is no argument.
Tensor empty_gradient(const Tensor& argument) {
  return empty(argument, sizes_of(argument), argument.scalar_type());
}

Tensor empty_gradient(const OptionalTensor& argument, const Tensor& like) {
  return argument ? empty_gradient(*argument) : empty(like, {0}, like.scalar_type());
}

// A thread's memory, aligned for the widest vectors.
class Scratch {
 public:
  explicit Scratch(int64_t bytes)
      : memory_(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) {
    STD_TORCH_CHECK(memory_ != nullptr, "mmssm: out of memory");
  }
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return memory_; }

 private:
  void* memory_;
};

// Whether nothing is scanned. A scan without tokens still passes its state on.
bool is_empty(const Scan& s) { return s.batch == 0 || s.channels == 0; }

void run_forward(const Scan& scan, const Kernels& kernels) {
  const int64_t bytes = kernels.forward_scratch(scan);
  torch::stable::parallel_for(
      0, kernels.forward_tasks(scan), 1, [&](int64_t begin, int64_t end) {
        Scratch scratch(bytes);
        kernels.forward(scan, begin, end, scratch.get());
      });
}

void run_backward(
    const Scan& scan, const ScanGrad& grad, const Kernels& kernels,
    const Tensor& like) {
  BackwardPlan plan = kernels.plan(scan);
  const ScalarType dtype =
      kernels.element_size == 8 ? ScalarType::Double : ScalarType::Float;
  const Tensor token_sums = empty(
      like,
      {plan.block_parts, scan.batch, scan.paths, scan.tokens,
       2 * scan.states + scan.rank},
      dtype);
  const Tensor weight_sums = zeros(
      like,
      {plan.batch_parts, scan.paths, plan.blocks, scan.states + 2 + scan.rank,
       kernels.lanes},
      dtype);
  plan.token_sums = const_cast<void*>(token_sums.data_ptr());
  plan.weight_sums = const_cast<void*>(weight_sums.data_ptr());
  const int64_t bytes = kernels.backward_scratch(scan);
  torch::stable::parallel_for(
      0, plan.batch_parts * plan.block_parts * scan.sources, 1,
      [&](int64_t begin, int64_t end) {
        Scratch scratch(bytes);
        kernels.backward(scan, grad, plan, begin, end, scratch.get());
      });
  torch::stable::parallel_for(
      0, scan.batch * scan.paths, 1, [&](int64_t begin, int64_t end) {
        Scratch scratch(bytes);
        kernels.reduce_tokens(scan, grad, plan, begin, end, scratch.get());
      });
  torch::stable::parallel_for(0, scan.paths, 1, [&](int64_t begin, int64_t end) {
    kernels.reduce_weights(scan, grad, plan, begin, end);
  });
}

Sizes checkpoint_sizes(const Scan& s) {
  return {s.batch, s.paths, s.segments, num_slots(s), s.states, s.channels};
}

Tensor empty_checkpoints(
    const Tensor& like, const Scan& scan, ScalarType dtype, bool for_backward) {
  return empty(like, for_backward ? checkpoint_sizes(scan) : Sizes{0}, dtype);
}

void* checkpoints_of(const Scan& scan, const Tensor& checkpoints) {
  STD_TORCH_CHECK(
      sizes_of(checkpoints) == checkpoint_sizes(scan) && checkpoints.is_contiguous(),
      "mmssm: the forward was not called with for_backward");
  return const_cast<void*>(checkpoints.data_ptr());
}

void fill_zeros(std::vector<Tensor> tensors) {
  for (Tensor& tensor : tensors) {
    torch::stable::zero_(tensor);
  }
}

}  // namespace

// ---------------------------------------------------------------------------------
// selective_scan

namespace {

// The K groups of neighbouring channels, as K paths with a source and an output each.
struct Groups {
  int64_t count, size;

  // (N, E, L) as (n, l, e) of each group.
  std::vector<View> split(const Tensor& tensor) const {
    const View whole = view_of(tensor, {0, 2, 1});
    std::vector<View> views;
    for (int64_t k = 0; k < count; ++k) {
      views.push_back(shifted(whole, k * group_stride(whole, 2, size)));
    }
    return views;
  }

  // (N, E, L) as (n, l, e, k), of which the kernels take k as the group.
  View output(const Tensor& tensor) const {
    View view = view_of(tensor, {0, 2, 1});
    view.stride[3] = group_stride(view, 2, size);
    return view;
  }

  // (N, E, L) as (n, k, l, e).
  View steps(const Tensor& tensor) const {
    View view = view_of(tensor, {0, 1, 2, 1});
    view.stride[1] = group_stride(view, 3, size);
    return view;
  }

  // (E, ...) as (k, e, ...).
  View weights(const OptionalTensor& tensor, bool has_states) const {
    if (!tensor) {
      return {};
    }
    View view = view_of(*tensor, has_states ? std::vector<int>{0, 0, 1}
                                            : std::vector<int>{0, 0});
    view.stride[0] = group_stride(view, 1, size);
    return view;
  }

  // (N, E, d) as (n, k, segment, e, d).
  View state(const OptionalTensor& tensor) const {
    if (!tensor) {
      return {};
    }
    View view = view_of(*tensor, {0, 1, -1, 1, 2});
    view.stride[1] = group_stride(view, 3, size);
    return view;
  }
};

struct SelectiveScan {
  Groups groups;
  std::vector<View> sources;
  Scan scan;

  SelectiveScan(
      const Tensor& u, const Tensor& delta, const Tensor& A, const Tensor& B,
      const Tensor& C, const OptionalTensor& D, const OptionalTensor& delta_bias,
      const OptionalTensor& initial_state, bool delta_softplus) {
    groups = {B.size(1), u.size(1) / B.size(1)};
    sources = groups.split(u);
    scan.batch = u.size(0);
    scan.paths = groups.count;
    scan.channels = groups.size;
    scan.tokens = u.size(2);
    scan.states = A.size(1);
    scan.sources = groups.count;
    scan.segment = scan.tokens > 0 ? scan.tokens : 1;
    scan.softplus = delta_softplus;
    scan.merge = false;
    scan.x = sources.data();
    scan.dt = groups.steps(delta);
    scan.A = groups.weights(A, true);
    scan.B = view_of(B, {0, 1, 3, 2});
    scan.C = view_of(C, {0, 1, 3, 2});
    scan.D = groups.weights(D, false);
    scan.dt_bias = groups.weights(delta_bias, false);
    scan.initial_state = groups.state(initial_state);
  }

  SelectiveScan(const SelectiveScan&) = delete;
};

}  // namespace

std::tuple<Tensor, Tensor, Tensor> selective_scan(
    Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, OptionalTensor D,
    OptionalTensor delta_bias, OptionalTensor initial_state, bool delta_softplus,
    bool return_last_state, bool for_backward, ScalarType out_dtype) {
  SelectiveScan call(
      u, delta, A, B, C, D, delta_bias, initial_state, delta_softplus);
  Scan& scan = call.scan;
  const ScalarType dtype = state_dtype(u);
  Tensor out = empty(u, sizes_of(u), out_dtype);
  Tensor last_state = return_last_state
                          ? empty(u, {u.size(0), u.size(1), A.size(1)}, dtype)
                          : empty(u, {0}, dtype);
  Tensor checkpoints = empty_checkpoints(u, scan, dtype, for_backward);
  if (is_empty(scan)) {
    return {out, last_state, checkpoints};
  }
  scan.y = call.groups.output(out);
  scan.last_state = return_last_state ? call.groups.state(last_state) : View{};
  scan.checkpoints = for_backward ? const_cast<void*>(checkpoints.data_ptr()) : nullptr;
  run_forward(scan, kernels_for(dtype));
  return {out, last_state, checkpoints};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
selective_scan_backward(
    Tensor grad_out, OptionalTensor grad_last_state, Tensor checkpoints, Tensor u,
    Tensor delta, Tensor A, Tensor B, Tensor C, OptionalTensor D,
    OptionalTensor delta_bias, OptionalTensor initial_state, bool delta_softplus) {
  SelectiveScan call(
      u, delta, A, B, C, D, delta_bias, initial_state, delta_softplus);
  Scan& scan = call.scan;
  Tensor du = empty_gradient(u), ddelta = empty_gradient(delta);
  Tensor dA = empty_gradient(A), dB = empty_gradient(B), dC = empty_gradient(C);
  Tensor dD = empty_gradient(D, checkpoints);
  Tensor dbias = empty_gradient(delta_bias, checkpoints);
  Tensor dinitial = empty_gradient(initial_state, checkpoints);
  if (is_empty(scan)) {
    fill_zeros({dA, dB, dC, dD, dbias});
    return {du, ddelta, dA, dB, dC, dD, dbias, dinitial};
  }
  scan.checkpoints = checkpoints_of(scan, checkpoints);
  const std::vector<View> du_views = call.groups.split(du);
  ScanGrad grad;
  grad.y = call.groups.output(grad_out);
  grad.last_state = call.groups.state(grad_last_state);
  grad.x = du_views.data();
  grad.dt = call.groups.steps(ddelta);
  grad.A = call.groups.weights(dA, true);
  grad.B = view_of(dB, {0, 1, 3, 2});
  grad.C = view_of(dC, {0, 1, 3, 2});
  grad.D = D ? call.groups.weights(dD, false) : View{};
  grad.dt_bias = delta_bias ? call.groups.weights(dbias, false) : View{};
  grad.initial_state = initial_state ? call.groups.state(dinitial) : View{};
  run_backward(scan, grad, kernels_for(state_dtype(u)), checkpoints);
  return {du, ddelta, dA, dB, dC, dD, dbias, dinitial};
}

// ---------------------------------------------------------------------------------
// path_scan

namespace {

struct PathScan {
  std::vector<View> sources;
  Scan scan;

  PathScan(
      const std::vector<Tensor>& x, const Tensor& dt, const Tensor& A, const Tensor& B,
      const Tensor& C, const OptionalTensor& D, const OptionalTensor& dt_bias,
      const OptionalTensor& dt_weight, const OptionalTensor& initial_state,
      const Tensor& index, const Sizes& rows, const Sizes& source, const Sizes& reverse,
      int64_t segment,
      int64_t segments) {
    STD_TORCH_CHECK(
        index.is_contiguous() && index.scalar_type() == ScalarType::Long,
        "mmssm: index must be contiguous int64");
    for (const Tensor& tensor : x) {
      sources.push_back(view_of(tensor, {0, 1, 2}));
    }
    scan.batch = x[0].size(0);
    scan.tokens = x[0].size(1);
    scan.channels = x[0].size(2);
    scan.paths = A.size(0);
    scan.states = A.size(2);
    scan.rank = dt_weight ? dt_weight->size(2) : 0;
    scan.sources = int64_t(x.size());
    scan.segment = segment;
    scan.segments = segments;
    scan.index = static_cast<const int64_t*>(index.data_ptr());
    scan.rows = rows.data();
    scan.source = source.data();
    scan.reverse = reverse.data();
    scan.x = sources.data();
    scan.dt = view_of(dt, {0, 1, 2, 3});
    scan.A = view_of(A, {0, 1, 2});
    scan.B = view_of(B, {0, 1, 2, 3});
    scan.C = view_of(C, {0, 1, 2, 3});
    scan.D = view_of(D, {0, 1});
    scan.dt_bias = view_of(dt_bias, {0, 1});
    scan.dt_weight = view_of(dt_weight, {0, 1, 2});
    scan.initial_state = view_of(initial_state, {0, 1, 2, 3, 4});
  }

  PathScan(const PathScan&) = delete;
};

}  // namespace

std::tuple<Tensor, Tensor, Tensor> path_scan(
    std::vector<Tensor> x, Tensor dt, Tensor A, Tensor B, Tensor C, OptionalTensor D,
    OptionalTensor dt_bias, OptionalTensor dt_weight, OptionalTensor initial_state,
    Tensor index, Sizes rows, Sizes source, Sizes reverse, int64_t segment,
    int64_t segments, bool return_last_state, bool for_backward,
    ScalarType out_dtype) {
  PathScan call(
      x, dt, A, B, C, D, dt_bias, dt_weight, initial_state, index, rows, source,
      reverse, segment, segments);
  Scan& scan = call.scan;
  const ScalarType dtype = state_dtype(x[0]);
  Tensor y = empty(x[0], {scan.batch, scan.tokens, scan.channels}, out_dtype);
  Tensor last_state =
      return_last_state
          ? empty(
                x[0], {scan.batch, scan.paths, segments, scan.channels, scan.states},
                dtype)
          : empty(x[0], {0}, dtype);
  Tensor checkpoints = empty_checkpoints(x[0], scan, dtype, for_backward);
  if (is_empty(scan)) {
    return {y, last_state, checkpoints};
  }
  scan.y = view_of(y, {0, 1, 2, -1});
  if (return_last_state) {
    scan.last_state = view_of(last_state, {0, 1, 2, 3, 4});
  }
  scan.checkpoints = for_backward ? const_cast<void*>(checkpoints.data_ptr()) : nullptr;
  run_forward(scan, kernels_for(dtype));
  return {y, last_state, checkpoints};
}

std::tuple<
    std::vector<Tensor>, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
path_scan_backward(
    Tensor grad_y, OptionalTensor grad_last_state, Tensor checkpoints,
    std::vector<Tensor> x, Tensor dt, Tensor A, Tensor B, Tensor C, OptionalTensor D,
    OptionalTensor dt_bias, OptionalTensor dt_weight, OptionalTensor initial_state,
    Tensor index, Sizes rows, Sizes source, Sizes reverse, int64_t segment,
    int64_t segments) {
  PathScan call(
      x, dt, A, B, C, D, dt_bias, dt_weight, initial_state, index, rows, source,
      reverse, segment, segments);
  Scan& scan = call.scan;
  std::vector<Tensor> dx;
  std::vector<View> dx_views;
  for (const Tensor& tensor : x) {
    dx.push_back(empty_gradient(tensor));
    dx_views.push_back(view_of(dx.back(), {0, 1, 2}));
  }
  Tensor ddt = empty_gradient(dt), dA = empty_gradient(A);
  Tensor dB = empty_gradient(B), dC = empty_gradient(C);
  Tensor dD = empty_gradient(D, checkpoints);
  Tensor dbias = empty_gradient(dt_bias, checkpoints);
  Tensor dweight = empty_gradient(dt_weight, checkpoints);
  Tensor dinitial = empty_gradient(initial_state, checkpoints);
  if (is_empty(scan)) {
    fill_zeros({ddt, dA, dB, dC, dD, dbias, dweight});
    return {dx, ddt, dA, dB, dC, dD, dbias, dweight, dinitial};
  }
  scan.checkpoints = checkpoints_of(scan, checkpoints);
  ScanGrad grad;
  grad.y = view_of(grad_y, {0, 1, 2, -1});
  grad.last_state = view_of(grad_last_state, {0, 1, 2, 3, 4});
  grad.x = dx_views.data();
  grad.dt = view_of(ddt, {0, 1, 2, 3});
  grad.A = view_of(dA, {0, 1, 2});
  grad.B = view_of(dB, {0, 1, 2, 3});
  grad.C = view_of(dC, {0, 1, 2, 3});
  grad.D = D ? view_of(dD, {0, 1}) : View{};
  grad.dt_bias = dt_bias ? view_of(dbias, {0, 1}) : View{};
  grad.dt_weight = dt_weight ? view_of(dweight, {0, 1, 2}) : View{};
  grad.initial_state = initial_state ? view_of(dinitial, {0, 1, 2, 3, 4}) : View{};
  run_backward(scan, grad, kernels_for(state_dtype(x[0])), checkpoints);
  return {dx, ddt, dA, dB, dC, dD, dbias, dweight, dinitial};
}

}  // namespace mmssm

STABLE_TORCH_LIBRARY(mmssm, m) {
  m.def(
      "selective_scan(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, "
      "Tensor? delta_bias, Tensor? initial_state, bool delta_softplus, "
      "bool return_last_state, bool for_backward, ScalarType out_dtype) -> (Tensor, Tensor, Tensor)");
  m.def(
      "selective_scan_backward(Tensor grad_out, Tensor? grad_last_state, "
      "Tensor checkpoints, Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, "
      "Tensor? D, Tensor? delta_bias, Tensor? initial_state, bool delta_softplus) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "path_scan(Tensor[] x, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor? D, "
      "Tensor? dt_bias, Tensor? dt_weight, Tensor? initial_state, Tensor index, "
      "int[] rows, int[] sources, int[] reverse, SymInt segment, SymInt segments, "
      "bool return_last_state, bool for_backward, ScalarType out_dtype) -> (Tensor, Tensor, Tensor)");
  m.def(
      "path_scan_backward(Tensor grad_y, Tensor? grad_last_state, Tensor checkpoints, "
      "Tensor[] x, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor? D, "
      "Tensor? dt_bias, Tensor? dt_weight, Tensor? initial_state, Tensor index, "
      "int[] rows, int[] sources, int[] reverse, SymInt segment, "
      "SymInt segments) -> "
      "(Tensor[], Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(mmssm, CPU, m) {
  m.impl("selective_scan", TORCH_BOX(&mmssm::selective_scan));
  m.impl("selective_scan_backward", TORCH_BOX(&mmssm::selective_scan_backward));
  m.impl("path_scan", TORCH_BOX(&mmssm::path_scan));
  m.impl("path_scan_backward", TORCH_BOX(&mmssm::path_scan_backward));
}
