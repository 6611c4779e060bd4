/* What of CPUID the software CPU can be told to have. */
#ifndef ACCEL_SOFT_OFFER_H
#define ACCEL_SOFT_OFFER_H

#include <stdint.h>

/* Accel.supported_cpuid: bits of a CPUID register (reg 0 EAX .. 3 EDX) or, with MODEL_LEAF_MSR, of a
 * feature MSR. */
uint64_t soft_supported_cpuid(uint32_t leaf, uint32_t subleaf, int reg);

#endif
