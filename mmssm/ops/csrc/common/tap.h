// Where the taps of a bilinear sampling read, and their gradients. Every instruction
// set, and CUDA, has its own copy, in the namespace MMSSM_ISA.

#pragma once

#include <cstdint>

#include "deform_sample.h"

#if defined(__CUDACC__)
#define MMSSM_FUNCTION __host__ __device__
#else
#define MMSSM_FUNCTION
#endif

namespace mmssm {
namespace MMSSM_ISA {

template <class T>
MMSSM_FUNCTION inline T round_down(T value) {
  // Of a place within a map or one step before it, so that it fits.
  const T whole = T(int64_t(value));
  return whole > value ? whole - 1 : whole;
}

// The place of a token in the map.
struct MapPlace {
  int64_t row, column;
};

MMSSM_FUNCTION inline MapPlace place_of(const DeformSample& s, int64_t token) {
  return {token / s.columns, token % s.columns};
}

// Where one tap of one token samples.
template <class T>
struct Tap {
  enum Kind { kInside, kOutside, kNan };
  Kind kind;
  // Of the corners (0,0) (0,1) (1,0) (1,1); -1 outside of the map.
  int64_t token[4] = {-1, -1, -1, -1};
  T weight[4] = {};
  T fy = 0, fx = 0;

  MMSSM_FUNCTION Tap(
      const DeformSample& s, MapPlace at, const T* anchor, const T* offset) {
    const T y = T(at.row) + anchor[0] + offset[0];
    const T x = T(at.column) + anchor[1] + offset[1];
    kind = y != y || x != x ? kNan : kOutside;
    if (!(y >= -1 && y < T(s.rows) && x >= -1 && x < T(s.columns))) {
      return;
    }
    kind = kInside;
    const T top = round_down(y), left = round_down(x);
    fy = y - top;
    fx = x - left;
    weight[0] = (1 - fy) * (1 - fx);
    weight[1] = (1 - fy) * fx;
    weight[2] = fy * (1 - fx);
    weight[3] = fy * fx;
    for (int64_t c = 0; c < 4; ++c) {
      const int64_t row = int64_t(top) + c / 2, column = int64_t(left) + c % 2;
      const bool is_inside =
          row >= 0 && row < s.rows && column >= 0 && column < s.columns;
      token[c] = is_inside ? row * s.columns + column : -1;
    }
  }
};

// The gradients of one tap's offset and weight, from the sums over channels of each
// corner times the gradient of the output (and the weight, if it is by channel).
// `scale` is the tap's weight by token, or 1.
template <class T>
struct TapGradient {
  T y = 0, x = 0, weight = 0;

  MMSSM_FUNCTION TapGradient(const Tap<T>& place, const T (&dot)[4], T scale) {
    if (place.kind == Tap<T>::kNan) {
      y = x = weight = T(__builtin_nan(""));
    }
    if (place.kind != Tap<T>::kInside) {
      return;
    }
    const T fy = place.fy, fx = place.fx;
    y = scale * ((1 - fx) * (dot[2] - dot[0]) + fx * (dot[3] - dot[1]));
    x = scale * ((1 - fy) * (dot[1] - dot[0]) + fy * (dot[3] - dot[2]));
    for (int64_t c = 0; c < 4; ++c) {
      // What has no weight was not read: it may be NaN.
      weight += place.weight[c] != 0 ? place.weight[c] * dot[c] : 0;
    }
  }
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
