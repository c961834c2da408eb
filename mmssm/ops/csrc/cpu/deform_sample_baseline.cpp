// For every processor.
#define MMSSM_ISA baseline
#include "deform_sample.h"
