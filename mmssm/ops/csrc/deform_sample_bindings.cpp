// The op `deform_sample`, on PyTorch's stable interface. The Python function has
// checked the arguments and made them of one dtype.

#include <torch/csrc/stable/library.h>

#include <limits>
#include <tuple>

#include "bindings.h"

namespace mmssm {
namespace {

const DeformSampleKernels& sampling_kernels_for(const Tensor& x) {
  const IsaChoice& isa = chosen_isa();
  STD_TORCH_CHECK(isa.kernels != nullptr, isa.error);
  const ByDtype<DeformSampleKernels>& set = isa.kernels->deform_sample;
  const bool is_double = x.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(
      is_double || x.scalar_type() == ScalarType::Float,
      "mmssm: deform_sample needs float32 or float64");
  return is_double ? set.double_ : set.single;
}

struct Call {
  Tensor x;
  Taps taps;
  DeformSample& s;

  Call(
      const Tensor& x_, const Tensor& offset, const Tensor& weight,
      const Tensor& anchors, int64_t rows, int64_t columns)
      : x(x_.stride(2) == 1 ? x_ : torch::stable::contiguous(x_)),
        taps(x, offset, weight, anchors, rows, columns),
        s(taps.s) {
    s.x = x.data_ptr();
    s.x_batch = x.stride(0);
    s.x_token = x.stride(1);
  }
};

#if defined(MMSSM_CUDA)
void check_tokens(const DeformSample& s) {
  STD_TORCH_CHECK(
      s.rows * s.columns < std::numeric_limits<int32_t>::max(),
      "mmssm: on CUDA a map must have less than 2^31 tokens");
}
#endif

bool is_empty(const DeformSample& s) {
  return s.batch * s.rows * s.columns * s.channels == 0;
}

}  // namespace

Tensor deform_sample(
    Tensor x, Tensor offset, Tensor weight, Tensor anchors, int64_t rows,
    int64_t columns) {
  const Call call(x, offset, weight, anchors, rows, columns);
  Tensor y = empty(x, sizes_of(x), x.scalar_type());
  if (is_empty(call.s)) {
    return y;
  }
  void* data = const_cast<void*>(y.data_ptr());
#if defined(MMSSM_CUDA)
  if (is_on_cuda(x)) {
    check_tokens(call.s);
    const CudaCall on_cuda(x);
    with_ops(x.scalar_type(), [&](auto ops) {
      ops.sample_forward(on_cuda.where(), call.s, data);
    });
    return y;
  }
#endif
  const DeformSampleKernels& kernels = sampling_kernels_for(x);
  torch::stable::parallel_for(
      0, kernels.forward_tasks(call.s), 1, [&](int64_t begin, int64_t end) {
        kernels.forward(call.s, data, begin, end);
      });
  return y;
}

std::tuple<Tensor, Tensor, Tensor> deform_sample_backward(
    Tensor grad_y, Tensor x, Tensor offset, Tensor weight, Tensor anchors,
    int64_t rows, int64_t columns) {
  const Call call(x, offset, weight, anchors, rows, columns);
  const DeformSample& s = call.s;
  Tensor dx = empty_gradient(x);
  Tensor doffset = empty_gradient(offset), dweight = empty_gradient(weight);
  if (is_empty(s)) {
    for (Tensor* tensor : {&dx, &doffset, &dweight}) {
      torch::stable::zero_(*tensor);
    }
    return {dx, doffset, dweight};
  }
  const Tensor given = torch::stable::contiguous(grad_y);
  DeformSampleGrad grad;
  grad.y = given.data_ptr();
  grad.x = const_cast<void*>(dx.data_ptr());
  grad.offset = const_cast<void*>(doffset.data_ptr());
  grad.weight = const_cast<void*>(dweight.data_ptr());
#if defined(MMSSM_CUDA)
  if (is_on_cuda(x)) {
    check_tokens(s);
    const CudaCall on_cuda(x);
    with_ops(x.scalar_type(), [&](auto ops) {
      ops.sample_backward(on_cuda.where(), s, grad);
    });
    return {dx, doffset, dweight};
  }
#endif
  const DeformSampleKernels& kernels = sampling_kernels_for(x);
  const Tensor place_sums =
      empty(
          x, {kernels.blocks(s), s.batch, x.size(1), s.groups, s.taps, 3},
          x.scalar_type());
  const Tensor channel_sums =
      empty(x, {s.per_token ? 0 : s.batch, s.channels, s.taps}, x.scalar_type());
  grad.place_sums = const_cast<void*>(place_sums.data_ptr());
  grad.channel_sums = const_cast<void*>(channel_sums.data_ptr());
  torch::stable::parallel_for(
      0, s.batch * s.groups * kernels.blocks(s), 1, [&](int64_t begin, int64_t end) {
        kernels.backward(s, grad, begin, end);
      });
  torch::stable::parallel_for(0, s.batch, 1, [&](int64_t begin, int64_t end) {
    kernels.reduce_places(s, grad, begin, end);
  });
  if (!s.per_token) {
    torch::stable::parallel_for(0, s.channels, 64, [&](int64_t begin, int64_t end) {
      kernels.reduce_channels(s, grad, begin, end);
    });
  }
  return {dx, doffset, dweight};
}

}  // namespace mmssm

STABLE_TORCH_LIBRARY_FRAGMENT(mmssm, m) {
  m.def(
      "deform_sample(Tensor x, Tensor offset, Tensor weight, Tensor anchors, "
      "SymInt rows, SymInt columns) -> Tensor");
  m.def(
      "deform_sample_backward(Tensor grad_y, Tensor x, Tensor offset, Tensor weight, "
      "Tensor anchors, SymInt rows, SymInt columns) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(mmssm, CPU, m) {
  m.impl("deform_sample", TORCH_BOX(&mmssm::deform_sample));
  m.impl("deform_sample_backward", TORCH_BOX(&mmssm::deform_sample_backward));
}

#if defined(MMSSM_CUDA) && !defined(MMSSM_EMULATED)
STABLE_TORCH_LIBRARY_IMPL(mmssm, CUDA, m) {
  m.impl("deform_sample", TORCH_BOX(&mmssm::deform_sample));
  m.impl("deform_sample_backward", TORCH_BOX(&mmssm::deform_sample_backward));
}
#endif
