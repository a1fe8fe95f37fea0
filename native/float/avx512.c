#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
#endif

#define FLOAT_ROWS ivit_float_avx512
#include "rows.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
