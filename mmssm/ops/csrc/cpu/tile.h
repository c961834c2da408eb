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

typedef uint32_t Words __attribute__((vector_size(16)));
typedef uint16_t HalfWords __attribute__((vector_size(8)));

template <class To, class From>
inline To read_as(const From* from) {
  To value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline Words words(const void* from) {
  return __builtin_convertvector(read_as<HalfWords>(from), Words);
}

inline Quad<float> widen(const float* from) { return read_as<Quad<float>>(from); }
inline Quad<double> widen(const double* from) { return read_as<Quad<double>>(from); }
inline Quad<float> widen(const BFloat16* from) {
  return (Quad<float>)(words(from) << 16);
}

// The half's exponent and mantissa, moved up, are the value times 2^-112 in
// single precision, subnormal ones too.
inline Quad<float> widen(const Half* from) {
  const Words bits = words(from);
  const Words sign = (bits & 0x8000u) << 16;
  const Words rest = (bits & 0x7fffu) << 13;
  const Words special = (Words)(rest >= 0x0f800000u) & 0x7f800000u;
  return (Quad<float>)((Words)((Quad<float>)rest * 0x1p112f) | special | sign);
}

inline void narrow(float* to, Quad<float> value) {
  std::memcpy(to, &value, sizeof value);
}
inline void narrow(double* to, Quad<double> value) {
  std::memcpy(to, &value, sizeof value);
}

inline void put_words(void* to, Words value) {
  const HalfWords low = __builtin_convertvector(value, HalfWords);
  std::memcpy(to, &low, sizeof low);
}

// Both round to nearest, ties to even.
inline void narrow(BFloat16* to, Quad<float> value) {
  const Words bits = (Words)value;
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  put_words(to, value != value ? (bits >> 16) | 0x40u : rounded);
}

inline void narrow(Half* to, Quad<float> value) {
  const Words bits = (Words)value;
  const Words sign = (bits >> 16) & 0x8000u;
  const Words size = bits & 0x7fffffffu;
  // Of a subnormal, the addition of 1/2 rounds.
  const Words subnormal = (Words)((Quad<float>)size + 0.5f) - 0x3f000000u;
  const Words normal = (size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u) >> 13;
  Words half = size < 0x38800000u ? subnormal : normal;
  half = size >= 0x477ff000u ? Words{} + 0x7c00u : half;  // rounds to 65536 or more
  half = size > 0x7f800000u ? Words{} + 0x7e00u : half;
  put_words(to, sign | half);
}

template <class T, class S>
inline Quad<T> load_quad(const S* from) {
  return __builtin_convertvector(widen(from), Quad<T>);
}

template <class T, class S>
inline void store_quad(S* to, Quad<T> value) {
  using Wide = std::conditional_t<std::is_same_v<S, double>, double, float>;
  narrow(to, __builtin_convertvector(value, Quad<Wide>));
}

template <class T, class S>
inline T load_one(const S* from) {
  const S four[4] = {*from};
  return load_quad<T>(four)[0];
}

template <class T, class S>
inline void store_one(S* to, T value) {
  S four[4];
  store_quad<T>(four, Quad<T>{value});
  *to = four[0];
}

template <class T, class S>
inline void load_row(T* to, const S* from, int64_t count) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    store_quad<T>(to + i, load_quad<T>(from + i));
  }
  for (; i < count; ++i) {
    to[i] = load_one<T>(from + i);
  }
}

template <class T, class S>
inline void store_row(S* to, const T* from, int64_t count) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    store_quad<T>(to + i, load_quad<T>(from + i));
  }
  for (; i < count; ++i) {
    store_one<T>(to + i, from[i]);
  }
}

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

// The places along one dimension that a tile has: those of a list, or `count`
// neighbours from `first` on.
struct Places {
  const int64_t* list;  // null: neighbours
  int64_t first, count;
  int64_t operator[](int64_t i) const { return list ? list[i] : first + i; }
};

inline Places neighbours(int64_t first, int64_t count) {
  return {nullptr, first, count};
}

// A part of a view: rows at `places` with a stride, and `width` columns.
struct Window {
  int64_t offset;
  Places places;
  int64_t stride;
  int64_t width, columns;  // columns: their stride
};

