// The ops on the emulator; in builds for tests only.

#include "emulator.h"
#include "launch.h"

namespace mmssm {
namespace cuda {

template <class T>
void Ops<T>::scan_forward(const Where& where, const Scan& scan) {
  EmulatedLauncher launcher(where);
  run_forward<T>(launcher, scan);
}

template <class T>
void Ops<T>::scan_backward(const Where& where, const Scan& scan, const ScanGrad& grad) {
  EmulatedLauncher launcher(where);
  run_backward<T>(launcher, scan, grad);
}

template <class T>
void Ops<T>::sample_forward(const Where& where, const DeformSample& sample, void* y) {
  EmulatedLauncher launcher(where);
  run_sample<T>(launcher, sample, y);
}

template <class T>
void Ops<T>::sample_backward(
    const Where& where, const DeformSample& sample, const DeformSampleGrad& grad) {
  EmulatedLauncher launcher(where);
  run_sample_backward<T>(launcher, sample, grad);
}

template struct Ops<float>;
template struct Ops<double>;

}  // namespace cuda
}  // namespace mmssm
