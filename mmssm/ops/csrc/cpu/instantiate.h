// Defines `kernels` in the namespace MMSSM_ISA.

#pragma once

#include "backward.h"
#include "forward.h"
#include "kernels.h"

namespace mmssm {
namespace MMSSM_ISA {

template <class T>
constexpr Kernels make_kernels() {
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
      &Reduce<T>::weights};
}

extern const KernelSet kernels = {make_kernels<float>(), make_kernels<double>()};

}  // namespace MMSSM_ISA
}  // namespace mmssm
