#include "gpu.cuh"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <>
void Ops<float>::scan_forward(const Where& where, const Scan& scan) {
  GpuLauncher launcher(where);
  run_forward<float>(launcher, scan);
}

}  // namespace cuda
}  // namespace mmssm
