// How a scan is cut for a GPU: a pure function of its shape and of the number of
// multiprocessors, so that results depend on nothing else.

#pragma once

#include <cstdint>

#include "../common/scan.h"

namespace mmssm {
namespace cuda {

// Warps that hide most of the latencies of one multiprocessor.
constexpr int64_t kEnoughWarps = 4;
// Warps to aim at where the length is split, which repeats work.
constexpr int64_t kSplitWarps = 16;
// Warps that are enough to have all paths of a row in one block, without a buffer.
constexpr int64_t kAddingWarps = 8;
// Blocks of one multiprocessor, one after the other, that even out its load.
constexpr int64_t kBlocksEach = 16;
constexpr int64_t kLeastSpan = 2 * kCheckpointSteps;

struct ScanShape {
  int64_t batch, paths, tokens, channels, states, segment, segments;
  bool is_double, is_sampled;
  bool can_add;  // paths up, as the output has the dtype of the state
};

struct ScanPlan {
  int64_t states, lanes, rows;  // of a thread, of a row, of a block
  int64_t blocks, sets;         // of channels and of states
  int64_t spans, span_steps;    // of a segment
  int64_t parts;                // of all runs: spans of segments of samples
  bool adds;                    // whether a block adds all paths up, one by one
};

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t warps_of(const ScanShape& s, const ScanPlan& p) {
  return s.batch * s.paths * s.segments * p.spans * p.blocks * p.sets * p.rows *
         p.lanes / 32;
}

inline void set_layout(
    const ScanShape& s, ScanPlan& p, int64_t states, int64_t lanes, int64_t rows) {
  p.states = states;
  p.lanes = lanes;
  p.rows = rows;
  p.blocks = divide_up(s.channels, rows);
  p.sets = s.states > 0 ? divide_up(s.states, states * lanes) : 1;
}

// Splits the length if there are too few rows, and the runs among blocks.
inline void set_cuts(const ScanShape& s, ScanPlan& p, int64_t multiprocessors) {
  p.spans = 1;
  p.span_steps = s.segment;
  const int64_t warps = warps_of(s, p);
  if (warps < multiprocessors * kEnoughWarps && s.segment >= 2 * kLeastSpan) {
    const int64_t wanted = divide_up(multiprocessors * kSplitWarps, warps);
    const int64_t most = s.segment / kLeastSpan;
    const int64_t chunks = divide_up(s.segment, kCheckpointSteps);
    // Two spans would do all the work twice for nothing.
    if (wanted > 2 && most > 2) {
      const int64_t spans = wanted < most ? wanted : most;
      p.span_steps = divide_up(chunks, spans) * kCheckpointSteps;
      p.spans = divide_up(s.segment, p.span_steps);
    }
  }
  const int64_t runs = s.batch * s.segments * p.spans;
  const int64_t each = p.blocks * p.sets * (p.adds ? 1 : s.paths);
  p.parts = divide_up(multiprocessors * kBlocksEach, each);
  p.parts = p.parts < 1 ? 1 : p.parts < runs ? p.parts : runs;
}

// States of a thread: of the usual numbers, and of any other the next larger.
inline int64_t states_for(int64_t states, bool is_sampled, int64_t most) {
  const int64_t fewest = is_sampled ? most : 8;
  const int64_t fitting = states <= 1 ? 1 : states <= fewest ? fewest : most;
  return fitting < most ? fitting : most;
}

// Whether there are rows enough without those of other paths. Segments of a sample are
// several blocks', and have other tokens in every path.
inline bool adds_paths(const ScanShape& s, const ScanPlan& p, int64_t multiprocessors) {
  const int64_t warps = warps_of(s, p) / s.paths;
  return s.can_add && s.paths > 1 && p.sets == 1 && s.segments == 1 &&
         warps >= multiprocessors * kAddingWarps;
}

inline ScanPlan plan_forward(const ScanShape& s, int64_t multiprocessors) {
  ScanPlan p = {};
  p.spans = 1;
  set_layout(s, p, states_for(s.states, s.is_sampled, 16), 1, 64);
  const bool is_few = warps_of(s, p) < multiprocessors * kEnoughWarps;
  if (p.states > 1 && (s.is_double || (is_few && p.states > 8))) {
    set_layout(s, p, 4, 4, 32);
  }
  p.adds = adds_paths(s, p, multiprocessors);
  set_cuts(s, p, multiprocessors);
  return p;
}

inline ScanPlan plan_backward(const ScanShape& s, int64_t multiprocessors) {
  ScanPlan p = {};
  if (s.states <= 1) {
    set_layout(s, p, 1, 1, s.is_double ? 32 : 64);
  } else if (s.is_double) {
    set_layout(s, p, 2, 8, 16);
  } else {
    const bool is_half = states_for(s.states, s.is_sampled, 16) == 8;
    set_layout(s, p, 4, is_half ? 2 : 4, is_half ? 64 : 32);
  }
  set_cuts(s, p, multiprocessors);
  return p;
}

}  // namespace cuda
}  // namespace mmssm
