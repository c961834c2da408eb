// For every processor of the platform.
#define MMSSM_ISA baseline
#include "instantiate.h"
