#include "gpu.cuh"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <>
void Ops<float>::scan_backward(
    const Where& where, const Scan& scan, const ScanGrad& grad) {
  GpuLauncher launcher(where);
  run_backward<float>(launcher, scan, grad);
}

}  // namespace cuda
}  // namespace mmssm
