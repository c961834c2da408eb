// Vectors of the width that the file including this is compiled for.
//
// MMSSM_ISA names a namespace of its own for each instruction set: the same
// templates are compiled several times with different flags, and the linker must
// not mix them up. For the same reason nothing here uses functions of the standard
// library. There are no intrinsics either: the compiler's own vector types serve
// every processor, and lower a width that a processor lacks.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if !defined(__has_builtin)
#error "mmssm needs GCC 12 or newer, or Clang"
#elif !__has_builtin(__builtin_shufflevector)
#error "mmssm needs GCC 12 or newer, or Clang"
#endif

#if defined(MMSSM_VECTOR_BYTES)
// Given by the build: a width to be lowered.
#elif defined(__AVX512F__)
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

// The floating-point vector of so many bytes, and the integers of the same size:
// those that compare as the values do, and those that wrap around.
template <class T, int kBytes>
struct Vectors;

template <int kBytes>
struct Vectors<float, kBytes> {
  typedef float Vec __attribute__((vector_size(kBytes)));
  typedef int32_t Bits __attribute__((vector_size(kBytes)));
  typedef uint32_t Unsigned __attribute__((vector_size(kBytes)));
};

template <int kBytes>
struct Vectors<double, kBytes> {
  typedef double Vec __attribute__((vector_size(kBytes)));
  typedef int64_t Bits __attribute__((vector_size(kBytes)));
  typedef uint64_t Unsigned __attribute__((vector_size(kBytes)));
};

template <class T>
using Vec = typename Vectors<T, MMSSM_VECTOR_BYTES>::Vec;
template <class T>
using Bits = typename Vectors<T, MMSSM_VECTOR_BYTES>::Bits;
template <class T>
using Unsigned = typename Vectors<T, MMSSM_VECTOR_BYTES>::Unsigned;
// Four elements: the unit in which tiles are converted and transposed.
template <class T>
using Quad = typename Vectors<T, 4 * sizeof(T)>::Vec;

// Elements in a vector, and vectors in a block of channels.
template <class T>
constexpr int kWidth = MMSSM_VECTOR_BYTES / sizeof(T);
template <class T>
constexpr int kVectors = kLanes / kWidth<T>;

// A step of a butterfly that sums over lanes: in every group of 2 kStep lanes, the
// sums of the two halves of `a`, then those of `b`. The first step leaves them
// interleaved, which the processors can do in one instruction.
template <int kStep, class V, int... kLane>
inline V fold(V a, V b, std::integer_sequence<int, kLane...>) {
  constexpr int kCount = sizeof...(kLane);
  if constexpr (kStep == 1 && kCount >= 4) {
    return __builtin_shufflevector(
               a, b, ((kLane & ~3) + (kLane & 3) / 2 + (kLane & 1) * kCount)...) +
           __builtin_shufflevector(
               a, b, ((kLane & ~3) + (kLane & 3) / 2 + (kLane & 1) * kCount + 2)...);
  } else {
    return __builtin_shufflevector(
               a, b, (kLane & kStep ? kCount + kLane - kStep : kLane)...) +
           __builtin_shufflevector(
               a, b, (kLane & kStep ? kCount + kLane : kLane + kStep)...);
  }
}

// Returns the sum over lanes of each of kWidth vectors.
template <class T, int kStep = 1>
inline Vec<T> sum_lanes(const Vec<T>* p) {
  if constexpr (kStep == kWidth<T>) {
    return *p;
  } else {
    constexpr int kLeft = kWidth<T> / kStep / 2;
    Vec<T> folded[kLeft];
    for (int i = 0; i < kLeft; ++i) {
      folded[i] = fold<kStep>(
          p[2 * i], p[2 * i + 1], std::make_integer_sequence<int, kWidth<T>>{});
    }
    return sum_lanes<T, 2 * kStep>(folded);
  }
}

// The transposed of four rows of four.
template <class Q>
inline void transpose(Q (&row)[4]) {
  const Q a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  const Q b = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  const Q c = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  const Q d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  row[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  row[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  row[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  row[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
