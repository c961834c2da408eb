// Vectors of the width that the file including this is compiled for.
//
// MMSSM_ISA names a namespace of its own for each instruction set: the same
// templates are compiled several times with different flags, and the linker must
// not mix them up. For the same reason nothing here uses the standard library.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if !defined(__has_builtin)
#error "mmssm needs GCC 12 or newer, or Clang"
#elif !__has_builtin(__builtin_shufflevector)
#error "mmssm needs GCC 12 or newer, or Clang"
#endif

#if defined(__AVX512F__)
#define MMSSM_VECTOR_BYTES 64
#elif defined(__AVX__)
#define MMSSM_VECTOR_BYTES 32
#else
#define MMSSM_VECTOR_BYTES 16
#endif

namespace mmssm {
namespace MMSSM_ISA {

// Channels in a block: what the innermost loops run over.
constexpr int kLanes = 16;

template <class T>
struct Vectors;

template <>
struct Vectors<float> {
  typedef float Vec __attribute__((vector_size(MMSSM_VECTOR_BYTES)));
  typedef int32_t Bits __attribute__((vector_size(MMSSM_VECTOR_BYTES)));
};

template <>
struct Vectors<double> {
  typedef double Vec __attribute__((vector_size(MMSSM_VECTOR_BYTES)));
  typedef int64_t Bits __attribute__((vector_size(MMSSM_VECTOR_BYTES)));
};

template <class T>
using Vec = typename Vectors<T>::Vec;
template <class T>
using Bits = typename Vectors<T>::Bits;

// Elements in a vector, and vectors in a block of channels.
template <class T>
constexpr int kWidth = MMSSM_VECTOR_BYTES / sizeof(T);
template <class T>
constexpr int kVectors = kLanes / kWidth<T>;


// Returns the sum over lanes of each of kWidth vectors.
template <class V>
inline V sum_lanes_2(const V* p) {
  return __builtin_shufflevector(p[0], p[1], 0, 2) +
         __builtin_shufflevector(p[0], p[1], 1, 3);
}

template <class V>
inline V sum_lanes_4(const V* p) {
  V pair[2];
  for (int i = 0; i < 2; ++i) {
    pair[i] = __builtin_shufflevector(p[2 * i], p[2 * i + 1], 0, 4, 2, 6) +
              __builtin_shufflevector(p[2 * i], p[2 * i + 1], 1, 5, 3, 7);
  }
  return __builtin_shufflevector(pair[0], pair[1], 0, 1, 4, 5) +
         __builtin_shufflevector(pair[0], pair[1], 2, 3, 6, 7);
}

template <class V>
inline V sum_lanes_8(const V* p) {
  V pair[4], four[2];
  for (int i = 0; i < 4; ++i) {
    const V a = p[2 * i], b = p[2 * i + 1];
    pair[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
              __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 2; ++i) {
    const V a = pair[2 * i], b = pair[2 * i + 1];
    four[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
              __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  return __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(four[0], four[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

template <class T>
inline Vec<T> sum_lanes(const Vec<T>* p) {
  static_assert(kWidth<T> == 2 || kWidth<T> == 4 || kWidth<T> == 8, "add a butterfly");
  if constexpr (kWidth<T> == 2) {
    return sum_lanes_2(p);
  } else if constexpr (kWidth<T> == 4) {
    return sum_lanes_4(p);
  } else {
    return sum_lanes_8(p);
  }
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
