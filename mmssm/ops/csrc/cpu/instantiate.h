// Defines `kernels` in the namespace MMSSM_ISA.

#pragma once

#include "backward.h"
#include "deform_sample.h"
#include "forward.h"
#include "kernels.h"

namespace mmssm {
namespace MMSSM_ISA {

template <class T>
constexpr ScanKernels make_scan_kernels() {
  return {
      kLanes,
      sizeof(T),
      &Forward<T>::tasks,
      &Forward<T>::scratch,
      &Forward<T>::run,
      &Backward<T>::plan,
      &Backward<T>::scratch,
      &Backward<T>::run,
      &Reduce<T>::tokens,
      &Reduce<T>::weights,
      sizeof(MapTap<T>),
      &SampledMap<T>::find_taps,
      &SampledMap<T>::reduce_taps,
      &SampledMap<T>::reduce_channels};
}

template <class T>
constexpr DeformSampleKernels make_deform_sample_kernels() {
  using Kernels = DeformSampling<T>;
  return {
      &Kernels::forward_tasks, &Kernels::forward,       &Kernels::blocks,
      &Kernels::backward,      &Kernels::reduce_places, &Kernels::reduce_channels};
}

extern const KernelSet kernels = {
    {make_scan_kernels<float>(), make_scan_kernels<double>()},
    {make_deform_sample_kernels<float>(), make_deform_sample_kernels<double>()}};

}  // namespace MMSSM_ISA
}  // namespace mmssm
