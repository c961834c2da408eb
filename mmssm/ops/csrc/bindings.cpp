// The library `mmssm` and its op `selective_scan`, on PyTorch's stable interface. The
// Python functions have checked the arguments.

#include <torch/csrc/stable/library.h>

#include <string>
#include <tuple>

#include "bindings.h"

#ifndef MMSSM_STAMP
#error "build this library with `python -m mmssm.ops build`"
#endif

// Read from the file by _library.py before it loads the library.
extern "C" __attribute__((used, visibility("default")))
const char mmssm_stamp[] = "mmssm-stamp:" MMSSM_STAMP ":";

// Also read from the file: what is compiled for CUDA, or why nothing is.
extern "C" __attribute__((used, visibility("default")))
const char mmssm_cuda_state[] = "mmssm-cuda:" MMSSM_CUDA_STATE ":";

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
  run_forward(scan, dtype, u);
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
  run_backward(scan, grad, state_dtype(u), checkpoints);
  return {du, ddelta, dA, dB, dC, dD, dbias, dinitial};
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
}

STABLE_TORCH_LIBRARY_IMPL(mmssm, CPU, m) {
  m.impl("selective_scan", TORCH_BOX(&mmssm::selective_scan));
  m.impl("selective_scan_backward", TORCH_BOX(&mmssm::selective_scan_backward));
}

#if defined(MMSSM_CUDA) && !defined(MMSSM_EMULATED)
STABLE_TORCH_LIBRARY_IMPL(mmssm, CUDA, m) {
  m.impl("selective_scan", TORCH_BOX(&mmssm::selective_scan));
  m.impl("selective_scan_backward", TORCH_BOX(&mmssm::selective_scan_backward));
}
#endif
