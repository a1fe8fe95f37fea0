/*
 * What linear layers have in common on AVX-512 with and without AMX: how they are packed, rows and columns that are
 * few, sums that pass 32 bits, inputs of 16 bits. Whoever includes this defines GROUP_STEP (linear_packing.h) first,
 * and `multiply_block`.
 */
#ifndef IVIT_AVX512_TILES_H
#define IVIT_AVX512_TILES_H

#include "avx512.h"

/* Columns of a panel: a register tile is 6 rows by 2 vectors, so that two tiles fit the registers. */
enum { PANEL_COLS = 32, PANEL_VECTORS = 2 };

typedef struct {
  int32_t start[PANEL_COLS];
  int32_t multiplier[PANEL_COLS];
  int32_t multiplier_odd[PANEL_COLS]; /* moved to the even places */
  int32_t bias[PANEL_COLS];
} panel;

#define CHUNK PANEL_COLS
#define GROUP 4
#define CODE_OFFSET 0
typedef int8_t weight_t;
#include "../linear_packing.h"

static void pack_panels(const ivit_linear *op, void *packed) {
  linear_pack(op, packed);
  const linear_header *h = packed;
  for (int32_t n = 1; n < op->cols; n += 2) {
    panel *to = h->panels + n / PANEL_COLS;
    to->multiplier_odd[n % PANEL_COLS - 1] = to->multiplier[n % PANEL_COLS];
  }
}

/* Rows of a 16-bit input that are split at a time: the high codes of a row, then the low ones, in whole groups. */
enum { SPLIT_ROWS = 8 * TILE_ROWS };
static size_t split_half(const ivit_linear *op) { return (size_t)((const linear_header *)op->packed)->groups * GROUP; }

static size_t split_scratch(const ivit_linear *op) {
  return op->x_type == IVIT_I16 ? SPLIT_ROWS * 2 * split_half(op) : 0;
}

/* `x`: codes, x_stride from row to row. */
typedef struct {
  const ivit_linear *op;
  int32_t rows, n0, n1;
  const uint8_t *x;
  size_t x_stride;
  const int32_t *x_scale;
  const int32_t *residual;
  void *out;
} arguments;

/* One row of a tile, as memory operands for its epilogue. */
typedef struct {
  int32_t mantissa, half; /* M' = mantissa*2^e; 2^(row_shift-e-1) */
  int64_t shift;          /* row_shift - e */
} row_factor;

static int32_t trailing_shift(int32_t scale) { return ivit_max(0, ivit_bits((uint64_t)scale) - 8); }

static row_factor factor_of(const ivit_linear *op, int32_t scale) {
  int32_t e = trailing_shift(scale), shift = op->row_shift - e;
  return (row_factor){.mantissa = scale >> e, .half = (int32_t)ivit_half(shift), .shift = shift};
}

/* Rows r0 to r1 of a block. */
static arguments rows_of(const arguments *a, int32_t r0, int32_t r1) {
  arguments part = *a;
  size_t first = (size_t)r0, cols = (size_t)a->op->cols;
  part.rows = r1 - r0;
  part.x = a->x + first * a->x_stride;
  part.x_scale = a->x_scale ? a->x_scale + first : NULL;
  part.residual = a->residual ? a->residual + first * cols : NULL;
  part.out = (int8_t *)a->out + first * cols * element_size(a->op->out.type);
  return part;
}

/* Any rows and columns of 8-bit codes; of 16-bit inputs the two rows of codes. The plan is none of WIDE. */
static void multiply_block(const arguments *a);

/* --- any tile: rows and columns may be fewer --- */

/* Of a tile, [6][32]. With 16-bit inputs `high` has those of the high codes. */
typedef struct {
  int32_t sums[TILE_ROWS * PANEL_COLS], high[TILE_ROWS * PANEL_COLS];
} tile_sums;

