#include "gpu.cuh"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <>
void Ops<double>::scan_backward(
    const Where& where, const Scan& scan, const ScanGrad& grad) {
  GpuLauncher launcher(where);
  run_backward<double>(launcher, scan, grad);
}

}  // namespace cuda
}  // namespace mmssm
