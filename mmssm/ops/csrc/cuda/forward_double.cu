#include "gpu.cuh"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <>
void Ops<double>::scan_forward(const Where& where, const Scan& scan) {
  GpuLauncher launcher(where);
  run_forward<double>(launcher, scan);
}

}  // namespace cuda
}  // namespace mmssm
