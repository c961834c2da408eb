// Blocks and launches of a GPU.

#pragma once

#include <stdexcept>
#include <string>

#include "device.cuh"
#include "kernels.h"

namespace mmssm {
namespace cuda {

struct GpuBlock {
  __device__ __forceinline__ int thread() const { return int(threadIdx.x); }
  __device__ __forceinline__ int64_t index() const { return blockIdx.x; }
  // Warps may meet at different places of the program: not so with __syncthreads.
  __device__ __forceinline__ void sync() const {
    asm volatile("bar.sync 0;" ::: "memory");
  }
  // Of the block's last kThreads threads, which are whole warps.
  template <int kThreads>
  __device__ __forceinline__ void sync_some() const {
    asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
  }
  __device__ __forceinline__ void warp_sync() const { __syncwarp(); }
  template <class T>
  __device__ __forceinline__ T shuffle_xor(T value, int mask) const {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }
  __device__ __forceinline__ char* shared() const {
    extern __shared__ __align__(16) char memory[];
    return memory;
  }
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kBlocks)
    run_kernel(const __grid_constant__ typename Kernel::Args args) {
  Kernel::run(GpuBlock(), args);
}

class GpuLauncher {
 public:
  explicit GpuLauncher(const Where& where) : where_(where) {
    multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount);
    max_shared_ = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  }

  int64_t multiprocessors() const { return multiprocessors_; }
  int64_t max_shared() const { return max_shared_; }
  void* allocate(int64_t bytes) const { return where_.allocate(bytes); }

  template <class Kernel>
  void launch(int64_t blocks, int64_t shared, const typename Kernel::Args& args) const {
    if (shared > max_shared_) {
      throw std::runtime_error(
          "mmssm: this scan needs " + std::to_string(shared) +
          " bytes of shared memory, the GPU has " + std::to_string(max_shared_) +
          "; use a smaller rank R of dt_weight");
    }
    if (blocks > 0x7fffffff) {
      throw std::runtime_error("mmssm: too many blocks for one launch");
    }
    const auto kernel = run_kernel<Kernel>;
    if (shared > kAlwaysShared) {
      check(cudaFuncSetAttribute(
          kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)));
    }
    kernel<<<unsigned(blocks), Kernel::kThreads, size_t(shared),
             static_cast<cudaStream_t>(where_.stream)>>>(args);
    check(cudaGetLastError());
  }

 private:
  static constexpr int64_t kAlwaysShared = 48 * 1024;

  int64_t attribute(cudaDeviceAttr name) const {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, name, where_.device));
    return value;
  }

  static void check(cudaError_t error) {
    if (error != cudaSuccess) {
      const bool is_missing = error == cudaErrorNoKernelImageForDevice ||
                              error == cudaErrorInvalidDeviceFunction;
      throw std::runtime_error(
          std::string("mmssm: CUDA says: ") + cudaGetErrorString(error) +
          (is_missing ? "; build the kernels for this GPU: name its architecture in "
                        "TORCH_CUDA_ARCH_LIST"
                      : ""));
    }
  }

  const Where& where_;
  int64_t multiprocessors_, max_shared_;
};

}  // namespace cuda
}  // namespace mmssm
