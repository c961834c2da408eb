// Values in global memory of any dtype, and back.

#pragma once

#include "../common/scan.h"
#include "device.cuh"

namespace mmssm {
namespace cuda {

// Names a dtype to functions. Half and bfloat16 are one name, for less code.
struct OfSixteenBits {
  using Stored = uint16_t;
  bool is_half;
};
struct OfFloat {
  using Stored = float;
};
struct OfDouble {
  using Stored = double;
};

// The name of what is calculated in.
template <class T>
struct NameOf {
  using Name = OfFloat;
};
template <>
struct NameOf<double> {
  using Name = OfDouble;
};

MMSSM_DEVICE float widen(OfFloat, float value) { return value; }
MMSSM_DEVICE double widen(OfDouble, double value) { return value; }
MMSSM_DEVICE float widen_bfloat16(uint16_t value) {
  return bits_as<float>(uint32_t(value) << 16);
}
MMSSM_DEVICE float widen_half(uint16_t value) {
#if defined(__CUDA_ARCH__)
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value));
  return wide;
#else
  // Exponent and mantissa, moved up, are the value times 2^-112.
  const uint32_t rest = uint32_t(value & 0x7fffu) << 13;
  const uint32_t special = rest >= 0x0f800000u ? 0x7f800000u : 0;
  const float size = bits_as<float>(rest) * 0x1p112f;
  return bits_as<float>(
      bits_as<uint32_t>(size) | special | uint32_t(value & 0x8000u) << 16);
#endif
}

MMSSM_DEVICE float widen(OfSixteenBits name, uint16_t value) {
  return name.is_half ? widen_half(value) : widen_bfloat16(value);
}

MMSSM_DEVICE float narrow(OfFloat, float value) { return value; }
MMSSM_DEVICE double narrow(OfDouble, double value) { return value; }

// Round to nearest, ties to even.
MMSSM_DEVICE uint16_t narrow_bfloat16(float value) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return uint16_t(value != value ? (bits >> 16) | 0x40u : rounded);
}
MMSSM_DEVICE uint16_t narrow_half(float value) {
#if defined(__CUDA_ARCH__)
  uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
#else
  const uint32_t bits = bits_as<uint32_t>(value), size = bits & 0x7fffffffu;
  // Of a subnormal, the addition of 1/2 rounds.
  const uint32_t subnormal =
      bits_as<uint32_t>(bits_as<float>(size) + 0.5f) - 0x3f000000u;
  uint32_t half = (size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u) >> 13;
  half = size < 0x38800000u ? subnormal : half;
  half = size >= 0x477ff000u ? 0x7c00u : half;  // rounds to 65536 or more
  half = size > 0x7f800000u ? 0x7e00u : half;
  return uint16_t((bits >> 16 & 0x8000u) | half);
#endif
}

MMSSM_DEVICE uint16_t narrow(OfSixteenBits name, float value) {
  return name.is_half ? narrow_half(value) : narrow_bfloat16(value);
}

// Calls `body` with the name of the dtype. Double is all or none, so that kernels in
// double know no other and the rest knows no double.
template <class T, class Body>
MMSSM_DEVICE void with_dtype(Dtype dtype, const Body& body) {
  if constexpr (sizeof(T) == 8) {
    body(OfDouble());
  } else if (dtype == Dtype::kFloat) {
    body(OfFloat());
  } else {
    body(OfSixteenBits{dtype == Dtype::kHalf});
  }
}

template <class T, class Name>
MMSSM_DEVICE T load_as(Name name, const void* data, int64_t at) {
  return T(widen(name, static_cast<const typename Name::Stored*>(data)[at]));
}

template <class T, class Name>
MMSSM_DEVICE void store_as(Name name, void* data, int64_t at, T value) {
  static_cast<typename Name::Stored*>(data)[at] = narrow(name, value);
}

template <class T>
MMSSM_DEVICE T load(const View& v, int64_t at) {
  T value;
  with_dtype<T>(v.dtype, [&](auto name) { value = load_as<T>(name, v.data, at); });
  return value;
}

template <class T>
MMSSM_DEVICE void store(const View& v, int64_t at, T value) {
  with_dtype<T>(v.dtype, [&](auto name) { store_as(name, v.data, at, value); });
}

}  // namespace cuda
}  // namespace mmssm
