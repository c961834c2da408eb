#include "gpu.cuh"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <>
void Ops<double>::sample_forward(const Where& where, const DeformSample& sample, void* y) {
  GpuLauncher launcher(where);
  run_sample<double>(launcher, sample, y);
}

template <>
void Ops<double>::sample_backward(
    const Where& where, const DeformSample& sample, const DeformSampleGrad& grad) {
  GpuLauncher launcher(where);
  run_sample_backward<double>(launcher, sample, grad);
}

}  // namespace cuda
}  // namespace mmssm
