/*
 * Times depthwise convolutions of an instruction set's table beside what bounds them: the multiply units (products of
 * pairs, at the rate of the GEMM's multiply-adds on registers alone) and the memory (a copy of as many bytes). The
 * least of many runs counts. A call has a block of rows, about as many as a program's stage gives it
 * (src/engine/plan/stages.ts).
 *
 *   cc -std=gnu11 -O3 native/test/measure_maps.c native/portable*.c native/isa.c native/x86/[a-z]*.c -o measure_maps
 *   measure_maps [isa]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../arith.h"

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *buffer(size_t bytes) {
  void *p = aligned_alloc(IVIT_ALIGN, round_up(bytes + IVIT_SLACK, IVIT_ALIGN));
  if (!p) abort();
  memset(p, 1, bytes);
  return p;
}

enum { RUNS = 300, BLOCK_BYTES = 1 << 18, BLOCK_TILE = 16 };

static int64_t time_copy(size_t read, size_t written) {
  uint8_t *from = buffer(read), *to = buffer(written);
  int64_t least = INT64_MAX;
  for (int i = 0; i < RUNS; i++) {
    int64_t start = now(), sum = 0;
    for (size_t at = 0; at < read; at += written) {
      size_t bytes = read - at < written ? read - at : written;
      memcpy(to, from + at, bytes);
      sum += to[at % bytes];
    }
    __asm__ volatile("" ::"r"(sum) : "memory");
    int64_t time = now() - start;
    least = time < least ? time : least;
  }
  free(from);
  free(to);
  return least;
}

static void measure(const ivit_isa *isa, int32_t size, int32_t channels, int32_t kernel, int32_t stride,
                    ivit_type type, double products_per_ns) {
  const int32_t across = (size + stride - 1) / stride, pad = kernel / 2;
  ivit_depthwise op = {.map = {size, size, kernel, kernel, stride, stride, pad, pad, 1, 1, across, channels}};
  const int32_t rows = op.map.out_w * op.map.out_w, taps = kernel * kernel;
  int32_t *multiplier = buffer(4 * round_up((size_t)channels, 64));
  int64_t *offset = buffer(8 * round_up((size_t)channels, 64));
  int16_t *weight = buffer(2 * (size_t)(taps * channels) + 128);
  for (int32_t n = 0; n < channels; n++) multiplier[n] = 1 << 30, offset[n] = n;
  op.weight = weight;
  op.out = (ivit_output){.type = type, .shift = 50, .multiplier = multiplier, .offset = offset};
  if (type == IVIT_U8) op.out.lo = 0, op.out.hi = 255;
  if (type == IVIT_I16) op.out.lo = -32767, op.out.hi = 32767;
  if (isa->output_pack) {
    op.out.packed = buffer(isa->output_pack_size(channels));
    isa->output_pack(&op.out, channels, INT32_MAX, op.out.packed);
  }
  if (isa->depthwise_pack) {
    op.packed = buffer(isa->depthwise_pack_size(&op));
    isa->depthwise_pack(&op, op.packed);
  }
  size_t read = (size_t)size * (size_t)size * (size_t)channels * 2;
  const size_t row_bytes = (size_t)channels * ivit_size_of(type), written = (size_t)rows * row_bytes;
  const int32_t block = (int32_t)(BLOCK_BYTES / row_bytes) / BLOCK_TILE * BLOCK_TILE;
  int16_t *x = buffer(read);
  void *out = buffer(written), *scratch = buffer(isa->depthwise_scratch(&op));
  int64_t least = INT64_MAX;
  for (int i = 0; i < RUNS; i++) {
    int64_t start = now();
    for (int32_t r = 0; r < rows; r += block)
      isa->depthwise(&op, r, ivit_min(rows, r + block), x, (uint8_t *)out + (size_t)r * row_bytes, NULL, scratch);
    int64_t time = now() - start;
    least = time < least ? time : least;
  }
  /* Per window and channel: half a product for each tap. Powers of 2 need none to requantize. */
  double results = (double)rows * channels, multiply = results * (taps / 2.0) / products_per_ns;
  double memory = (double)time_copy(read, written), bound = multiply > memory ? multiply : memory;
  printf("%dx%dx%d  %dx%d/%d  %s  %8.1f us  %6.1f GMAC/s  multiply %7.1f us  memory %7.1f us  %3.0f %% of %s\n", size,
         size, channels, kernel, kernel, stride, type == IVIT_U8 ? "u8 " : "i16", (double)least / 1e3,
         results * taps / (double)least, multiply / 1e3, memory / 1e3, 100 * bound / (double)least,
         bound == multiply ? "multiply" : "memory");
  free(x), free(out), free(scratch);
}

int main(int argc, char **argv) {
  const ivit_isa *isa = ivit_find_isa(argc > 1 ? argv[1] : NULL);
  if (!isa || !isa->multiply_in_registers) return printf("no such instruction set, or its peak is not known\n"), 2;
  /* Lanes of 32 bits that multiply in a nanosecond: a multiply-add of 8 bits has 4 in each. */
  double rate = 0;
  for (int i = 0; i < 50; i++) {
    int64_t start = now(), count = isa->multiply_in_registers(20000);
    double r = (double)count / 4 / (double)(now() - start);
    rate = r > rate ? r : rate;
  }
  printf("%s: %.0f lanes of 32 bits multiply in a nanosecond\n", isa->name, rate);
  static const int32_t shapes[][4] = {{56, 96, 3, 1}, {112, 32, 3, 1}, {28, 192, 3, 1}, {14, 384, 3, 1},
                                      {56, 96, 3, 2}, {28, 192, 5, 1}, {56, 64, 7, 1},  {28, 128, 7, 1},
                                      {14, 256, 7, 1}, {128, 128, 3, 1}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    measure(isa, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], IVIT_U8, rate);
    measure(isa, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], IVIT_I16, rate);
  }
  return 0;
}
