/* AVX2: codes and weights as 16-bit numbers, as its product of 8-bit ones saturates. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2")
#endif

#include "avx2_lanes.h"

#define GROUP 2
#define GROUP_STEP 1
#define CODE_OFFSET 0
typedef int16_t weight_t;
typedef int16_t code_t;

#define STEP(weights, sum) "vpmaddwd " weights ", %%ymm2, %%ymm3\n vpaddd %%ymm3, " sum ", " sum "\n"
DEFINE_MULTIPLY_TILE

#define ISA_NAME "avx2"
#define ISA_TABLE ivit_isa_avx2
#include "../lanes/lanes.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