static void multiply_rows(const uint8_t *x, size_t stride, int32_t rows, const linear_header *h, int32_t n,
                          int32_t *sums) {
  tile_rows pointers;
  tile acc;
  point_to_rows(&pointers, x, stride, rows);
  tile_multiply(acc, panel_at(h, n)->start, &pointers, h->groups, weights_at(h, n), PANEL_VECTORS);
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
    UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
      _mm512_storeu_si512(sums + PANEL_COLS * i + 16 * j, acc[i][j]);
    }
  }
}

/* A row alone reads weights as fast as they come: asks for those of the panel after the next. */
static void fetch_ahead(const linear_header *h, int32_t n) {
  const char *ahead = (const char *)weights_at(h, n + 2 * PANEL_COLS);
  for (size_t i = 0; i < weights_size(h->groups); i += 64) _mm_prefetch(ahead + i, _MM_HINT_T0);
}

/*
 * The sums of one row of codes, or of the two (`b`, else NULL) of a 16-bit row: in a tile five rows would be computed
 * for nothing, and two tiles would read the weights twice.
 */
INLINE void multiply_row(const uint8_t *a, const uint8_t *b, const linear_header *h, int32_t n, int32_t *a_sums,
                         int32_t *b_sums) {
  const int32_t *start = panel_at(h, n)->start;
  __m512i acc[2][2][PANEL_VECTORS]; /* of even and odd groups; of both rows */
  UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
    acc[0][0][j] = acc[0][1][j] = _mm512_loadu_si512(start + 16 * j);
    acc[1][0][j] = acc[1][1][j] = _mm512_setzero_si512();
  }
  const int8_t *weights = weights_at(h, n);
  for (int32_t g = 0; g < h->groups; g += 2) {
    UNROLL_VECTORS for (int i = 0; i < 2; i++) {
      if (g + i >= h->groups) break;
      int32_t codes[2] = {0, 0};
      memcpy(&codes[0], a + 4 * (g + i), sizeof codes[0]);
      if (b) memcpy(&codes[1], b + 4 * (g + i), sizeof codes[1]);
      UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++, weights += 64) {
        const __m512i column = _mm512_loadu_si512(weights);
        acc[i][0][j] = _mm512_dpbusd_epi32(acc[i][0][j], _mm512_set1_epi32(codes[0]), column);
        if (b) acc[i][1][j] = _mm512_dpbusd_epi32(acc[i][1][j], _mm512_set1_epi32(codes[1]), column);
      }
    }
  }
  UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
    _mm512_storeu_si512(a_sums + 16 * j, _mm512_add_epi32(acc[0][0][j], acc[1][0][j]));
    if (b) _mm512_storeu_si512(b_sums + 16 * j, _mm512_add_epi32(acc[0][1][j], acc[1][1][j]));
  }
}

/* Up to 6 rows from row r on, columns n to n + 32. */
static void multiply_any(const arguments *a, int32_t r, int32_t n, tile_sums *t) {
  const ivit_linear *op = a->op;
  const linear_header *h = op->packed;
  const int split = op->x_type == IVIT_I16;
  const uint8_t *x = a->x + (size_t)r * a->x_stride, *low = split ? x + split_half(op) : x;
  const int32_t rows = a->rows - r;
  if (rows == 1) {
    if (r == 0 && !op->weights_of) fetch_ahead(h, n); /* a layer with tied weights's weights were just read */
    if (split)
      multiply_row(low, x, h, n, t->sums, t->high);
    else
      multiply_row(x, NULL, h, n, t->sums, NULL);
    return;
  }
  multiply_rows(low, a->x_stride, rows, h, n, t->sums);
  if (split) multiply_rows(x, a->x_stride, rows, h, n, t->high);
}

