/*
 * What is packed once for kernels whose register tile has CHUNK columns, beside linear layers (linear_packing.h, whose
 * names whoever includes this defines as well):
 *
 *   LANES             lanes of 32 bits of a vector
 *   OFFSET_SLOT(i)    the place of lane i among the 64-bit numbers of a vector's lanes
 */
#ifndef IVIT_PACKING_H
#define IVIT_PACKING_H

typedef struct {
  int32_t start[CHUNK], multiplier[CHUNK], bias[CHUNK];
} panel;

#include "../linear_packing.h"

/* The two rows of codes of a 16-bit row. */
static void split_row(const int16_t *restrict x, int32_t count, uint8_t *restrict high, uint8_t *restrict low) {
  for (int32_t k = 0; k < count; k++) {
    high[k] = (uint8_t)((x[k] >> 8) + 128);
    low[k] = (uint8_t)x[k];
  }
}

/* Columns n to n + count of a 16-bit row, from the sums of its two rows of codes, in 64 bits. */
static void finish_split_row(const ivit_linear *op, const int32_t *high, const int32_t *low, const int32_t *residual,
                             void *out, int32_t n, int32_t count) {
  for (int32_t c = 0; c < count; c++) {
    int64_t acc = (int64_t)high[c] * 256 + low[c] + split_constant(op, op->packed, n + c);
    int32_t r = ivit_requantize(&op->out, acc, n + c);
    if (residual) r = ivit_clamp((int64_t)r + residual[c], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
    ivit_store(&op->out, out, (size_t)c, r);
  }
}

/* --- what row primitives requantize by --- */

/* What output_pack writes: a header, then for each channel its multiplier and its offset with 2^(c-1), of 64 bits or,
 * where the path is narrow, of 32. */
typedef struct {
  requantize_path path;
  int32_t shift;
  int32_t lift; /* LIFTED: v is multiplied by 2^lift, and b by the rest of what brings the shift to 32 */
} output_header;

/* Room for 64, so that they are found where fewer columns are computed: see widened in ../program/load.c. */
static size_t channels_of(int32_t cols) { return round_up((size_t)cols, 64); }

static size_t output_pack_size(int32_t cols) {
  return IVIT_ALIGN + channels_of(cols) * (sizeof(int32_t) + sizeof(int64_t));
}

static int32_t *multipliers_of(const output_header *h) { return (int32_t *)((int8_t *)h + IVIT_ALIGN); }

static void output_pack(const ivit_output *out, int32_t cols, int64_t limit, void *packed) {
  output_header *h = packed;
  int64_t largest = largest_multiplier(out->multiplier, cols), farthest = 0, half = ivit_half(out->shift);
  for (int32_t n = 0; out->offset && n < cols; n++) {
    int64_t o = out->offset[n];
    farthest = o > farthest ? o : -o > farthest ? -o : farthest;
  }
  const int32_t missing = ivit_max(0, 32 - out->shift);
  int32_t scale = ivit_max(0, ivit_min(missing, 31 - ivit_bits((uint64_t)largest))), lift = missing - scale;
  /* Product and offset stay below 2^62 each, their sum below 2^63. */
  const int64_t most = ((int64_t)1 << 62) >> missing;
  *h = (output_header){.path = WIDE, .shift = out->shift};
  if (out->shift >= 1 && out->shift <= 31 && farthest < INT32_MAX &&
      limit * largest + half + farthest < (int64_t)1 << 31) {
    h->path = NARROW;
    scale = 0;
  } else if (largest <= INT32_MAX && limit < ((int64_t)1 << 31) >> lift && farthest < most - half &&
             limit * largest < most) {
    h->path = lift == 0 ? HIGH : LIFTED;
    h->shift = out->shift + missing - 32;
    h->lift = lift;
  } else {
    return;
  }
  int32_t *multiplier = multipliers_of(h);
  int64_t *offset = (int64_t *)(multiplier + channels_of(cols));
  __builtin_memset(multiplier, 0, channels_of(cols) * (sizeof *multiplier + sizeof *offset));
  for (int32_t n = 0; n < cols; n++) {
    int64_t o = half + (out->offset ? out->offset[n] : 0);
    multiplier[n] = (int32_t)((uint32_t)out->multiplier[n] << scale);
    if (h->path == NARROW)
      ((int32_t *)offset)[n] = (int32_t)o;
    else
      offset[n / LANES * LANES + OFFSET_SLOT(n % LANES)] = (int64_t)((uint64_t)o << missing);
  }
}

#endif
