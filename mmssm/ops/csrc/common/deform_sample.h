// Bilinear sampling of a map at predicted places, described without torch headers.

#pragma once

#include <cstdint>

namespace mmssm {

// Pointers are to tensors of one dtype, contiguous but for `x`.
struct DeformSample {
  int64_t batch = 0;     // N
  int64_t rows = 0, columns = 0;
  int64_t channels = 0;  // E
  int64_t groups = 0;    // G, of channels that share their places
  int64_t taps = 0;      // M
  bool per_token = false;  // whether the weight is of tokens or of channels

  const void* x = nullptr;  // (n, l, e), channels side by side
  int64_t x_batch = 0, x_token = 0;  // strides of x
  const void* offset = nullptr;   // (n, l, g, m, 2)
  const void* weight = nullptr;   // (n, l, g, m) or (e, m)
  const void* anchors = nullptr;  // (m, 2)
};

struct DeformSampleGrad {
  const void* y = nullptr;  // given: (n, l, e)
  void* x = nullptr;        // (n, l, e)
  void* offset = nullptr;
  void* weight = nullptr;
  // Sums of tasks, of the same dtype; added up in the order of the tasks, which
  // depend on shapes alone, so that results do not depend on threads.
  void* place_sums = nullptr;    // (block, n, l, g, m, 3): dy, dx, weight
  void* channel_sums = nullptr;  // (n, e, m), if the weight is of channels
};

struct DeformSampleKernels {
  int64_t (*forward_tasks)(const DeformSample&);
  void (*forward)(const DeformSample&, void* y, int64_t begin, int64_t end);
  int64_t (*blocks)(const DeformSample&);  // of the channels of a group
  // Tasks are the blocks of all groups of each sample.
  void (*backward)(
      const DeformSample&, const DeformSampleGrad&, int64_t begin, int64_t end);
  // Tasks are the samples.
  void (*reduce_places)(
      const DeformSample&, const DeformSampleGrad&, int64_t begin, int64_t end);
  // Tasks are the channels.
  void (*reduce_channels)(
      const DeformSample&, const DeformSampleGrad&, int64_t begin, int64_t end);
};

}  // namespace mmssm
