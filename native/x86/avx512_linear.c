/* Linear layers: GEMM with requantization, residual and row scales in the epilogue of each register tile. */
#include "avx512.h"

/*
 * Packed weights: a header, then one panel for every 64 columns: its constants, then its weights as
 * [groups of 4 inputs][columns][4], the last panel 32 columns wide if that is enough.
 */
typedef struct {
  requantize_plan plan; /* chosen from the weights */
  int32_t groups;
  int32_t last_vectors;
  int32_t bias_bound; /* max |bias| */
  int64_t sum_bound;  /* max over n of |sum x*w|, before row scale and bias */
  int8_t fill[IVIT_ALIGN - sizeof(requantize_plan) - 3 * sizeof(int32_t) - sizeof(int64_t)];
} header;

typedef struct {
  int32_t start[TILE_COLS]; /* where accumulators start: -zero*sum w; for u8 inputs the bias as well */
  int32_t multiplier[TILE_COLS];
  int32_t multiplier_odd[TILE_COLS];
  int32_t bias[TILE_COLS];
  int8_t weight[];
} panel;

static int32_t count_panels(const ivit_linear *op) { return (op->cols + TILE_COLS - 1) / TILE_COLS; }

static size_t panel_size(int32_t groups, int32_t vectors) {
  return sizeof(panel) + (size_t)groups * (size_t)vectors * 64;
}

static panel *panel_at(const header *h, int32_t p) {
  return (panel *)((int8_t *)(h + 1) + (size_t)p * panel_size(h->groups, TILE_VECTORS));
}

static int32_t last_vectors(const ivit_linear *op) {
  int32_t rest = op->cols - (count_panels(op) - 1) * TILE_COLS;
  return rest <= 32 ? 2 : TILE_VECTORS;
}

size_t ivit_avx512_linear_pack_size(const ivit_linear *op) {
  int32_t groups = (op->in_features + 3) / 4;
  return sizeof(header) + (size_t)(count_panels(op) - 1) * panel_size(groups, TILE_VECTORS) +
         panel_size(groups, last_vectors(op));
}

/*
 * The path that is right for every input, from bounds of the accumulators; with row scales, for every input whose rows
 * then pass `fits`.
 */
static void plan_linear(const ivit_linear *op, header *h) {
  int64_t product = 0, limit = 0;
  h->sum_bound = 0;
  h->bias_bound = 0;
  for (int32_t n = 0; n < op->cols; n++) {
    int64_t sum = ivit_linear_bound(op, n);
    h->sum_bound = sum > h->sum_bound ? sum : h->sum_bound;
    h->bias_bound = ivit_max(h->bias_bound, ivit_abs(op->bias[n]));
    if (op->x_type == IVIT_ROWS) sum = ivit_shift_round(sum * ((int64_t)IVIT_ROW_LIMIT + 1), op->row_shift);
    int64_t acc = sum + ivit_abs(op->bias[n]);
    if (acc > INT32_MAX) acc = INT32_MAX;
    limit = acc > limit ? acc : limit;
    int64_t bound = acc * ivit_abs(op->out.multiplier[n]);
    product = bound > product ? bound : product;
  }
  if (op->x_type == IVIT_ROWS) limit = 0;
  h->plan = plan_requantize(limit, product, largest_multiplier(op->out.multiplier, op->cols), op->out.shift);
  if (op->x_type == IVIT_I16) h->plan = (requantize_plan){.path = WIDE};
}

