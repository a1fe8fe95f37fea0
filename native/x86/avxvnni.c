/* AVX-VNNI: 8-bit products on 256-bit vectors, for processors without AVX-512. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2")
#endif

#include "avx2_lanes.h"

#define GROUP 4
#define GROUP_STEP 1
#define CODE_OFFSET 0
typedef int8_t weight_t;
typedef uint8_t code_t;

/* A test on a machine with AVX-512 alone builds the same instruction in that encoding. */
#ifndef VNNI_ENCODING
#define VNNI_ENCODING "%{vex%}"
#endif
#define STEP(weights, sum) VNNI_ENCODING " vpdpbusd " weights ", %%ymm2, " sum "\n"
DEFINE_MULTIPLY_TILE

#define ISA_NAME "avxvnni"
#define ISA_TABLE ivit_isa_avxvnni
#include "../lanes/lanes.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
