#include <cstdlib>

#include "kernels.h"

namespace mmssm {
namespace {

struct Isa {
  const char* name;
  const KernelSet* kernels;
  bool is_usable;
};

#if defined(MMSSM_X86)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
#if defined(MMSSM_LOWERED)  // to AVX2, for tests on processors without
  return has_avx2();
#else
  return has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw");
#endif
}
#endif

IsaChoice choose() {
  // The best comes last.
  const Isa isas[] = {
      {"baseline", &baseline::kernels, true},
#if defined(MMSSM_X86)
      {"avx2", &avx2::kernels, has_avx2()},
      {"avx512", &avx512::kernels, has_avx512()},
#endif
  };
  const char* asked = std::getenv("MMSSM_CPU_ISA");
  const bool is_forced = asked && *asked;
  IsaChoice choice = {"", "", nullptr, ""};
  for (const Isa& isa : isas) {
    if (!isa.is_usable) {
      continue;
    }
    choice.usable += (choice.usable.empty() ? "" : ", ") + std::string(isa.name);
    if (!is_forced || std::string(asked) == isa.name) {
      choice.name = isa.name;
      choice.kernels = isa.kernels;
    }
  }
  if (!choice.kernels) {
    choice.error = "MMSSM_CPU_ISA asks for the instruction set '" +
                   std::string(asked) + "', but this CPU has kernels for " +
                   choice.usable + " only (known are baseline, avx2, avx512)";
  }
  return choice;
}

}  // namespace

const IsaChoice& chosen_isa() {
  static const IsaChoice choice = choose();
  return choice;
}

}  // namespace mmssm
