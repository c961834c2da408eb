// The scan that all kernels compute, described without any torch header.
//
// One description serves `path_scan` and `selective_scan`: a selective scan with
// G groups is K = G paths in natural order, each with its own source and its own
// output (`merge` false). A deformable scan is a path scan whose states read bilinear
// samples of its one source (`deform`).

#pragma once

#include <cstdint>

#include "deform_sample.h"

namespace mmssm {

// Steps between the states that the forward keeps for the backward.
// CHECKPOINT_STEPS in _native.py is the same number.
constexpr int64_t kCheckpointSteps = 64;

enum class Dtype { kFloat, kDouble, kHalf, kBFloat16 };

// A strided tensor; strides are in elements. An absent one has no data.
struct View {
  void* data = nullptr;
  Dtype dtype = Dtype::kFloat;
  int64_t stride[5] = {0, 0, 0, 0, 0};
  explicit operator bool() const { return data != nullptr; }
};

struct Scan {
  int64_t batch = 0;     // N
  int64_t paths = 0;     // K
  int64_t tokens = 0;    // L
  int64_t channels = 0;  // E, of one path
  int64_t states = 0;    // d_state
  int64_t rank = 0;      // R; 0: dt has a value per channel
  int64_t sources = 0;   // S
  int64_t segment = 1;   // steps between restarts of the state
  int64_t segments = 1;  // at least 1, even without tokens
  bool softplus = true;
  bool merge = true;     // whether the paths are summed into one output

  const int64_t* index = nullptr;  // (P, L), contiguous; null: natural order
  const int64_t* rows = nullptr;   // (K): row of index
  const int64_t* source = nullptr;   // (K): which x
  const int64_t* reverse = nullptr;  // (K): 0 or 1

  const View* x = nullptr;  // S views (n, l, e)
  View y;                   // (n, l, e, k), stride of k 0 if merged
  View dt;                  // (n, k, l, r or e)
  View A;                   // (k, e, d)
  View B, C;                // (n, k, l, d)
  View D, dt_bias;          // (k, e)
  View dt_weight;           // (k, e, r)
  View initial_state;       // (n, k, segment, e, d)
  View last_state;          // (n, k, segment, e, d)
  // (n, k, segment, slot, d, e), of the state dtype; the forward may do without.
  void* checkpoints = nullptr;

  // What the states read instead of x, if given; it names no x of its own.
  const DeformSample* deform = nullptr;
  void* taps = nullptr;  // (n, l, g, m), memory for `find_taps`
};

// `static`, because a file compiled for one instruction set must not lend its copy
// to a file compiled for another.
static inline int64_t num_slots(const Scan& s) { return s.segment / kCheckpointSteps; }
// Paths that one task runs through, and the number of such sets.
static inline int64_t paths_per_set(const Scan& s) { return s.merge ? s.paths : 1; }
static inline int64_t num_path_sets(const Scan& s) { return s.merge ? 1 : s.paths; }

// The gradients, with the layout of what they are gradients of.
struct ScanGrad {
  View y;           // given: (n, l, e, k)
  View last_state;  // given: (n, k, segment, e, d)
  const View* x = nullptr;
  View dt, B, C;
  View A, D, dt_bias, dt_weight;
  View initial_state;
  void* offset = nullptr;  // of `deform`, contiguous, as the weight
  void* weight = nullptr;
};

// How the backward is cut into tasks. It depends on shapes alone, never on the
// number of threads, and every sum over tasks is made in the order of the tasks,
// so that results do not depend on threads either.
struct BackwardPlan {
  int64_t blocks = 0;            // blocks of channels
  int64_t batch_parts = 0;       // parts of the batch, with own sums for weights
  int64_t block_parts = 0;       // parts of the blocks, with own sums for tokens
  // (block part, n, k, chunk, 2 d + r, t): not in token order, but in that of the
  // steps, and the chunks one after the other.
  void* token_sums = nullptr;
  void* weight_sums = nullptr;   // (batch part, k, block, d + 2 + r, lanes), zeros
  // Of the samples: products of each corner with the gradient, and the gradient of
  // weights by channel.
  void* corner_sums = nullptr;   // (block part, n, l, g, m, 4), zeros
  void* channel_sums = nullptr;  // (batch part, block, m, lanes), zeros
};

// One instruction set's kernels for one state dtype. Each call runs the tasks
// [begin, end) and may be run from any thread.
struct ScanKernels {
  int64_t lanes;  // channels in a block
  int64_t element_size;  // of the state
  int64_t (*forward_tasks)(const Scan&);
  int64_t (*forward_scratch)(const Scan&);  // bytes per thread, 64-byte aligned
  void (*forward)(const Scan&, int64_t begin, int64_t end, void* scratch);
  BackwardPlan (*plan)(const Scan&);
  int64_t (*backward_scratch)(const Scan&);
  void (*backward)(
      const Scan&, const ScanGrad&, const BackwardPlan&, int64_t begin, int64_t end,
      void* scratch);
  // Tasks are the rows (n, k) of the token sums.
  void (*reduce_tokens)(
      const Scan&, const ScanGrad&, const BackwardPlan&, int64_t begin, int64_t end,
      void* scratch);
  // Tasks are the paths k.
  void (*reduce_weights)(
      const Scan&, const ScanGrad&, const BackwardPlan&, int64_t begin, int64_t end);

  int64_t tap_size;  // bytes
  // Comes before `forward` and `backward` if there are samples. Tasks are the tokens
  // (n, l), here and in `reduce_taps`.
  void (*find_taps)(const Scan&, int64_t begin, int64_t end);
  void (*reduce_taps)(
      const Scan&, const ScanGrad&, const BackwardPlan&, int64_t begin, int64_t end);
  // Tasks are the blocks.
  void (*reduce_channels)(
      const Scan&, const ScanGrad&, const BackwardPlan&, int64_t begin, int64_t end);
};

}  // namespace mmssm