static void finish_tile(const arguments *a, int32_t r, int32_t n, const tile_sums *t) {
  const ivit_linear *op = a->op;
  const linear_header *h = op->packed;
  const panel *w = panel_at(h, n);
  const requantize_operands k = operands_of(&h->plan);
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  int32_t rows = ivit_min(a->rows - r, TILE_ROWS), count = ivit_min(a->n1 - n, PANEL_COLS);
  for (int32_t i = 0; i < rows; i++) {
    size_t at = (size_t)(r + i) * (size_t)op->cols + (size_t)n;
    row_factor f = op->x_type == IVIT_ROWS ? factor_of(op, a->x_scale[r + i]) : (row_factor){0};
    __m512i v[TILE_VECTORS] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512()};
    UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
      __m512i s = _mm512_loadu_si512(t->sums + PANEL_COLS * i + 16 * j), bias = _mm512_loadu_si512(w->bias + 16 * j);
      if (op->x_type == IVIT_ROWS) {
        s = _mm512_add_epi32(_mm512_mullo_epi32(s, _mm512_set1_epi32(f.mantissa)), _mm512_set1_epi32(f.half));
        s = _mm512_add_epi32(_mm512_srav_epi32(s, _mm512_set1_epi32((int32_t)f.shift)), bias);
      }
      if (op->x_type == IVIT_I16) {
        __m512i high = _mm512_loadu_si512(t->high + PANEL_COLS * i + 16 * j);
        s = _mm512_add_epi32(_mm512_add_epi32(s, _mm512_slli_epi32(high, 8)), bias);
      }
      v[j] = requantize(h->plan.path, s, _mm512_loadu_si512(w->multiplier + 16 * j), w->multiplier_odd + 16 * j, &k);
      if (a->residual) {
        __m512i old = _mm512_maskz_loadu_epi32(first16(count - 16 * j), a->residual + at + 16 * j);
        v[j] = _mm512_add_epi32(clamp_i32(v[j], IVIT_WIDE_LIMIT), old);
      }
    }
    store_values(op->out.type, v, zero, (int8_t *)a->out + at * element_size(op->out.type), count);
  }
}

static void multiply_tiles(const arguments *a) {
  tile_sums t;
  for (int32_t n = a->n0; n < a->n1; n += PANEL_COLS) {
    for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
      multiply_any(a, r, n, &t);
      finish_tile(a, r, n, &t);
    }
  }
}

/* --- any plan --- */

/* A tile's accumulators as 64-bit numbers, 8 columns at a time: any shift, any width. */
static void finish_wide(const arguments *a, int32_t r, int32_t n, const tile_sums *t) {
  const ivit_linear *op = a->op;
  const ivit_output *out = &op->out;
  const linear_header *h = op->packed;
  const __m512i lo = _mm512_set1_epi64(out->lo), hi = _mm512_set1_epi64(out->hi);
  const int32_t rows = ivit_min(a->rows - r, TILE_ROWS), count = ivit_min(a->n1 - n, PANEL_COLS);
  for (int32_t j = 0; j < count; j += 8) {
    __mmask8 live = (__mmask8)first16(count - j);
    __m512i b = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, out->multiplier + n + j));
    __m512i bias = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, op->bias + n + j));
    int64_t split[8] = {0};
    for (int32_t c = 0; op->x_type == IVIT_I16 && c < ivit_min(count - j, 8); c++)
      split[c] = split_constant(op, h, n + j + c);
    for (int32_t i = 0; i < rows; i++) {
      size_t at = (size_t)(r + i) * (size_t)op->cols + (size_t)(n + j);
      __m512i acc = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(t->sums + PANEL_COLS * i + j)));
      if (op->x_type == IVIT_I16) {
        __m512i high = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(t->high + PANEL_COLS * i + j)));
        acc = _mm512_add_epi64(_mm512_add_epi64(acc, _mm512_slli_epi64(high, 8)), _mm512_loadu_si512(split));
      }
      if (op->x_type == IVIT_ROWS) {
        acc = _mm512_mul_epi32(acc, _mm512_set1_epi64(a->x_scale[r + i]));
        acc = _mm512_add_epi64(acc, _mm512_set1_epi64(ivit_half(op->row_shift)));
        acc = _mm512_add_epi64(_mm512_sra_epi64(acc, _mm_cvtsi32_si128(op->row_shift)), bias);
      }
      __m512i v = _mm512_add_epi64(_mm512_mullo_epi64(acc, b), _mm512_set1_epi64(ivit_half(out->shift)));
      v = _mm512_sra_epi64(v, _mm_cvtsi32_si128(out->shift));
      v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
      if (a->residual) {
        v = _mm512_add_epi64(v, _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, a->residual + at)));
        v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
      }
      v = _mm512_add_epi64(v, _mm512_set1_epi64(out->type == IVIT_U8 ? out->zero : 0));
      int8_t *to = (int8_t *)a->out + at * element_size(out->type);
      switch (element_size(out->type)) {
        case 1: _mm512_mask_cvtepi64_storeu_epi8(to, live, v); break;
        case 2: _mm512_mask_cvtepi64_storeu_epi16(to, live, v); break;
        default: _mm512_mask_cvtepi64_storeu_epi32(to, live, v); break;
      }
    }
  }
}