void ivit_avx512_linear_pack(const ivit_linear *op, void *packed) {
  header *h = packed;
  plan_linear(op, h);
  h->groups = (op->in_features + 3) / 4;
  h->last_vectors = last_vectors(op);
  int32_t panels = count_panels(op);
  size_t features = (size_t)op->in_features;

  for (int32_t p = 0; p < panels; p++) {
    panel *to = panel_at(h, p);
    int32_t cols = 16 * (p + 1 < panels ? TILE_VECTORS : h->last_vectors);
    memset(to, 0, panel_size(h->groups, cols / 16));
    for (int32_t c = 0; c < cols && p * TILE_COLS + c < op->cols; c++) {
      int32_t n = p * TILE_COLS + c, sum = 0;
      const int8_t *w = op->weight + (size_t)n * features;
      for (size_t k = 0; k < features; k++) {
        sum += w[k];
        to->weight[((k / 4) * (size_t)cols + (size_t)c) * 4 + k % 4] = w[k];
      }
      to->bias[c] = op->bias[n];
      /* i16 inputs: of the plane of high bytes, which are stored with 128 added. */
      int32_t zero = op->x_type == IVIT_I16 ? 128 : op->x_zero;
      to->start[c] = -zero * sum + (op->x_type == IVIT_U8 ? op->bias[n] : 0);
      to->multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[n] << h->plan.scale);
    }
    for (int32_t c = 0; c < TILE_COLS; c += 2) to->multiplier_odd[c] = to->multiplier[c + 1];
  }
}

/* Two planes of 8 bits of a tile's i16 rows. */
static size_t plane_stride(const ivit_linear *op) { return round_up((size_t)op->in_features, 64) + IVIT_SLACK; }

size_t ivit_avx512_linear_scratch(const ivit_linear *op) {
  return op->x_type == IVIT_I16 ? 2 * TILE_ROWS * plane_stride(op) : 0;
}

typedef struct {
  const ivit_linear *op;
  int32_t rows, n0, n1;
  const void *x;
  const int32_t *x_scale;
  const int32_t *residual;
  void *out;
  void *scratch;
} arguments;

/* One row of a tile, as memory operands for its epilogue. */
typedef struct {
  int32_t mantissa, half; /* M' = mantissa*2^e; 2^(row_shift-e-1) */
  int64_t shift;          /* row_shift - e */
} row_factor;

static int32_t trailing_shift(int32_t scale) { return ivit_max(0, ivit_bits((uint64_t)scale) - 8); }

/*
 * Whether a row of scale M' keeps to 32 bits: (M'*sum + 2^(row_shift-1)) >> row_shift then equals
 * (mantissa*sum + 2^(s-1)) >> s with s = row_shift - e, and the accumulator leaves room for the lift.
 */
static int fits(const ivit_linear *op, const header *h, int32_t scale) {
  int32_t e = trailing_shift(scale), shift = op->row_shift - e;
  if (shift < 1 || (scale >> e) << e != scale) return 0;
  if (h->sum_bound * (scale >> e) + ivit_half(shift) >= (int64_t)1 << 31) return 0;
  int64_t acc = ivit_shift_round(h->sum_bound * scale, op->row_shift) + h->bias_bound;
  return h->plan.lift == 0 || acc < ((int64_t)1 << 31) >> h->plan.lift;
}

INLINE void multiply_panel(tile acc, const tile_rows *x, const header *h, const panel *w, int32_t vectors) {
  if (vectors == TILE_VECTORS) {
    tile_multiply(acc, w->start, x, h->groups, w->weight, TILE_VECTORS);
    return;
  }
  tile_multiply(acc, w->start, x, h->groups, w->weight, 2);
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) acc[i][2] = acc[i][3] = _mm512_setzero_si512();
}

INLINE int32_t panel_vectors(const header *h, const ivit_linear *op, int32_t p) {
  return (p + 1) * TILE_COLS >= op->cols ? h->last_vectors : TILE_VECTORS;
}

/* Weights that are fetched into the cache while others are in use, a part with each tile. */
typedef struct {
  const int8_t *at, *end;
  ptrdiff_t part;
} fetch;

/* What comes after panel p: the next panel, or the weights of the layer that follows. */
static fetch fetch_after(const arguments *a, const header *h, int32_t p) {
  const ivit_linear *op = a->op;
  fetch f = {.at = op->next, .end = op->next};
  if ((p + 1) * TILE_COLS < a->n1) {
    f.at = (const int8_t *)panel_at(h, p + 1);
    f.end = f.at + panel_size(h->groups, panel_vectors(h, op, p + 1));
  } else if (op->next) {
    enum { FIRST_PANELS = 1 << 15 };
    f.end = f.at + (op->next_bytes < FIRST_PANELS ? op->next_bytes : FIRST_PANELS);
  }
  int32_t tiles = (a->rows + TILE_ROWS - 1) / TILE_ROWS;
  f.part = ((f.end - f.at) / tiles + 63) & ~63;
  return f;
}

