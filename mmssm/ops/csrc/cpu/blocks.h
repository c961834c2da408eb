// How the scan is cut: tasks own blocks of kLanes channels, time is cut into chunks.

#pragma once

#include "../common/scan.h"
#include "tile.h"
#include "vec.h"

namespace mmssm {
namespace MMSSM_ISA {

constexpr int64_t kSteps = kCheckpointSteps;

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t num_blocks(const Scan& s) { return ceil_div(s.channels, kLanes); }

// Hands out pieces of a thread's memory; without memory it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<char*>(memory)) {}

  template <class T>
  T* take(int64_t count) {
    T* piece = memory_ ? reinterpret_cast<T*>(memory_ + used_) : nullptr;
    used_ += ceil_div(count * int64_t(sizeof(T)), 64) * 64;
    return piece;
  }

  int64_t used() const { return used_; }

 private:
  char* memory_;
  int64_t used_ = 0;
};

// One block of channels of one path.
struct Place {
  int64_t n, k, block;
  int64_t first;  // first channel
  int64_t width;  // channels in use

  Place on_path(int64_t path) const { return {n, path, block, first, width}; }
};

inline Place make_place(const Scan& s, int64_t n, int64_t k, int64_t block) {
  const int64_t first = block * kLanes;
  return {n, k, block, first, smaller(kLanes, s.channels - first)};
}

// A stretch of at most kSteps steps between two restarts of the state.
struct Chunk {
  int64_t segment, number, start, count;
};

inline Chunk make_chunk(const Scan& s, int64_t segment, int64_t number) {
  const int64_t start = segment * s.segment + number * kSteps;
  const int64_t end = smaller((segment + 1) * s.segment, s.tokens);
  return {segment, number, start, smaller(kSteps, end - start)};
}

inline int64_t chunks_in(const Scan& s, int64_t segment) {
  const int64_t start = segment * s.segment;
  return ceil_div(smaller(s.segment, s.tokens - start), kSteps);
}

// The tokens that the steps of a chunk visit, listed in `list` if they are no
// neighbours.
inline Places find_tokens(
    const Scan& s, int64_t k, const Chunk& chunk, int64_t* list) {
  if (!s.index) {
    return neighbours(chunk.start, chunk.count);
  }
  const int64_t* order = s.index + s.rows[k] * s.tokens;
  bool in_a_row = true;
  for (int64_t t = 0; t < chunk.count; ++t) {
    const int64_t step = chunk.start + t;
    list[t] = order[s.reverse[k] ? s.tokens - 1 - step : step];
    in_a_row &= list[t] == list[0] + t;
  }
  return in_a_row ? neighbours(list[0], chunk.count) : Places{list, 0, chunk.count};
}

inline int64_t offset(const View& v, int64_t a) { return a * v.stride[0]; }
inline int64_t offset(const View& v, int64_t a, int64_t b) {
  return a * v.stride[0] + b * v.stride[1];
}

// `count` rows, with a stride, of one block of channels.
inline Window block_window(
    const Place& p, int64_t offset, int64_t count, int64_t stride, int64_t channels) {
  return {
      offset + p.first * channels, neighbours(0, count), stride, p.width, channels};
}

// The states (d, lane) of one block of channels, of a view (n, k, segment, e, d).
inline Window state_window(
    const Scan& s, const View& v, const Place& p, int64_t segment) {
  return block_window(
      p, offset(v, p.n, p.k) + segment * v.stride[2], s.states, v.stride[4],
      v.stride[3]);
}

}  // namespace MMSSM_ISA
}  // namespace mmssm
