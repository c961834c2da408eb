// For x86 processors with AVX-512 F, VL, DQ and BW; compiled with their flags.
#define MMSSM_ISA avx512
#include "instantiate.h"