INLINE void fetch_part(fetch *f) {
  const int8_t *stop = f->end - f->at < f->part ? f->end : f->at + f->part;
  for (; f->at < stop; f->at += 64) _mm_prefetch((const char *)f->at, _MM_HINT_T1);
}

/* All tiles of a block. `type`, `path`, `dynamic` and `add` are constants of each copy. */
INLINE void multiply_block(const arguments *a, const ivit_type type, const requantize_path path, const int dynamic,
                           const int add) {
  const ivit_linear *op = a->op;
  const header *h = op->packed;
  size_t features = (size_t)op->in_features, cols = (size_t)op->cols;
  struct {
    __m512i zero;
    requantize_operands requantize;
    row_factor rows[TILE_ROWS];
  } k;
  k.requantize = operands_of(&h->plan);
  k.zero = _mm512_set1_epi16((int16_t)op->out.zero);

  for (int32_t n = a->n0; n < a->n1; n += TILE_COLS) {
    int32_t p = n / TILE_COLS, count = ivit_min(a->n1 - n, TILE_COLS), vectors = panel_vectors(h, op, p);
    const panel *w = panel_at(h, p);
    fetch ahead = fetch_after(a, h, p);
    for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
      int32_t live = a->rows - r;
      fetch_part(&ahead);
      tile_rows x = tile_rows_at((const uint8_t *)a->x + (size_t)r * features, features, live);
      if (dynamic) {
        for (int32_t i = 0; i < TILE_ROWS && i < live; i++) {
          int32_t scale = a->x_scale[r + i], e = trailing_shift(scale);
          k.rows[i].mantissa = scale >> e;
          k.rows[i].shift = op->row_shift - e;
          k.rows[i].half = (int32_t)ivit_half((int32_t)k.rows[i].shift);
        }
      }
      tile acc;
      multiply_panel(acc, &x, h, w, vectors);
      size_t at = (size_t)r * cols + (size_t)n;
      UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
        KEEP_LOADS_HERE;
        if (i >= live) break;
        __m512i v[TILE_VECTORS];
        UNROLL_VECTORS for (int j = 0; j < TILE_VECTORS; j++) {
          __m512i s = acc[i][j];
          if (dynamic) {
            s = _mm512_mullo_epi32(s, _mm512_set1_epi32(k.rows[i].mantissa));
            s = _mm512_add_epi32(s, _mm512_set1_epi32(k.rows[i].half));
            s = _mm512_sra_epi32(s, _mm_cvtsi64_si128(k.rows[i].shift));
            s = _mm512_add_epi32(s, _mm512_loadu_si512(w->bias + 16 * j));
          }
          __m512i b = _mm512_loadu_si512(w->multiplier + 16 * j);
          v[j] = requantize(path, s, b, w->multiplier_odd + 16 * j, &k.requantize);
          if (add) {
            __m512i old = _mm512_maskz_loadu_epi32(first16(count - 16 * j), a->residual + at + 16 * j);
            v[j] = _mm512_add_epi32(clamp_i32(v[j], IVIT_WIDE_LIMIT), old);
          }
        }
        store_values(type, v, k.zero, (int8_t *)a->out + at * element_size(type), count);
        at += cols;
      }
    }
  }
}

