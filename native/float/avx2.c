#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2")
#endif

#define FLOAT_ROWS ivit_float_avx2
#include "rows.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
