/* Random operands for the comparisons. */
#include "compare.h"

static uint64_t state = 1;

void seed_random(uint64_t seed) { state = seed; }

static uint32_t next(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33);
}
int32_t pick(int32_t lo, int32_t hi) { return lo + (int32_t)(next() % ((uint32_t)(hi - lo) + 1)); }
int chance(int32_t percent) { return pick(1, 100) <= percent; }
int64_t pick_bits(int32_t bits) {
  uint64_t most = ((uint64_t)1 << bits) - 1;
  int64_t v = (int64_t)(chance(3) ? most : (((uint64_t)next() << 31) | next()) & most);
  return chance(50) ? -v : v;
}

static void *buffers[64];
static int buffer_count;
void *buffer(size_t bytes) {
  size_t size = (bytes + 63) / 64 * 64 + IVIT_SLACK;
  uint8_t *p = aligned_alloc(IVIT_ALIGN, size + IVIT_ALIGN);
  if (!p) abort();
  for (size_t i = 0; i < size; i++) p[i] = (uint8_t)(i < bytes ? 0 : next());
  return buffers[buffer_count++] = p;
}
void free_buffers(void) {
  while (buffer_count > 0) free(buffers[--buffer_count]);
}
size_t padded(int32_t n) { return ((size_t)n + 63) / 64 * 64; }

int failures;
void check(const char *what, const void *expected, const void *actual, size_t bytes, const char *detail) {
  if (memcmp(expected, actual, bytes) == 0) return;
  size_t at = 0;
  while (((const uint8_t *)expected)[at] == ((const uint8_t *)actual)[at]) at++;
  printf("%s differs at byte %zu of %zu: %s\n", what, at, bytes, detail);
  failures++;
}

size_t wide_size_of(ivit_type type) { return type == IVIT_ROWS ? 4 : ivit_size_of(type); }

ivit_output pick_output(int32_t cols, int32_t bits, int offsets) {
  static const int32_t limits[] = {0, 127, 32767, IVIT_WIDE_LIMIT, IVIT_ROW_LIMIT};
  ivit_output out = {.type = (ivit_type)pick(0, 4)};
  out.zero = out.type == IVIT_U8 ? pick(0, 255) : 0;
  out.lo = out.type == IVIT_U8 ? -out.zero : -limits[out.type];
  out.hi = out.type == IVIT_U8 ? 255 - out.zero : limits[out.type];
  int32_t target = out.type == IVIT_I32 ? 22 : out.type == IVIT_ROWS ? 20 : out.type == IVIT_I16 ? 14 : 7;
  int32_t most = ivit_min(31, 61 - bits);
  int32_t multiplier_bits = chance(50) ? most : pick(1, ivit_min(16, most));
  out.shift = ivit_min(ivit_max(bits + multiplier_bits - target + pick(-3, 3), chance(10) ? 0 : 1), 62);
  int32_t *multiplier = buffer(padded(cols) * sizeof *multiplier);
  int64_t *offset = offsets && chance(70) ? buffer(padded(cols) * sizeof *offset) : NULL;
  for (int32_t n = 0; n < cols; n++) {
    multiplier[n] = (int32_t)pick_bits(multiplier_bits);
    if (offset) offset[n] = pick_bits(ivit_min(bits + multiplier_bits, chance(80) ? target + out.shift : 60));
  }
  out.multiplier = multiplier;
  out.offset = offset;
  return out;
}

void fill_i32(int32_t *x, size_t n, int32_t bits) {
  for (size_t i = 0; i < n; i++) x[i] = (int32_t)pick_bits(bits);
}

int32_t pick_end(int32_t lo, int32_t hi, int constant) { return constant || chance(50) ? hi : lo; }

int16_t *pick_words(size_t count) {
  int16_t *x = buffer(count * sizeof *x);
  int32_t bits = chance(70) ? 15 : pick(1, 15);
  for (size_t i = 0; i < count; i++) x[i] = (int16_t)(chance(5) ? (chance(50) ? 32767 : -32767) : pick_bits(bits));
  return x;
}