/* A tile's accumulators as 64-bit numbers, 8 columns at a time: any shift, any width, i16 inputs. */
static void finish_wide(const arguments *a, int32_t r, int32_t i, int32_t n, int32_t count, const panel *w,
                        const int32_t *low, const int32_t *high) {
  const ivit_linear *op = a->op;
  const ivit_output *out = &op->out;
  const __m512i lo = _mm512_set1_epi64(out->lo), hi = _mm512_set1_epi64(out->hi);
  size_t at = (size_t)(r + i) * (size_t)op->cols + (size_t)n;
  for (int32_t j = 0; j < count; j += 8) {
    __mmask8 live = (__mmask8)first16(count - j);
    __m512i acc = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(low + j)));
    if (high) {
      __m512i h = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(high + j)));
      __m512i start = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(w->start + j)));
      acc = _mm512_add_epi64(_mm512_sub_epi64(acc, start), _mm512_slli_epi64(h, 8));
    }
    if (op->x_type == IVIT_ROWS) {
      acc = _mm512_mul_epi32(acc, _mm512_set1_epi64(a->x_scale[r + i]));
      acc = _mm512_add_epi64(acc, _mm512_set1_epi64(ivit_half(op->row_shift)));
      acc = _mm512_sra_epi64(acc, _mm_cvtsi32_si128(op->row_shift));
    }
    if (op->x_type != IVIT_U8) {
      acc = _mm512_add_epi64(acc, _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(w->bias + j))));
    }
    __m512i b = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, out->multiplier + n + j));
    __m512i v = _mm512_add_epi64(_mm512_mullo_epi64(acc, b), _mm512_set1_epi64(ivit_half(out->shift)));
    v = _mm512_sra_epi64(v, _mm_cvtsi32_si128(out->shift));
    v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
    if (a->residual) {
      v = _mm512_add_epi64(v, _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, a->residual + at + j)));
      v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
    }
    v = _mm512_add_epi64(v, _mm512_set1_epi64(out->type == IVIT_U8 ? out->zero : 0));
    int8_t *to = (int8_t *)a->out + (at + (size_t)j) * element_size(out->type);
    switch (element_size(out->type)) {
      case 1: _mm512_mask_cvtepi64_storeu_epi8(to, live, v); break;
      case 2: _mm512_mask_cvtepi64_storeu_epi16(to, live, v); break;
      default: _mm512_mask_cvtepi64_storeu_epi32(to, live, v); break;
    }
  }
}

static void split_planes(const int16_t *x, int32_t count, uint8_t *low, uint8_t *high) {
  for (int32_t k = 0; k < count; k += 32) {
    __mmask32 live = first32(count - k);
    __m512i v = _mm512_maskz_loadu_epi16(live, x + k);
    _mm512_mask_cvtepi16_storeu_epi8(low + k, live, v);
    _mm512_mask_cvtepi16_storeu_epi8(high + k, live, _mm512_add_epi16(_mm512_srai_epi16(v, 8), _mm512_set1_epi16(128)));
  }
}

static void multiply_block_wide(const arguments *a) {
  const ivit_linear *op = a->op;
  const header *h = op->packed;
  size_t features = (size_t)op->in_features, stride = plane_stride(op);
  uint8_t *planes[2] = {a->scratch, (uint8_t *)a->scratch + TILE_ROWS * stride};
  int32_t low[TILE_ROWS][TILE_COLS], high[TILE_ROWS][TILE_COLS];
  int split = op->x_type == IVIT_I16;

  for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
    int32_t live = ivit_min(a->rows - r, TILE_ROWS);
    tile_rows x[2];
    if (split) {
      for (int32_t i = 0; i < live; i++) {
        split_planes((const int16_t *)a->x + (size_t)(r + i) * features, op->in_features, planes[0] + (size_t)i * stride,
                     planes[1] + (size_t)i * stride);
      }
      for (int s = 0; s < 2; s++) x[s] = tile_rows_at(planes[s], stride, live);
    } else {
      x[0] = tile_rows_at((const uint8_t *)a->x + (size_t)r * features, features, live);
    }
    for (int32_t n = a->n0; n < a->n1; n += TILE_COLS) {
      int32_t p = n / TILE_COLS, count = ivit_min(a->n1 - n, TILE_COLS);
      const panel *w = panel_at(h, p);
      for (int s = 0; s <= split; s++) {
        tile acc;
        multiply_panel(acc, &x[s], h, w, panel_vectors(h, op, p));
        UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
          UNROLL_VECTORS for (int j = 0; j < TILE_VECTORS; j++) {
            _mm512_storeu_si512((s ? high[i] : low[i]) + 16 * j, acc[i][j]);
          }
        }
      }
      for (int32_t i = 0; i < live; i++) finish_wide(a, r, i, n, count, w, low[i], split ? high[i] : NULL);
    }
  }
}

