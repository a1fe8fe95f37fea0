#include "ivit.h"

typedef struct {
  const ivit_isa *isa;
  int (*supported)(void);
} candidate;

static int always(void) { return 1; }

#if defined(__x86_64__)
extern const ivit_isa ivit_isa_avx512vnni;

/* The compiler's run-time support asks the operating system, too, whether it saves the registers. */
static int has_avx512vnni(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

#if defined(__wasm_simd128__)
extern const ivit_isa ivit_isa_simd128;
#endif

static const candidate candidates[] = {
#if defined(__wasm_simd128__)
    {&ivit_isa_simd128, always},
#endif
#if defined(__x86_64__)
    {&ivit_isa_avx512vnni, has_avx512vnni},
#endif
    {&ivit_isa_portable, always},
};

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

const ivit_isa *ivit_find_isa(const char *name) {
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
    if (name && !same(name, candidates[i].isa->name)) continue;
    if (candidates[i].supported()) return candidates[i].isa;
  }
  return NULL;
}
