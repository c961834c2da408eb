// The ops `path_scan` and `deform_scan`, on PyTorch's stable interface. The Python
// functions have checked the arguments.

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <limits>
#include <tuple>

#include "bindings.h"

namespace mmssm {

namespace {

struct PathScan {
  std::vector<View> sources;
  Scan scan;

  PathScan(
      const std::vector<Tensor>& x, const Tensor& dt, const Tensor& A, const Tensor& B,
      const Tensor& C, const OptionalTensor& D, const OptionalTensor& dt_bias,
      const OptionalTensor& dt_weight, const OptionalTensor& initial_state,
      const Tensor& index, const Sizes& rows, const Sizes& source, const Sizes& reverse,
      int64_t segment, int64_t segments) {
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
  run_forward(scan, dtype, x[0]);
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
  run_backward(scan, grad, state_dtype(x[0]), checkpoints);
  return {dx, ddt, dA, dB, dC, dD, dbias, dweight, dinitial};
}

// ---------------------------------------------------------------------------------
// deform_scan

namespace {

struct DeformScan {
  Taps taps;
  Sizes source;
  PathScan path_scan;
  Scan& scan;

  DeformScan(
      const Tensor& x, const Tensor& offset, const Tensor& weight,
      const Tensor& anchors, int64_t height, int64_t width, const Tensor& dt,
      const Tensor& A, const Tensor& B, const Tensor& C, const OptionalTensor& D,
      const OptionalTensor& dt_bias, const OptionalTensor& dt_weight,
      const Tensor& index, const Sizes& rows, const Sizes& reverse, int64_t segment,
      int64_t segments)
      : taps(x, offset, weight, anchors, height, width),
        source(rows.size(), 0),
        path_scan(
            {x}, dt, A, B, C, D, dt_bias, dt_weight, std::nullopt, index, rows, source,
            reverse, segment, segments),
        scan(path_scan.scan) {
    STD_TORCH_CHECK(
        scan.tokens < std::numeric_limits<int32_t>::max(),
        "mmssm: a map of a deformable scan must have less than 2^31 tokens");
    scan.deform = &taps.s;
  }
};

}  // namespace

std::tuple<Tensor, Tensor> deform_scan(
    Tensor x, Tensor offset, Tensor weight, Tensor anchors, Tensor dt, Tensor A,
    Tensor B, Tensor C, OptionalTensor D, OptionalTensor dt_bias,
    OptionalTensor dt_weight, Tensor index, int64_t height, int64_t width, Sizes rows,
    Sizes reverse, int64_t segment, int64_t segments, bool for_backward,
    ScalarType out_dtype) {
  DeformScan call(
      x, offset, weight, anchors, height, width, dt, A, B, C, D, dt_bias, dt_weight,
      index, rows, reverse, segment, segments);
  Scan& scan = call.scan;
  const ScalarType dtype = state_dtype(x);
  Tensor y = empty(x, sizes_of(x), out_dtype);
  Tensor checkpoints = empty_checkpoints(x, scan, dtype, for_backward);
  if (is_empty(scan)) {
    return {y, checkpoints};
  }
  scan.y = view_of(y, {0, 1, 2, -1});
  scan.checkpoints = for_backward ? const_cast<void*>(checkpoints.data_ptr()) : nullptr;
  run_forward(scan, dtype, x);
  return {y, checkpoints};
}

std::tuple<
    Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
deform_scan_backward(
    Tensor grad_y, Tensor checkpoints, Tensor x, Tensor offset, Tensor weight,
    Tensor anchors, Tensor dt, Tensor A, Tensor B, Tensor C, OptionalTensor D,
    OptionalTensor dt_bias, OptionalTensor dt_weight, Tensor index, int64_t height,
    int64_t width, Sizes rows, Sizes reverse, int64_t segment, int64_t segments) {
  DeformScan call(
      x, offset, weight, anchors, height, width, dt, A, B, C, D, dt_bias, dt_weight,
      index, rows, reverse, segment, segments);
  Scan& scan = call.scan;
  Tensor dx = empty_gradient(x);
  Tensor doffset = empty_gradient(offset), dsample_weight = empty_gradient(weight);
  Tensor ddt = empty_gradient(dt), dA = empty_gradient(A);
  Tensor dB = empty_gradient(B), dC = empty_gradient(C);
  Tensor dD = empty_gradient(D, checkpoints);
  Tensor dbias = empty_gradient(dt_bias, checkpoints);
  Tensor ddt_weight = empty_gradient(dt_weight, checkpoints);
  if (is_empty(scan)) {
    fill_zeros({doffset, dsample_weight, ddt, dA, dB, dC, dD, dbias, ddt_weight});
    return {dx, doffset, dsample_weight, ddt, dA, dB, dC, dD, dbias, ddt_weight};
  }
  scan.checkpoints = checkpoints_of(scan, checkpoints);
  const View dx_view = view_of(dx, {0, 1, 2});
  ScanGrad grad;
  grad.y = view_of(grad_y, {0, 1, 2, -1});
  grad.x = &dx_view;
  grad.offset = const_cast<void*>(doffset.data_ptr());
  grad.weight = const_cast<void*>(dsample_weight.data_ptr());
  grad.dt = view_of(ddt, {0, 1, 2, 3});
  grad.A = view_of(dA, {0, 1, 2});
  grad.B = view_of(dB, {0, 1, 2, 3});
  grad.C = view_of(dC, {0, 1, 2, 3});
  grad.D = D ? view_of(dD, {0, 1}) : View{};
  grad.dt_bias = dt_bias ? view_of(dbias, {0, 1}) : View{};
  grad.dt_weight = dt_weight ? view_of(ddt_weight, {0, 1, 2}) : View{};
  run_backward(scan, grad, state_dtype(x), checkpoints);
  return {dx, doffset, dsample_weight, ddt, dA, dB, dC, dD, dbias, ddt_weight};
}

}  // namespace mmssm

STABLE_TORCH_LIBRARY_FRAGMENT(mmssm, m) {
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
  m.def(
      "deform_scan(Tensor x, Tensor offset, Tensor weight, Tensor anchors, Tensor dt, "
      "Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? dt_bias, Tensor? dt_weight, "
      "Tensor index, SymInt height, SymInt width, int[] rows, int[] reverse, "
      "SymInt segment, SymInt segments, bool for_backward, ScalarType out_dtype) -> "
      "(Tensor, Tensor)");
  m.def(
      "deform_scan_backward(Tensor grad_y, Tensor checkpoints, Tensor x, "
      "Tensor offset, Tensor weight, Tensor anchors, Tensor dt, Tensor A, Tensor B, "
      "Tensor C, Tensor? D, Tensor? dt_bias, Tensor? dt_weight, Tensor index, "
      "SymInt height, SymInt width, int[] rows, int[] reverse, SymInt segment, "
      "SymInt segments) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, "
      "Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(mmssm, CPU, m) {
  m.impl("path_scan", TORCH_BOX(&mmssm::path_scan));
  m.impl("path_scan_backward", TORCH_BOX(&mmssm::path_scan_backward));
  m.impl("deform_scan", TORCH_BOX(&mmssm::deform_scan));
  m.impl("deform_scan_backward", TORCH_BOX(&mmssm::deform_scan_backward));
}

#if defined(MMSSM_CUDA) && !defined(MMSSM_EMULATED)
STABLE_TORCH_LIBRARY_IMPL(mmssm, CUDA, m) {
  m.impl("path_scan", TORCH_BOX(&mmssm::path_scan));
  m.impl("path_scan_backward", TORCH_BOX(&mmssm::path_scan_backward));
  m.impl("deform_scan", TORCH_BOX(&mmssm::deform_scan));
  m.impl("deform_scan_backward", TORCH_BOX(&mmssm::deform_scan_backward));
}
#endif