// tile[i * row + j * column] = window[i, j]. What is contiguous in memory is read
// as such, and transposed in registers where the tile is laid out the other way.
template <class T, class S>
inline void load_window(
    T* tile, int64_t row, int64_t column, const S* from, const Window& w) {
  const bool runs = !w.places.list && w.stride == 1;
  const int64_t count = w.places.count;
  if (runs && row == 1) {
    for (int64_t j = 0; j < w.width; ++j) {
      load_row(tile + j * column, from + w.places.first + j * w.columns, count);
    }
    return;
  }
  if (w.columns == 1 && column == 1) {
    // A width known to the compiler makes this a copy without a loop.
    if (w.width == kLanes) {
      for (int64_t i = 0; i < count; ++i) {
        load_row(tile + i * row, from + w.places[i] * w.stride, kLanes);
      }
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      load_row(tile + i * row, from + w.places[i] * w.stride, w.width);
    }
    return;
  }
  from += runs ? w.places.first : 0;
  int64_t done = 0;  // columns
  if (runs && column == 1) {
    for (; done + 4 <= w.width; done += 4) {
      const S* in = from + done * w.columns;
      int64_t i = 0;
      for (; i + 4 <= count; i += 4) {
        Quad<T> quad[4];
        for (int j = 0; j < 4; ++j) {
          quad[j] = load_quad<T>(in + j * w.columns + i);
        }
        transpose(quad);
        for (int j = 0; j < 4; ++j) {
          store_quad<T>(tile + (i + j) * row + done, quad[j]);
        }
      }
      for (; i < count; ++i) {
        for (int j = 0; j < 4; ++j) {
          tile[i * row + done + j] = load_one<T>(in + j * w.columns + i);
        }
      }
    }
  }
  for (; done < w.width; ++done) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = runs ? i : w.places[i];
      tile[i * row + done * column] =
          load_one<T>(from + place * w.stride + done * w.columns);
    }
  }
}

template <class T>
MMSSM_SHARED void load_tile(
    T* tile, int64_t row, int64_t column, const View& view, const Window& window) {
  with_type(view, [&](const auto* data) {
    load_window(tile, row, column, data + window.offset, window);
  });
}

// Asks for the memory of a window whose rows are neighbours: channel after channel,
// it is many short stretches, which the processor does not foresee.
MMSSM_SHARED inline void prefetch(const View& view, const Window& window) {
  with_type(view, [&](const auto* data) {
    data += window.offset + window.places.first;
    for (int64_t j = 0; j < window.width; ++j) {
      for (int64_t i = 0; i < window.places.count; i += 64 / sizeof(*data)) {
        __builtin_prefetch(data + i + j * window.columns);
        asm volatile("");  // GCC drops functions that do nothing but prefetch
      }
    }
  });
}

// window[i, j] = tile[i * kLanes + j]
template <class T, class S>
inline void store_window(const T* tile, S* to, const Window& w) {
  const bool runs = !w.places.list && w.stride == 1;
  const int64_t count = w.places.count;
  if (w.columns == 1) {
    if (w.width == kLanes) {
      for (int64_t i = 0; i < count; ++i) {
        store_row(to + w.places[i] * w.stride, tile + i * kLanes, kLanes);
      }
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      store_row(to + w.places[i] * w.stride, tile + i * kLanes, w.width);
    }
    return;
  }
  to += runs ? w.places.first : 0;
  int64_t done = 0;
  if (runs) {
    for (; done + 4 <= w.width; done += 4) {
      S* out = to + done * w.columns;
      int64_t i = 0;
      for (; i + 4 <= count; i += 4) {
        Quad<T> quad[4];
        for (int j = 0; j < 4; ++j) {
          quad[j] = load_quad<T>(tile + (i + j) * kLanes + done);
        }
        transpose(quad);
        for (int j = 0; j < 4; ++j) {
          store_quad<T>(out + j * w.columns + i, quad[j]);
        }
      }
      for (; i < count; ++i) {
        for (int j = 0; j < 4; ++j) {
          store_one<T>(out + j * w.columns + i, tile[i * kLanes + done + j]);
        }
      }
    }
  }
  for (; done < w.width; ++done) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = runs ? i : w.places[i];
      store_one<T>(to + place * w.stride + done * w.columns, tile[i * kLanes + done]);
    }
  }
}

template <class T>
MMSSM_SHARED void store_tile(const T* tile, const View& view, const Window& window) {
  with_type(view, [&](auto* data) {
    store_window(tile, data + window.offset, window);
  });
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
