/*
 * Compares the products of rows of an export with sums one by one: any count, any alignment, extremes. With KERNELS it
 * is the products alone, which may be compiled for more than the test.
 */
#include <stddef.h>
#include <stdint.h>

int32_t call_bytes(const uint8_t *x, const int8_t *w, int32_t count, int32_t start);
int32_t call_signed(const int8_t *x, const int8_t *w, int32_t count);
int64_t call_shorts(const int16_t *x, const int8_t *w, int32_t count);

#ifdef KERNELS
#include "dot_kernels.h"

int32_t call_bytes(const uint8_t *x, const int8_t *w, int32_t count, int32_t start) {
  return dot_bytes(x, w, count, start);
}
int32_t call_signed(const int8_t *x, const int8_t *w, int32_t count) { return dot_signed(x, w, count); }
int64_t call_shorts(const int16_t *x, const int8_t *w, int32_t count) { return dot_shorts(x, w, count); }
#else
#include <stdio.h>

#define MOST 4200

static uint8_t bytes[MOST + 8];
static int8_t left[MOST + 8], right[MOST + 8];
static int16_t shorts[MOST + 8];
static uint32_t state = 0x9e3779b9u;

static int32_t any(int32_t lo, int32_t hi) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return lo + (int32_t)(state % (uint32_t)(hi - lo + 1));
}

static void fill(int32_t is_extreme, int32_t sign) {
  for (int32_t i = 0; i < MOST + 8; i++) {
    bytes[i] = (uint8_t)(is_extreme ? 255 : any(0, 255));
    left[i] = (int8_t)(is_extreme ? 127 : any(-127, 127));
    right[i] = (int8_t)(is_extreme ? sign * 127 : any(-127, 127));
    shorts[i] = (int16_t)(is_extreme ? 32767 : any(-32767, 32767));
  }
}

static int compare(int32_t count, int32_t at) {
  int64_t a = 12345, b = 0, c = 0;
  for (int32_t k = at; k < at + count; k++) {
    a += bytes[k] * right[k];
    b += left[k] * right[k];
    c += shorts[k] * right[k];
  }
  return call_bytes(bytes + at, right + at, count, 12345) != a || call_signed(left + at, right + at, count) != b ||
         call_shorts(shorts + at, right + at, count) != c;
}

int main(void) {
  static const int32_t large[] = {768, 1023, 1024, 2047, 2050, 3072, 4097, MOST};
  int wrong = 0, runs = 0;
  for (int32_t kind = 0; kind < 3; kind++) {
    fill(kind > 0, kind == 1 ? 1 : -1);
    for (int32_t at = 0; at < 8; at++) {
      for (int32_t count = 0; count < 80; count++, runs++) wrong += compare(count, at);
      for (int32_t i = 0; i < 8; i++, runs++) wrong += compare(large[i], at);
    }
  }
  printf("%d runs, %d wrong\n", runs, wrong);
  return wrong != 0;
}
#endif
