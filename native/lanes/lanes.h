/*
 * Kernels for instruction sets with vectors of a few 32-bit lanes, written once. Whoever includes this defines first:
 *
 *   LANES             lanes of 32 bits: 4 or 8
 *   vec               a vector of them; load, store, set1, add, sub, mullo, min, max, abs_of, shift_left, shift_right
 *                     (arithmetic, by one count), shift_right_each (of numbers >= 0, a count for each lane), load_i16,
 * reduce_max, reduce_add mul_high          high 32 bits of the 64-bit products mul_shift         low 32 bits of the
 * 64-bit products >> count, 0 to 32 wide              64-bit products of a vec's lanes in any order, OFFSET_SLOT(i) the
 * place of lane i: load_wide, mul_add_high (high 32 bits of product + wide), wide_zero, add_squares, reduce_wide
 *   look_up           32-bit entries of a table, by lane; look_up_pair: each and the one after it
 *   mul_long_shift    of a softmax's weights: see ivit_share; divide_lanes: see ivit_divisor, at most 2^31 - 1
 *   store_bytes_u8, store_bytes_i8, store_words   16 values, saturated; u8 after adding a zero point
 *
 *   TILE_ROWS         rows of the register tile; its columns are 16
 *   GROUP             elements of a row that one 32-bit element of the product takes: 4 of 8 bits or 2 of 16
 *   GROUP_STEP        groups that multiply_tile takes at a time
 *   weight_t, code_t  what weights and codes are multiplied as; CODE_OFFSET is taken from codes when they are
 * multiplied multiply_tile     sums[i][c] = start[c] + sum_k (rows[i][k] - CODE_OFFSET)*w[k / GROUP][c][k % GROUP]
 *   MAP_LINES, map_sums (vectors `v` of CHUNK channels, which order_sums brings in order), lay_lines, map_weights,
 *   load_weights, add_products: see depthwise.h
 *   PAIR_ROWS, multiply_pairs   see matmul.h; 16 columns
 *   ISA_NAME, ISA_TABLE
 */
#include <string.h>

#include "../arith.h"

#define INLINE static inline __attribute__((always_inline))

enum { CHUNK = 16, CHUNK_VECTORS = CHUNK / LANES };

#include "packing.h"

/* --- requantization --- */

INLINE vec requantize(const requantize_plan *plan, vec v, vec b) {
  if (plan->path == NARROW) return shift_right(add(mullo(v, b), set1(plan->round)), plan->shift);
  if (plan->path == LIFTED) v = shift_left(v, plan->lift);
  return shift_right(add(mul_high(v, b), set1(plan->round)), plan->shift);
}

/* --- stores --- */

INLINE vec clamp_to(vec v, int32_t limit) { return max(min(v, set1(limit)), set1(-limit)); }

INLINE void store_chunk_whole(ivit_type type, const vec v[CHUNK_VECTORS], int32_t zero, void *out) {
  switch (type) {
    case IVIT_U8: store_bytes_u8(out, v, zero); break;
    case IVIT_I8: store_bytes_i8(out, v); break;
    case IVIT_I16: store_words(out, v); break;
    default: {
      int32_t limit = type == IVIT_I32 ? IVIT_WIDE_LIMIT : IVIT_ROW_LIMIT;
      for (int j = 0; j < CHUNK_VECTORS; j++) store((int32_t *)out + LANES * j, clamp_to(v[j], limit));
    }
  }
}

/* 16 values r with the type's clamp, the first `count` of them. */
INLINE void store_chunk(ivit_type type, const vec v[CHUNK_VECTORS], int32_t zero, void *out, int32_t count) {
  if (count >= CHUNK) {
    store_chunk_whole(type, v, zero, out);
    return;
  }
  int32_t whole[CHUNK];
  store_chunk_whole(type, v, zero, whole);
  memcpy(out, whole, (size_t)count * element_size(type));
}

/* A row, or a part of one, that may end within a chunk: elements past the end are read, as ivit.h allows. */
INLINE void load_chunk(const int32_t *x, int32_t count, vec v[CHUNK_VECTORS]) {
  int32_t whole[CHUNK] = {0};
  if (count < CHUNK) memcpy(whole, x, (size_t)count * sizeof *x);
  for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = load((count < CHUNK ? whole : x) + LANES * j);
}

#include "linear.h"
#include "rows.h"
#include "algebra.h"

