/* The instruction sets compiled in, best first. A new one is a line in `candidates`. */
#include "ivit.h"

typedef struct {
  const ivit_isa *isa;
  int (*supported)(void);
} candidate;

static int always(void) { return 1; }

#if defined(__x86_64__)
#include <cpuid.h>

/* The compiler's run-time support asks the operating system, too, whether it saves the registers. */
static int has_avx512vnni(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

static int has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2");
}

#ifdef IVIT_AMX
#include <sys/syscall.h>
#include <unistd.h>

/* arch_prctl's request for the tiles' data, of which the system keeps 8 KB for each thread that uses them. */
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

/*
 * Leaf 7: AMX-TILE and AMX-INT8 in bits 24 and 25 of EDX. Leaf 0x1d, subleaf 1: 8 tiles of 16 rows of 64 bytes. The
 * system may refuse, or not know of tiles (before Linux 5.16, or in a container that forbids the call).
 */
static int ask_for_tiles(void) {
  unsigned a, b, c, d;
  if (!has_avx512vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3) return 0;
  if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d) || b >> 16 < 8 || (b & 0xffff) < 64 || (c & 0xffff) < 16) return 0;
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Asks once for the whole process. */
static int has_amx(void) {
  enum { UNKNOWN, ABSENT, PRESENT };
  static _Atomic int known;
  if (known == UNKNOWN) known = ask_for_tiles() ? PRESENT : ABSENT;
  return known == PRESENT;
}
#endif

/* Not every compiler knows this feature by name: leaf 7, subleaf 1, bit 4 of EAX. */
static int has_avxvnni(void) {
#ifdef VNNI_ENCODING
  return has_avx512vnni(); /* x86/avxvnni.c was built in the other encoding, to test it */
#else
  unsigned a = 0, b, c, d;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
#endif
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static int has_dot_product(void) { return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */ }
#elif defined(__aarch64__) && defined(__APPLE__)
static int has_dot_product(void) { return 1; /* all of Apple's have it */ }
#elif defined(__aarch64__)
static int has_dot_product(void) { return 0; }
#endif

#if defined(__wasm_simd128__)
extern const ivit_isa ivit_isa_simd128;
int ivit_simd128_supported(void);
#endif

static const candidate candidates[] = {
#if defined(__wasm_simd128__)
    {&ivit_isa_simd128, ivit_simd128_supported},
#endif
#ifdef IVIT_AMX
    {&ivit_isa_amx, has_amx},
#endif
#if defined(__x86_64__)
    {&ivit_isa_avx512vnni, has_avx512vnni},
    {&ivit_isa_avxvnni, has_avxvnni},
    {&ivit_isa_avx2, has_avx2},
#endif
#if defined(__aarch64__)
    {&ivit_isa_neon_dot, has_dot_product},
#endif
    {&ivit_isa_portable, always},
};

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

const ivit_isa *ivit_supported_isa(size_t index) {
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
    if (candidates[i].supported() && index-- == 0) return candidates[i].isa;
  }
  return NULL;
}

const ivit_isa *ivit_find_isa(const char *name) {
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
    if (name && !same(name, candidates[i].isa->name)) continue;
    if (candidates[i].supported()) return candidates[i].isa;
  }
  return NULL;
}
