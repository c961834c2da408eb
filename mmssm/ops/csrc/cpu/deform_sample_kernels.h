// The kernels of the instruction sets that this library is compiled for.

#pragma once

#include "../common/deform_sample.h"

namespace mmssm {

struct DeformSampleKernelSet {
  DeformSampleKernels single, double_;
};

namespace baseline {
extern const DeformSampleKernelSet deform_sample_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const DeformSampleKernelSet deform_sample_kernels;
}
#endif

}  // namespace mmssm
