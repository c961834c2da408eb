// The kernels of the instruction sets this library is compiled for.

#pragma once

#include "../common/scan.h"

namespace mmssm {

struct KernelSet {
  Kernels single, double_;
};

namespace baseline {
extern const KernelSet kernels;
}
#if defined(MMSSM_WITH_AVX2)
namespace avx2 {
extern const KernelSet kernels;
}
#endif

}  // namespace mmssm
