// For x86 processors with AVX2 and FMA; compiled with -mavx2 -mfma.
#define MMSSM_ISA avx2
#include "instantiate.h"
