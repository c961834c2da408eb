// What the bindings call to run an op on a GPU.

#pragma once

#include <cstdint>
#include <functional>

#include "../common/scan.h"

namespace mmssm {
namespace cuda {

// Where an op runs. Nothing is read back and nothing waits.
struct Where {
  int device = 0;
  void* stream = nullptr;
  // Memory on the device that lasts until what is on the stream has run.
  std::function<void*(int64_t bytes)> allocate;
};

// By the dtype that is calculated in, each op in a file of its own.
template <class T>
struct Ops {
  static void scan_forward(const Where&, const Scan&);
  static void scan_backward(const Where&, const Scan&, const ScanGrad&);
  static void sample_forward(const Where&, const DeformSample&, void* y);
  static void sample_backward(
      const Where&, const DeformSample&, const DeformSampleGrad&);
};

}  // namespace cuda
}  // namespace mmssm