/* One function for each kind of epilogue. */
#define BLOCK(name, type, path, dynamic, add)                                           \
  __attribute__((noinline)) static void name(const arguments *a) {                      \
    multiply_block(a, type, path, dynamic, add);                                        \
  }
#define BLOCKS(name, type, add)                                                         \
  BLOCK(name##_narrow, type, NARROW, 0, add)                                            \
  BLOCK(name##_high, type, HIGH, 0, add)                                                \
  BLOCK(name##_lifted, type, LIFTED, 0, add)                                            \
  BLOCK(name##_rows_narrow, type, NARROW, 1, add)                                       \
  BLOCK(name##_rows_high, type, HIGH, 1, add)                                           \
  BLOCK(name##_rows_lifted, type, LIFTED, 1, add)
BLOCKS(to_u8, IVIT_U8, 0)
BLOCKS(to_i8, IVIT_I8, 0)
BLOCKS(to_i16, IVIT_I16, 0)
BLOCKS(to_i32, IVIT_I32, 0)
BLOCKS(to_rows, IVIT_ROWS, 0)
BLOCKS(to_residual, IVIT_I32, 1)

#define BLOCK_NAMES(name) \
  {{name##_narrow, name##_high, name##_lifted}, {name##_rows_narrow, name##_rows_high, name##_rows_lifted}}
typedef void block_function(const arguments *a);
enum { RESIDUAL = IVIT_ROWS + 1 };
/* [output type, or RESIDUAL][x has row scales][path] */
static block_function *const blocks[RESIDUAL + 1][2][3] = {
    [IVIT_U8] = BLOCK_NAMES(to_u8),     [IVIT_I8] = BLOCK_NAMES(to_i8),
    [IVIT_I16] = BLOCK_NAMES(to_i16),   [IVIT_I32] = BLOCK_NAMES(to_i32),
    [IVIT_ROWS] = BLOCK_NAMES(to_rows), [RESIDUAL] = BLOCK_NAMES(to_residual),
};

/* Rows r0 to r1 of a block. */
static arguments rows_of(const arguments *a, int32_t r0, int32_t r1) {
  arguments part = *a;
  size_t first = (size_t)r0, features = (size_t)a->op->in_features, cols = (size_t)a->op->cols;
  part.rows = r1 - r0;
  part.x = (const int8_t *)a->x + first * features * (a->op->x_type == IVIT_I16 ? 2 : 1);
  part.x_scale = a->x_scale ? a->x_scale + first : NULL;
  part.residual = a->residual ? a->residual + first * cols : NULL;
  part.out = (int8_t *)a->out + first * cols * element_size(a->op->out.type);
  return part;
}

/* The last row of the tile at row r, plus 1, and whether all its rows fit. */
static int tile_fits(const arguments *a, const header *h, int32_t r, int32_t *end) {
  *end = ivit_min(r + TILE_ROWS, a->rows);
  for (int32_t i = r; i < *end; i++) {
    if (!fits(a->op, h, a->x_scale[i])) return 0;
  }
  return 1;
}

void ivit_avx512_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                        const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  arguments a = {op, rows, n0, n1, x, x_scale, residual, out, scratch};
  const header *h = op->packed;
  int dynamic = op->x_type == IVIT_ROWS;
  if (h->plan.path == WIDE) {
    multiply_block_wide(&a);
    return;
  }
  block_function *multiply = blocks[residual ? RESIDUAL : op->out.type][dynamic][h->plan.path];
  if (!dynamic) {
    multiply(&a);
    return;
  }
  /* Runs of tiles that fit, and of tiles that do not. */
  for (int32_t r = 0; r < rows;) {
    int32_t end, next;
    int narrow = tile_fits(&a, h, r, &end);
    while (end < rows && tile_fits(&a, h, end, &next) == narrow) end = next;
    arguments part = rows_of(&a, r, end);
    if (narrow) multiply(&part);
    else multiply_block_wide(&part);
    r = end;
  }
}
