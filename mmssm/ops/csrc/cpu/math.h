// Exponential and softplus without branches. NaN in, NaN out.

#pragma once

#include "vec.h"

namespace mmssm {
namespace MMSSM_ISA {

template <class T>
struct Constants;

// exp2: p(f) on [-1/2, 1/2], minimax in relative error. For float the constant
// term is held at exactly 1 (error 1.9e-7 with rounding): a bias at 0 would be
// raised to the power of the sequence length. log1p: 2 atanh(s) / s as a
// polynomial of s^2 on [0, 1/9], minimax in relative error.
template <>
struct Constants<float> {
  static constexpr float kLog2e = 1.44269504088896341f;
  static constexpr float kLn2High = 0.693359375f;
  static constexpr float kLn2Low = -2.12194440054690583e-4f;
  static constexpr int kMantissa = 23;
  static constexpr float kBias = 127.0f;
  static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
  static constexpr float kExp2[] = {
      1.0f,
      0.6931469775951135f,
      0.24022242077091352f,
      0.055507337444773874f,
      0.009671513183107099f,
      0.0013264728769218255f};
  // The same for e^r on [-log(2)/2, log(2)/2].
  static constexpr float kExp[] = {
      1.0f,
      0.999999707183644f,
      0.499991495134657f,
      0.166676361984815f,
      0.041897931651092f,
      0.008290315697897f};
  static constexpr float kLog1p[] = {
      2.0000000079210485f,
      0.66666314681864658f,
      0.4002491028736457f,
      0.27960602677881784f,
      0.28178335246404732f};
};

template <>
struct Constants<double> {
  static constexpr double kLog2e = 1.44269504088896341;
  static constexpr double kLn2High = 0.693147180369123816490;
  static constexpr double kLn2Low = 1.90821492927058770002e-10;
  static constexpr int kMantissa = 52;
  static constexpr double kBias = 1023.0;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kExp2[] = {
      1.0,
      0.69314718055994533046,
      0.24022650695910156205,
      0.055504108664819921475,
      0.0096181291075883350392,
      0.0013333558146789952573,
      0.00015403530462514668446,
      0.000015252733489958517759,
      1.3215433089567211791e-6,
      1.0178198034320888328e-7,
      7.0741056308590039576e-9,
      4.4352807904587446631e-10};
  static constexpr double kExp[] = {
      1.0,
      1.0000000000000000000,
      0.5000000000000017764,
      0.1666666666666616892,
      0.0416666666664927687,
      0.0083333333335592723,
      0.0013888888951224037,
      1.9841269432676261275e-04,
      2.4801486521376010807e-05,
      2.7557622533559085485e-06,
      2.7632293297480143217e-07,
      2.4994304016120968916e-08};
  static constexpr double kLog1p[] = {
      2.0,
      0.66666666666666134238,
      0.40000000000190325091,
      0.28571428544925157431,
      0.22222224112772142909,
      0.18181739787751782443,
      0.15386635453768827474,
      0.13300102515885000136,
      0.12112248959504836782,
      0.083156843071685998767,
      0.17060062608394968652};
};

template <class T, int kTerms>
inline Vec<T> polynomial(Vec<T> x, const T (&terms)[kTerms]) {
  Vec<T> sum = Vec<T>{} + terms[kTerms - 1];
  for (int i = kTerms - 2; i >= 0; --i) {
    sum = sum * x + terms[i];
  }
  return sum;
}

// Adding kRound + kBias leaves the biased exponent of 2^n, for the integer n
// nearest to x, in the low bits of the sum: shifted up, they are that power, and 0
// or infinity where n is the smallest or largest.
template <class T>
inline Vec<T> biased_nearest(Vec<T> x) {
  return x + (Constants<T>::kRound + Constants<T>::kBias);
}

template <class T>
inline Vec<T> nearest(Vec<T> biased) {
  return biased - (Constants<T>::kRound + Constants<T>::kBias);
}

template <class T>
inline Vec<T> power(Vec<T> biased) {
  return (Vec<T>)((Unsigned<T>)biased << Constants<T>::kMantissa);
}

// |x| for which 2^x needs no look at its range.
template <class T>
constexpr T kExp2Bound = Constants<T>::kBias - 2;

// 2^x; 0 and infinity in the half binades next to the smallest and the largest
// exponent already. `kBounded`: |x| <= kExp2Bound is known. That changes the speed and
// no bit of the result: hence the looks at `rounded` and never at x, which the
// compiler could not fuse with the product that it is then.
template <class T, bool kBounded>
inline Vec<T> exp2(Vec<T> x) {
  constexpr T kRound = Constants<T>::kRound, kBias = Constants<T>::kBias;
  const Vec<T> rounded = x + kRound;
  const Vec<T> fraction = x - (rounded - kRound);
  const Vec<T> mantissa = polynomial<T>(fraction, Constants<T>::kExp2);
  Vec<T> result =
      (Vec<T>)((Unsigned<T>)mantissa + ((Unsigned<T>)rounded << Constants<T>::kMantissa));
  if constexpr (!kBounded) {
    result = rounded <= kRound - (kBias - 1) ? Vec<T>{} : result;
    result = rounded >= kRound + (kBias + 1) ? Vec<T>{} + T(__builtin_inf()) : result;
    result = rounded != rounded ? rounded : result;
  }
  return result;
}

// |x| as an integer. Such integers are in the order of the values they stand for,
// and cheaper to compare.
template <class T>
inline Bits<T> magnitude(Vec<T> x) {
  return (Bits<T>)x & ~(Bits<T>)(-Vec<T>{});
}

// e^-|x|, with a reduction that keeps the digits of a large x. Of NaN it is 0.
template <class T>
inline Vec<T> exp_negative(Vec<T> x) {
  const Bits<T> most = (Bits<T>)(Vec<T>{} + Constants<T>::kBias / Constants<T>::kLog2e);
  const Bits<T> size = magnitude<T>(x);
  x = -(Vec<T>)(size < most ? size : most);
  const Vec<T> biased = biased_nearest<T>(x * Constants<T>::kLog2e);
  const Vec<T> n = nearest<T>(biased);
  const Vec<T> rest = (x - n * Constants<T>::kLn2High) - n * Constants<T>::kLn2Low;
  return polynomial<T>(rest, Constants<T>::kExp) * power<T>(biased);
}

// log(1 + e^x), and x itself above 20 as in PyTorch; e is e^-|x|.
template <class T>
inline Vec<T> softplus(Vec<T> x, Vec<T> e) {
  const Vec<T> s = e / (e + T(2));
  const Vec<T> log1p = s * polynomial<T>(s * s, Constants<T>::kLog1p);
  return x > T(20) ? x : (x < T(0) ? Vec<T>{} : x) + log1p;
}

// The derivative of `softplus`.
template <class T>
inline Vec<T> softplus_slope(Vec<T> x, Vec<T> e) {
  const Vec<T> one = Vec<T>{} + T(1);
  return x > T(20) ? one : (x > T(0) ? one : e) / (e + T(1));
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
