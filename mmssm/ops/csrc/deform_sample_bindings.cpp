// The op `deform_sample`, on PyTorch's stable interface. The Python function has
// checked the arguments and made them of one dtype.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <tuple>
#include <vector>

#include "cpu/deform_sample_kernels.h"
#include "cpu/kernels.h"

namespace mmssm {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

const DeformSampleKernels& kernels_for(const Tensor& x) {
  const IsaChoice& isa = chosen_isa();
  STD_TORCH_CHECK(isa.kernels != nullptr, isa.error);
#if defined(__x86_64__)
  // There is no file for AVX-512: what has it has AVX2.
  const DeformSampleKernelSet& set = isa.name == "baseline"
                                         ? baseline::deform_sample_kernels
                                         : avx2::deform_sample_kernels;
#else
  const DeformSampleKernelSet& set = baseline::deform_sample_kernels;
#endif
  const bool is_double = x.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(
      is_double || x.scalar_type() == ScalarType::Float,
      "mmssm: deform_sample needs float32 or float64");
  return is_double ? set.double_ : set.single;
}

Tensor empty(const Tensor& like, const std::vector<int64_t>& sizes) {
  return torch::stable::new_empty(like, sizes, like.scalar_type());
}

Tensor empty_gradient(const Tensor& argument) {
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < argument.dim(); ++i) {
    sizes.push_back(argument.size(i));
  }
  return empty(argument, sizes);
}

struct Call {
  Tensor x, offset, weight, anchors;
  DeformSample s;

  Call(
      const Tensor& x_, const Tensor& offset_, const Tensor& weight_,
      const Tensor& anchors_, int64_t rows, int64_t columns)
      : x(x_.stride(2) == 1 ? x_ : torch::stable::contiguous(x_)),
        offset(torch::stable::contiguous(offset_)),
        weight(torch::stable::contiguous(weight_)),
        anchors(torch::stable::contiguous(anchors_)) {
    for (const Tensor& tensor : {offset, weight, anchors}) {
      STD_TORCH_CHECK(
          tensor.scalar_type() == x.scalar_type(),
          "mmssm: deform_sample needs arguments of one dtype");
    }
    s.batch = x.size(0);
    s.rows = rows;
    s.columns = columns;
    s.channels = x.size(2);
    s.groups = offset.size(2);
    s.taps = offset.size(3);
    s.per_token = weight.dim() == 4;
    s.x = x.data_ptr();
    s.x_batch = x.stride(0);
    s.x_token = x.stride(1);
    s.offset = offset.data_ptr();
    s.weight = weight.data_ptr();
    s.anchors = anchors.data_ptr();
  }
};

bool is_empty(const DeformSample& s) {
  return s.batch * s.rows * s.columns * s.channels == 0;
}

}  // namespace

Tensor deform_sample(
    Tensor x, Tensor offset, Tensor weight, Tensor anchors, int64_t rows,
    int64_t columns) {
  const Call call(x, offset, weight, anchors, rows, columns);
  Tensor y = empty(x, {x.size(0), x.size(1), x.size(2)});
  if (is_empty(call.s)) {
    return y;
  }
  const DeformSampleKernels& kernels = kernels_for(x);
  void* data = const_cast<void*>(y.data_ptr());
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
  const DeformSampleKernels& kernels = kernels_for(x);
  const Tensor given = torch::stable::contiguous(grad_y);
  const Tensor place_sums =
      empty(x, {kernels.blocks(s), s.batch, x.size(1), s.groups, s.taps, 3});
  const Tensor channel_sums =
      empty(x, {s.per_token ? 0 : s.batch, s.channels, s.taps});
  DeformSampleGrad grad;
  grad.y = given.data_ptr();
  grad.x = const_cast<void*>(dx.data_ptr());
  grad.offset = const_cast<void*>(doffset.data_ptr());
  grad.weight = const_cast<void*>(dweight.data_ptr());
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
