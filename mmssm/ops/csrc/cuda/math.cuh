// Exponential and softplus of one value. NaN in, NaN out.

#pragma once

#include <math.h>

#include "device.cuh"

namespace mmssm {
namespace cuda {

template <class T>
constexpr T kLog2e = T(1.44269504088896340736);
template <class T>
constexpr T kLn2 = T(0.69314718055994530942);

// 2^x, on a GPU one instruction (2 ulp, subnormal results are 0).
MMSSM_DEVICE float exp2_of(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return ::exp2f(x);
#endif
}

MMSSM_DEVICE double exp2_of(double x) { return ::exp2(x); }

MMSSM_DEVICE float quotient(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fdividef(a, b);
#else
  return a / b;
#endif
}

// e^-|x|, down to 0. The product with log2(e) is exact to twice the digits, or large x
// would lose theirs. Of NaN it is something finite.
MMSSM_DEVICE float exp_negative(float x) {
  const float size = ::fminf(::fabsf(x), 200.0f);  // or infinity would give NaN
  const float high = -size * kLog2e<float>;
  const float low = ::fmaf(-size, kLog2e<float>, -high) - size * 1.925963033e-8f;
  const float y = exp2_of(high);
  return ::fmaf(y * low, kLn2<float>, y);
}

// log(1 + e^r), and r itself above 20 as in PyTorch.
MMSSM_DEVICE float softplus(float r) {
  const float e = exp_negative(r);
  // 2 atanh(s), minimax in relative error on [0, 1/3].
  const float s = quotient(e, e + 2), q = s * s;
  float log1p = ::fmaf(q, 0.28178335246404732f, 0.27960602677881784f);
  log1p = ::fmaf(q, log1p, 0.4002491028736457f);
  log1p = ::fmaf(q, log1p, 0.66666314681864658f);
  log1p = s * ::fmaf(q, log1p, 2.0000000079210485f);
  return r > 20 ? r : (r < 0 ? 0 : r) + log1p;
}

MMSSM_DEVICE double softplus(double r) {
  return r > 20 ? r : (r < 0 ? 0 : r) + ::log1p(::exp(-::fabs(r)));
}

// The derivative of softplus from its value: 1 - e^-delta.
MMSSM_DEVICE float softplus_slope(float delta) {
  float series = ::fmaf(delta, -1.0f / 6, 1.0f);
  series = ::fmaf(series * delta, -1.0f / 5, 1.0f);
  series = ::fmaf(series * delta, -1.0f / 4, 1.0f);
  series = ::fmaf(series * delta, -1.0f / 3, 1.0f);
  series = ::fmaf(series * delta, -1.0f / 2, 1.0f);
  const float direct = 1 - exp2_of(-delta * kLog2e<float>);
  return delta < 0.25f ? delta * series : direct;
}

MMSSM_DEVICE double softplus_slope(double delta) {
  return delta > 20 ? 1 : -::expm1(-delta);
}

}  // namespace cuda
}  // namespace mmssm