static void multiply_block_wide(const arguments *a) {
  tile_sums t;
  for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
    for (int32_t n = a->n0; n < a->n1; n += PANEL_COLS) {
      multiply_any(a, r, n, &t);
      finish_wide(a, r, n, &t);
    }
  }
}

/* --- all rows --- */

/* A 16-bit row as high codes and low ones. */
static void split_row(const int16_t *x, int32_t count, uint8_t *high, uint8_t *low) {
  for (int32_t k = 0; k < count; k += 32) {
    __mmask32 live = first32(count - k);
    __m512i v = _mm512_maskz_loadu_epi16(live, x + k);
    _mm512_mask_cvtepi16_storeu_epi8(low + k, live, v);
    _mm512_mask_cvtepi16_storeu_epi8(high + k, live, _mm512_add_epi16(_mm512_srai_epi16(v, 8), _mm512_set1_epi16(128)));
  }
}

static void multiply_split(const arguments *a, const int16_t *x, uint8_t *codes) {
  const ivit_linear *op = a->op;
  const linear_header *h = op->packed;
  const size_t features = (size_t)op->in_features, half = split_half(op);
  for (int32_t r = 0; r < a->rows; r += SPLIT_ROWS) {
    arguments part = rows_of(a, r, ivit_min(r + SPLIT_ROWS, a->rows));
    part.x = codes;
    for (int32_t i = 0; i < part.rows; i++) {
      uint8_t *high = codes + (size_t)i * part.x_stride;
      split_row(x + (size_t)(r + i) * features, op->in_features, high, high + half);
    }
    if (h->plan.path == WIDE)
      multiply_block_wide(&part);
    else
      multiply_block(&part);
  }
}

/* The last row of the tile at row r, plus 1, and whether all its rows fit. */
static int tile_fits(const arguments *a, int32_t r, int32_t *end) {
  int32_t mantissa, shift;
  *end = ivit_min(r + TILE_ROWS, a->rows);
  for (int32_t i = r; i < *end; i++) {
    if (!row_fits(a->op, a->op->packed, a->x_scale[i], &mantissa, &shift)) return 0;
  }
  return 1;
}

static void multiply_all(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                         const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  const linear_header *h = op->packed;
  arguments a = {op, rows, n0, n1, x, (size_t)op->in_features, x_scale, residual, out};
  if (op->x_type == IVIT_I16) {
    a.x_stride = 2 * split_half(op);
    multiply_split(&a, x, scratch);
    return;
  }
  if (h->plan.path == WIDE) {
    multiply_block_wide(&a);
    return;
  }
  if (op->x_type == IVIT_U8) {
    multiply_block(&a);
    return;
  }
  /* Runs of tiles that fit, and of tiles that do not. */
  for (int32_t r = 0; r < rows;) {
    int32_t end, next;
    int narrow = tile_fits(&a, r, &end);
    while (end < rows && tile_fits(&a, end, &next) == narrow) end = next;
    arguments part = rows_of(&a, r, end);
    if (narrow)
      multiply_block(&part);
    else
      multiply_block_wide(&part);
    r = end;
  }
}

#endif
