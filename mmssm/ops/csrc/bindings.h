// What the bindings share: from tensors to the descriptions in common/, and the order
// in which the kernels of a scan run.

#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdlib>
#include <optional>
#include <vector>

#include "cpu/kernels.h"
#include "cuda_call.h"

namespace mmssm {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Sizes = std::vector<int64_t>;

inline Dtype dtype_of(const Tensor& tensor) {
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
inline View view_of(const Tensor& tensor, const std::vector<int>& order) {
  View view;
  view.data = const_cast<void*>(tensor.data_ptr());
  view.dtype = dtype_of(tensor);
  for (size_t i = 0; i < order.size(); ++i) {
    view.stride[i] = order[i] < 0 ? 0 : tensor.stride(order[i]);
  }
  return view;
}

inline View view_of(const OptionalTensor& tensor, const std::vector<int>& order) {
  return tensor ? view_of(*tensor, order) : View{};
}

// Splits the channels of a view, at place `channel`, into K groups of `size`.
// Returns the stride of a group.
inline int64_t group_stride(const View& view, int channel, int64_t size) {
  return view.stride[channel] * size;
}

inline View shifted(View view, int64_t elements) {
  const int64_t size = view.dtype == Dtype::kDouble  ? 8
                       : view.dtype == Dtype::kFloat ? 4
                                                     : 2;
  view.data = static_cast<char*>(view.data) + elements * size;
  return view;
}

inline const ScanKernels& kernels_for(ScalarType state) {
  const IsaChoice& isa = chosen_isa();
  STD_TORCH_CHECK(isa.kernels != nullptr, isa.error);
  const ByDtype<ScanKernels>& set = isa.kernels->scan;
  return state == ScalarType::Double ? set.double_ : set.single;
}

inline ScalarType state_dtype(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double
                                                    : ScalarType::Float;
}

inline Tensor empty(const Tensor& like, const Sizes& sizes, ScalarType dtype) {
  return torch::stable::new_empty(like, sizes, dtype);
}

inline Tensor zeros(const Tensor& like, const Sizes& sizes, ScalarType dtype) {
  return torch::stable::new_zeros(like, sizes, dtype);
}

inline Sizes sizes_of(const Tensor& tensor) {
  Sizes sizes;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    sizes.push_back(tensor.size(i));
  }
  return sizes;
}

// The gradient of an argument: uninitialised, or empty if there is no argument.
inline Tensor empty_gradient(const Tensor& argument) {
  return empty(argument, sizes_of(argument), argument.scalar_type());
}

inline Tensor empty_gradient(const OptionalTensor& argument, const Tensor& like) {
  return argument ? empty_gradient(*argument) : empty(like, {0}, like.scalar_type());
}

// Where samples are read. Offset, weight and anchors are of the dtype that is
// calculated in.
struct Taps {
  Tensor offset, weight, anchors;
  DeformSample s;

