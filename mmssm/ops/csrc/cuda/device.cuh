// What makes one source serve nvcc and any C++ compiler. Kernels are functors whose
// `run(block, arguments)` is the whole of what a thread does; `block` tells where the
// thread is and lets it meet the others (GpuBlock in gpu.cuh; on a CPU the emulator).

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define MMSSM_DEVICE __device__ __forceinline__
#else
#define MMSSM_DEVICE inline
#endif

namespace mmssm {
namespace cuda {

constexpr int kWarp = 32;

template <class To, class From>
MMSSM_DEVICE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "same size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

MMSSM_DEVICE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The same value, which the compiler does not know to be the same: what is calculated
// from it is not calculated ahead of a loop and kept in registers that the loop needs.
MMSSM_DEVICE int64_t afresh(int64_t value) {
#if defined(__CUDA_ARCH__)
  asm volatile("" : "+l"(value));
#endif
  return value;
}

MMSSM_DEVICE int afresh(int value) {
#if defined(__CUDA_ARCH__)
  asm volatile("" : "+r"(value));
#endif
  return value;
}

// Neighbouring values of shared memory, loaded 16 bytes at a time where they can be.
template <int kCount, class T>
MMSSM_DEVICE void load_row(T (&to)[kCount], const T* from) {
  constexpr int kBytes = kCount * int(sizeof(T));
  struct alignas(kBytes % 16 == 0 ? 16 : kBytes % 8 == 0 ? 8 : sizeof(T)) Row {
    T value[kCount];
  };
  const Row row = *reinterpret_cast<const Row*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    to[i] = row.value[i];
  }
}

}  // namespace cuda
}  // namespace mmssm
