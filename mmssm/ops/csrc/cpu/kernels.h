// The kernels of the instruction sets this library is compiled for, and the choice
// among them.

#pragma once

#include <string>

#include "../common/scan.h"

namespace mmssm {

struct KernelSet {
  Kernels single, double_;
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