enum { PAIR_COLS = CHUNK };
#define PAIR_WIDTH(n) CHUNK

static int is_wide(const ivit_output *out) { return ((const output_header *)out->packed)->path == WIDE; }

/* A panel's columns of a row of the result. */
static void write_sums(const ivit_output *out, int32_t n, int32_t j, const int32_t *sums, void *to, int32_t count) {
  vec v[CHUNK_VECTORS];
  for (int i = 0; i < CHUNK_VECTORS; i++) v[i] = load(sums + LANES * i);
  requantize_chunk(out->packed, n, j, v);
  store_chunk(out->type, v, out->zero, to, count);
}

#include "matmul.h"
#include "published.h"
#include "attention.h"

/* --- depthwise convolution --- */

enum { MAP_CHANNELS = CHUNK, MAP_TILE = 4, MAP_STEP = MAP_CHANNELS * MAP_LINES };

INLINE map_sums zero_sums(void) {
  map_sums s;
  for (int j = 0; j < CHUNK_VECTORS; j++) s.v[j] = set1(0);
  return s;
}

INLINE int sums_fit(const ivit_depthwise *op) { return ((const output_header *)op->out.packed)->path != WIDE; }

INLINE void store_sums(const ivit_depthwise *op, int32_t n, map_sums s[MAP_TILE], int8_t *out, size_t step,
                       int32_t live) {
  for (int32_t i = 0; i < live; i++, out += step) {
    order_sums(&s[i]);
    requantize_chunk(op->out.packed, op->map.channels, n, s[i].v);
    store_chunk(op->out.type, s[i].v, op->out.zero, out, op->map.channels - n);
  }
}

#include "depthwise.h"

/* --- sums of rows --- */

/* Columns of one row's sums, up to 16; those past `count` are 0 or go nowhere. x: the first of these columns. */
INLINE void sum_taps(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight, const int32_t *x,
                     int32_t count, vec v[CHUNK_VECTORS]) {
  const int32_t shared = ivit_shared_weight(op, index, weight);
  for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = set1(0);
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    vec a[CHUNK_VECTORS];
    load_chunk(x + (size_t)index[t] * (size_t)op->cols, count, a);
    for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = add(v[j], shared ? a[j] : mullo(a[j], set1(weight[t])));
  }
  for (int j = 0; shared && j < CHUNK_VECTORS; j++) v[j] = mullo(v[j], set1(shared));
}

static void mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                     void *scratch) {
  const output_header *h = op->out.packed;
  if (!op->fits || h->path == WIDE) {
    ivit_portable_mix_rows(op, r0, r1, x, out, scale, scratch);
    return;
  }
  for (int32_t r = r0; r < r1; r++) {
    const size_t at = (size_t)r * (size_t)op->taps;
    row_writer w = start_row(&op->out, r - r0, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      sum_taps(op, op->index + at, op->weight + at, x + n, op->cols - n, v);
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + (r - r0) : NULL);
  }
}

#define rescale_sums rescale
#include "maps.h"

const ivit_isa ISA_TABLE = {
    .name = ISA_NAME,
    .tile_rows = TILE_ROWS,
    .tile_cols = CHUNK,
    .linear_pack_size = linear_pack_size,
    .linear_pack = linear_pack,
    .linear_scratch = linear_scratch,
    .linear = linear,
    .output_pack_size = output_pack_size,
    .output_pack = output_pack,
    .layer_norm = layer_norm,
    .activation = activation,
    .paper_gelu = paper_gelu_rows,
    .ibert_gelu = ibert_gelu_rows,
    .rescale = rescale,
    .multiply = multiply_rows,
    .divide = divide_rows,
    .lookup = look_up_rows,
    .softmax = softmax_rows,
    .rotate = rotate_rows,
    .matmul_scratch = matmul_scratch,
    .matmul = matmul,
    .quantize_rows = quantize_rows,
    .add = add_wide,
    .depthwise_pack_size = depthwise_pack_size,
    .depthwise_pack = depthwise_pack,
    .depthwise_scratch = depthwise_scratch,
    .depthwise = depthwise,
    .mix_rows = mix_rows,
    .max_pool = pool_rows,
    .group_sums = sum_groups,
    .group_norm = group_norm_rows,
    .attention_pack_size = attention_pack_size,
    .attention_pack = attention_pack,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .published_pack_size = published_pack_size,
    .published_pack = published_pack,
    .published_scratch = published_scratch_size,
    .published = published_attention,
};
