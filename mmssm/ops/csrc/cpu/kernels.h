// The kernels of the instruction sets this library is compiled for, and the choice
// among them.

#pragma once

#include <string>

#include "../common/deform_sample.h"
#include "../common/scan.h"

namespace mmssm {

// By the dtype that is calculated in.
template <class K>
struct ByDtype {
  K single, double_;
};

struct KernelSet {
  ByDtype<ScanKernels> scan;
  ByDtype<DeformSampleKernels> deform_sample;
};

namespace baseline {
extern const KernelSet kernels;
}
#if defined(MMSSM_X86)
namespace avx2 {
extern const KernelSet kernels;
}
namespace avx512 {
extern const KernelSet kernels;
}
#endif

struct IsaChoice {
  std::string name;          // of the instruction set
  std::string usable;        // all that this CPU has kernels for, "a, b"
  const KernelSet* kernels;  // null if MMSSM_CPU_ISA asks for what there is not
  std::string error;         // what is wrong then
};

// The widest instruction set of this CPU, or the one that MMSSM_CPU_ISA names. The
// variable is read once, at the first call.
const IsaChoice& chosen_isa();

}  // namespace mmssm
