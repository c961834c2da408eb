// Tiles of tokens in the cache: conversion from any dtype and stride, and back.

#pragma once

#include "../common/scan.h"
#include "vec.h"

namespace mmssm {
namespace MMSSM_ISA {

// For functions that are called once per tile: one copy each keeps the library and
// its build small.
#define MMSSM_SHARED __attribute__((noinline))

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

inline float as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t as_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float widen(float value) { return value; }
inline double widen(double value) { return value; }
inline float widen(BFloat16 value) { return as_float(uint32_t(value.bits) << 16); }

// The half's exponent and mantissa, moved up, are the value times 2^-112 in
// single precision, subnormal ones too.
inline float widen(Half value) {
  const uint32_t sign = uint32_t(value.bits & 0x8000u) << 16;
  const uint32_t rest = uint32_t(value.bits & 0x7fffu) << 13;
  const uint32_t special = rest >= 0x0f800000u ? 0x7f800000u : 0u;
  return as_float(as_bits(as_float(rest) * 0x1p112f) | special | sign);
}

template <class S>
struct Narrow {
  static S from(float value) { return S(value); }
  static S from(double value) { return S(value); }
};

// Both round to nearest, ties to even.
template <>
struct Narrow<BFloat16> {
  static BFloat16 from(float value) {
    const uint32_t bits = as_bits(value);
    if (value != value) {
      return {uint16_t((bits >> 16) | 0x40u)};
    }
    return {uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
  }
  static BFloat16 from(double value) { return from(float(value)); }
};

template <>
struct Narrow<Half> {
  static Half from(float value) {
    const uint32_t bits = as_bits(value);
    const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
    const uint32_t size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) {
      return {uint16_t(sign | 0x7e00u)};
    }
    if (size >= 0x477ff000u) {  // rounds to 65536 or more
      return {uint16_t(sign | 0x7c00u)};
    }
    if (size < 0x38800000u) {  // subnormal: let the addition round
      const uint32_t shifted = as_bits(as_float(size) + 0.5f) - as_bits(0.5f);
      return {uint16_t(sign | shifted)};
    }
    const uint32_t rounded = size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u;
    return {uint16_t(sign | (rounded >> 13))};
  }
  static Half from(double value) { return from(float(value)); }
};

// Calls `body` with a pointer of the view's element type.
template <class Body>
inline void with_type(const View& view, const Body& body) {
  switch (view.dtype) {
    case Dtype::kFloat:
      return body(static_cast<float*>(view.data));
    case Dtype::kDouble:
      return body(static_cast<double*>(view.data));
    case Dtype::kHalf:
      return body(static_cast<Half*>(view.data));
    case Dtype::kBFloat16:
      return body(static_cast<BFloat16*>(view.data));
  }
}

// tile[i * row + j * column] = view[offset + token[i] * rows + j * columns] for
// i < count, j < width. Whole blocks of channels, and rows that are neighbours in
// memory and in the tile, are copied as such.
template <class T, class S>
inline void load_rows(
    T* tile, int64_t row, int64_t column, const S* from, const int64_t* token,
    int64_t token_stride, int64_t count, int64_t columns, int64_t width) {
  if (columns == 1 && column == 1 && width == kLanes) {
    for (int64_t i = 0; i < count; ++i) {
      const S* in = from + token[i] * token_stride;
      T* out = tile + i * row;
      for (int j = 0; j < kLanes; ++j) {
        out[j] = T(widen(in[j]));
      }
    }
  } else if (columns == 1 && column == 1) {
    for (int64_t i = 0; i < count; ++i) {
      const S* in = from + token[i] * token_stride;
      T* out = tile + i * row;
      for (int64_t j = 0; j < width; ++j) {
        out[j] = T(widen(in[j]));
      }
    }
  } else {
    for (int64_t j = 0; j < width; ++j) {
      const S* in = from + j * columns;
      T* out = tile + j * column;
      for (int64_t i = 0; i < count; ++i) {
        out[i * row] = T(widen(in[token[i] * token_stride]));
      }
    }
  }
}

template <class T>
MMSSM_SHARED void load_tile(
    T* tile, int64_t row, int64_t column, const View& view, int64_t offset,
    const int64_t* token, int64_t token_stride, int64_t count, int64_t columns,
    int64_t width) {
  with_type(view, [=](const auto* data) {
    load_rows(
        tile, row, column, data + offset, token, token_stride, count, columns, width);
  });
}

// The inverse of `load_tile`.
template <class T, class S>
inline void store_rows(
    const T* tile, int64_t row, int64_t column, S* to, const int64_t* token,
    int64_t token_stride, int64_t count, int64_t columns, int64_t width) {
  if (columns == 1 && column == 1 && width == kLanes) {
    for (int64_t i = 0; i < count; ++i) {
      S* out = to + token[i] * token_stride;
      const T* in = tile + i * row;
      for (int j = 0; j < kLanes; ++j) {
        out[j] = Narrow<S>::from(in[j]);
      }
    }
  } else {
    for (int64_t j = 0; j < width; ++j) {
      S* out = to + j * columns;
      const T* in = tile + j * column;
      for (int64_t i = 0; i < count; ++i) {
        out[token[i] * token_stride] = Narrow<S>::from(in[i * row]);
      }
    }
  }
}

template <class T>
MMSSM_SHARED void store_tile(
    const T* tile, int64_t row, int64_t column, const View& view, int64_t offset,
    const int64_t* token, int64_t token_stride, int64_t count, int64_t columns,
    int64_t width) {
  with_type(view, [=](auto* data) {
    store_rows(
        tile, row, column, data + offset, token, token_stride, count, columns, width);
  });
}

// tile[j * row + lane] = view[offset + j * rows + lane * lanes], zero from `width`
// on: parameters of one block of channels.
template <class T>
MMSSM_SHARED void load_lanes(
    T* tile, const View& view, int64_t offset, int64_t rows, int64_t count,
    int64_t lanes, int64_t width) {
  std::memset(tile, 0, sizeof(T) * count * kLanes);
  with_type(view, [=](const auto* data) {
    for (int64_t lane = 0; lane < width; ++lane) {
      for (int64_t j = 0; j < count; ++j) {
        tile[j * kLanes + lane] =
            T(widen(data[offset + j * rows + lane * lanes]));
      }
    }
  });
}

template <class T>
MMSSM_SHARED void store_lanes(
    const T* tile, const View& view, int64_t offset, int64_t rows, int64_t count,
    int64_t lanes, int64_t width) {
  with_type(view, [=](auto* data) {
    using S = typename std::remove_reference<decltype(*data)>::type;
    for (int64_t lane = 0; lane < width; ++lane) {
      for (int64_t j = 0; j < count; ++j) {
        data[offset + j * rows + lane * lanes] =
            Narrow<S>::from(tile[j * kLanes + lane]);
      }
    }
  });
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