  Taps(
      const Tensor& x, const Tensor& offset_, const Tensor& weight_,
      const Tensor& anchors_, int64_t rows, int64_t columns)
      : offset(torch::stable::contiguous(offset_)),
        weight(torch::stable::contiguous(weight_)),
        anchors(torch::stable::contiguous(anchors_)) {
    for (const Tensor* tensor : {&offset, &weight, &anchors}) {
      STD_TORCH_CHECK(
          tensor->scalar_type() == state_dtype(x),
          "mmssm: offset, weight and anchors must be of the dtype of the state");
    }
    s.batch = x.size(0);
    s.rows = rows;
    s.columns = columns;
    s.channels = x.size(2);
    s.groups = offset.size(2);
    s.taps = offset.size(3);
    s.per_token = weight.dim() == 4;
    s.offset = offset.data_ptr();
    s.weight = weight.data_ptr();
    s.anchors = anchors.data_ptr();
  }
};

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
inline bool is_empty(const Scan& s) { return s.batch == 0 || s.channels == 0; }

constexpr int64_t kTapTokens = 64;  // of a task at least

// Returns the memory of the taps of a scan's samples, to be kept while it runs.
inline Tensor find_taps(Scan& scan, const ScanKernels& kernels, const Tensor& like) {
  const DeformSample* deform = scan.deform;
  const int64_t taps =
      deform ? scan.batch * scan.tokens * deform->groups * deform->taps : 0;
  const Tensor memory = empty(like, {taps * kernels.tap_size}, ScalarType::Byte);
  scan.taps = const_cast<void*>(memory.data_ptr());
  if (taps > 0) {
    torch::stable::parallel_for(
        0, scan.batch * scan.tokens, kTapTokens, [&](int64_t begin, int64_t end) {
          kernels.find_taps(scan, begin, end);
        });
  }
  return memory;
}

inline void run_forward(Scan& scan, ScalarType dtype, const Tensor& like) {
#if defined(MMSSM_CUDA)
  if (is_on_cuda(like)) {
    const CudaCall call(like);
    return with_ops(dtype, [&](auto ops) { ops.scan_forward(call.where(), scan); });
  }
#endif
  const ScanKernels& kernels = kernels_for(dtype);
  const Tensor taps = find_taps(scan, kernels, like);
  const int64_t bytes = kernels.forward_scratch(scan);
  torch::stable::parallel_for(
      0, kernels.forward_tasks(scan), 1, [&](int64_t begin, int64_t end) {
        Scratch scratch(bytes);
        kernels.forward(scan, begin, end, scratch.get());
      });
}

inline void run_backward(
    Scan& scan, const ScanGrad& grad, ScalarType dtype, const Tensor& like) {
#if defined(MMSSM_CUDA)
  if (is_on_cuda(like)) {
    const CudaCall call(like);
    return with_ops(
        dtype, [&](auto ops) { ops.scan_backward(call.where(), scan, grad); });
  }
#endif
  const ScanKernels& kernels = kernels_for(dtype);
  const Tensor taps = find_taps(scan, kernels, like);
  BackwardPlan plan = kernels.plan(scan);
  const DeformSample no_samples, &deform = scan.deform ? *scan.deform : no_samples;
  const bool by_channel = scan.deform && !deform.per_token;
  const Tensor corner_sums = zeros(
      like,
      {plan.block_parts, scan.batch, scan.tokens, deform.groups, deform.taps, 4},
      dtype);
  const Tensor channel_sums = zeros(
      like,
      {by_channel ? plan.batch_parts : 0, plan.blocks, deform.taps, kernels.lanes},
      dtype);
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
  plan.corner_sums = const_cast<void*>(corner_sums.data_ptr());
  plan.channel_sums = const_cast<void*>(channel_sums.data_ptr());
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
  if (scan.deform) {
    torch::stable::parallel_for(
        0, scan.batch * scan.tokens, kTapTokens, [&](int64_t begin, int64_t end) {
          kernels.reduce_taps(scan, grad, plan, begin, end);
        });
  }
  if (by_channel) {
    torch::stable::parallel_for(0, plan.blocks, 16, [&](int64_t begin, int64_t end) {
      kernels.reduce_channels(scan, grad, plan, begin, end);
    });
  }
}

inline Sizes checkpoint_sizes(const Scan& s) {
  return {s.batch, s.paths, s.segments, num_slots(s), s.states, s.channels};
}

inline Tensor empty_checkpoints(
    const Tensor& like, const Scan& scan, ScalarType dtype, bool for_backward) {
  return empty(like, for_backward ? checkpoint_sizes(scan) : Sizes{0}, dtype);
}

inline void* checkpoints_of(const Scan& scan, const Tensor& checkpoints) {
  STD_TORCH_CHECK(
      sizes_of(checkpoints) == checkpoint_sizes(scan) && checkpoints.is_contiguous(),
      "mmssm: the forward was not called with for_backward");
  return const_cast<void*>(checkpoints.data_ptr());
}

inline void fill_zeros(std::vector<Tensor> tensors) {
  for (Tensor& tensor : tensors) {
    torch::stable::zero_(tensor);
  }
}

}  // namespace mmssm
