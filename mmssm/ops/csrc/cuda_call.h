// From tensors on a GPU to where their op runs. With MMSSM_EMULATED, in builds for
// tests, the kernels for CUDA take the CPU's tensors and run on the emulator.

#pragma once

#if defined(MMSSM_CUDA)

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/shim_utils.h>

#include <optional>
#include <vector>

#include "cuda/kernels.h"

#if !defined(MMSSM_EMULATED)
// Of libtorch_cuda; its header declares it for builds with CUDA's headers only.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(
    int32_t device_index, void** ret_stream);
#endif

namespace mmssm {

inline bool is_on_cuda(const torch::stable::Tensor& tensor) {
#if defined(MMSSM_EMULATED)
  return true;
#else
  return tensor.is_cuda();
#endif
}

// Makes the device of a tensor the current one, and gives out memory on it.
class CudaCall {
 public:
  explicit CudaCall(const torch::stable::Tensor& like) : like_(like) {
#if !defined(MMSSM_EMULATED)
    where_.device = like.get_device_index();
    guard_.emplace(where_.device);
    TORCH_ERROR_CODE_CHECK(
        aoti_torch_get_current_cuda_stream(where_.device, &where_.stream));
#endif
    // PyTorch gives memory to others on this stream only, so that it may go before
    // the kernels have run.
    where_.allocate = [this](int64_t bytes) {
      memory_.push_back(torch::stable::new_empty(
          like_, {bytes}, torch::headeronly::ScalarType::Byte));
      return const_cast<void*>(memory_.back().data_ptr());
    };
  }

  CudaCall(const CudaCall&) = delete;
  const cuda::Where& where() const { return where_; }

 private:
  torch::stable::Tensor like_;
  std::vector<torch::stable::Tensor> memory_;
  cuda::Where where_;
#if !defined(MMSSM_EMULATED)
  std::optional<torch::stable::accelerator::DeviceGuard> guard_;
#endif
};

// Calls `body` with the ops of the dtype of the state.
template <class Body>
void with_ops(torch::headeronly::ScalarType state, const Body& body) {
  if (state == torch::headeronly::ScalarType::Double) {
    body(cuda::Ops<double>());
  } else {
    body(cuda::Ops<float>());
  }
}

}  // namespace mmssm

#endif
