/*
 * Linear layers with AMX. Four tiles are the sums of up to 32 rows and a panel of 32 columns, two their inputs, two
 * weights; of 16-bit inputs the sums are those of 16 rows' high codes and of their low ones. The sums go to a buffer,
 * and while the next tiles multiply, vector units turn them into outputs, a few rows after each 64 inputs.
 */
#include "../ivit.h"

#ifdef IVIT_AMX
#define GROUP_STEP 16
#include "avx512_tiles.h"
#include "amx.h"

/* Rows whose factors are worked out at a time; sums of four tiles. */
enum { JOB_ROWS = 128, BUFFER_SUMS = 2 * AMX_ROWS * PANEL_COLS };

/* What sums become: an output type, or WITH_RESIDUAL. */
enum { WITH_RESIDUAL = IVIT_ROWS + 1 };
typedef enum { CODES, SCALED_CODES, SPLIT_CODES } input_kind;

typedef struct {
  const arguments *a;
  const row_factor *factors; /* [rows], where x has row scales */
  requantize_operands requantize;
  __m512i zero;
} job;

/* Sums that are to become outputs: the next of their rows, of which `rows` are left. */
typedef struct {
  const int32_t *sums; /* [2*AMX_ROWS][PANEL_COLS] */
  const panel *constants;
  const row_factor *factor;
  const int32_t *residual;
  int8_t *out;
  int32_t rows, cols;
} finished;

INLINE size_t size_of_result(const int type) {
  return type == WITH_RESIDUAL ? sizeof(int32_t) : element_size((ivit_type)type);
}

/* 32 columns of a row as results, before the clamp of their type. */
INLINE void finish_row_of(const finished *f, int32_t row, size_t cols, const requantize_operands *k, __m512i v[2],
                          const int type, const requantize_path path, const input_kind kind, const int whole) {
  const panel *w = f->constants;
  UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
    __m512i s = _mm512_loadu_si512(f->sums + PANEL_COLS * row + 16 * j);
    if (kind == SPLIT_CODES) {
      const __m512i low = _mm512_loadu_si512(f->sums + PANEL_COLS * (AMX_ROWS + row) + 16 * j);
      s = _mm512_add_epi32(_mm512_slli_epi32(s, 8), _mm512_add_epi32(low, _mm512_loadu_si512(w->bias + 16 * j)));
    }
    if (kind == SCALED_CODES) {
      const row_factor *x = f->factor + row;
      s = _mm512_add_epi32(_mm512_mullo_epi32(s, _mm512_set1_epi32(x->mantissa)), _mm512_set1_epi32(x->half));
      s = _mm512_srav_epi32(s, _mm512_set1_epi32((int32_t)x->shift));
      s = _mm512_add_epi32(s, _mm512_loadu_si512(w->bias + 16 * j));
    }
    s = requantize(path, s, _mm512_loadu_si512(w->multiplier + 16 * j), w->multiplier_odd + 16 * j, k);
    if (type == WITH_RESIDUAL) {
      const int32_t *old = f->residual + (size_t)row * cols + 16 * j;
      s = _mm512_add_epi32(clamp_i32(s, IVIT_WIDE_LIMIT),
                           whole ? _mm512_loadu_si512(old)
                                 : _mm512_maskz_loadu_epi32(first16(f->cols - 16 * j), old));
    }
    v[j] = s;
  }
}

/* Rows in pairs, whole panels. */
INLINE void finish_pairs(const job *k, finished *f, int32_t pairs, const int type, const requantize_path path,
                         const input_kind kind) {
  const requantize_operands r = k->requantize;
  const size_t cols = (size_t)k->a->op->cols, row_bytes = cols * size_of_result(type);
  for (; pairs > 0; pairs--) {
    __m512i v[4];
    finish_row_of(f, 0, cols, &r, v, type, path, kind, 1);
    finish_row_of(f, 1, cols, &r, v + 2, type, path, kind, 1);
    int8_t *to = f->out;
    if (type == IVIT_U8 || type == IVIT_I8) {
      const __m512i codes = type == IVIT_U8 ? pack_u8(v, k->zero) : pack_i8(v);
      _mm256_storeu_si256((__m256i *)to, _mm512_castsi512_si256(codes));
      _mm256_storeu_si256((__m256i *)(to + row_bytes), _mm512_extracti64x4_epi64(codes, 1));
    } else {
      UNROLL_VECTORS for (int i = 0; i < 2; i++, to += row_bytes) {
        if (type == IVIT_I16) {
          _mm512_storeu_si512(to, _mm512_max_epi16(pack_words(v[2 * i], v[2 * i + 1]), _mm512_set1_epi16(-32767)));
          continue;
        }
        const int32_t limit = type == IVIT_ROWS ? IVIT_ROW_LIMIT : IVIT_WIDE_LIMIT;
        _mm512_storeu_si512(to, clamp_i32(v[2 * i], limit));
        _mm512_storeu_si512(to + 64, clamp_i32(v[2 * i + 1], limit));
      }
    }
    f->sums += 2 * PANEL_COLS;
    if (kind == SCALED_CODES) f->factor += 2;
    if (type == WITH_RESIDUAL) f->residual += 2 * cols;
    f->out += 2 * row_bytes;
  }
}

/* Rows one by one, of any columns. */
INLINE void finish_rows(const job *k, finished *f, int32_t rows, const int type, const requantize_path path,
                        const input_kind kind) {
  const requantize_operands r = k->requantize;
  const size_t cols = (size_t)k->a->op->cols;
  for (; rows > 0; rows--) {
    __m512i v[TILE_VECTORS] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512()};
    finish_row_of(f, 0, cols, &r, v, type, path, kind, 0);
    store_values(type == WITH_RESIDUAL ? IVIT_I32 : (ivit_type)type, v, k->zero, f->out, ivit_min(f->cols, PANEL_COLS));
    f->sums += PANEL_COLS;
    if (kind == SCALED_CODES) f->factor++;
    if (type == WITH_RESIDUAL) f->residual += cols;
    f->out += cols * size_of_result(type);
  }
}

/*
 * All panels for rows r0 to r1, `group` rows at a time: the tiles have their shape. `before`: what is to be finished
 * meanwhile; then this job's last sums.
 */
INLINE void run_tiles(const job *k, int32_t r0, int32_t r1, int32_t group, int32_t (*buffers)[BUFFER_SUMS],
                      finished *before, const int type, const requantize_path path, const input_kind kind) {
  const arguments *a = k->a;
  const linear_header *h = a->op->packed;
  const int32_t steps = h->groups / GROUP_STEP;
  const size_t lower_at = kind == SPLIT_CODES ? split_half(a->op) : AMX_ROWS * a->x_stride;
  const int has_lower = kind == SPLIT_CODES || group > AMX_ROWS;
  /* Weights to be fetched into the cache: those of the next panel, or layer. */
  const size_t all_steps = (size_t)((r1 - r0 + group - 1) / group) * (size_t)steps;
  const size_t panel_bytes = weights_size(h->groups), lines = (panel_bytes / 64 + all_steps - 1) / all_steps;
  int32_t(*buffer)[BUFFER_SUMS] = buffers;
  for (int32_t n = a->n0; n < a->n1; n += PANEL_COLS) {
    const panel *constants = panel_at(h, n);
    const int8_t *first = weights_at(h, n), *ahead = first + panel_bytes;
    if (n + PANEL_COLS >= a->n1 && a->op->next) ahead = ((const linear_header *)a->op->next)->weight;
    for (int32_t r = r0; r < r1; r += group) {
      const uint8_t *x = a->x + (size_t)r * a->x_stride;
      const int8_t *weights = first;
      TILE_LOAD("0", constants->start, 0);
      TILE_LOAD("1", constants->start + AMX_SUMS, 0);
      if (has_lower) {
        TILE_LOAD("2", constants->start, 0);
        TILE_LOAD("3", constants->start + AMX_SUMS, 0);
      }
      /* In pairs of rows or one by one, shared out evenly among the steps. */
      const int in_pairs = before->rows % 2 == 0 && before->cols >= PANEL_COLS;
      const int32_t pieces = in_pairs ? before->rows / 2 : before->rows;
      int32_t due = 0;
      for (int32_t s = 0; s < steps; s++, x += AMX_BYTES, weights += 2 * AMX_ROWS * AMX_BYTES) {
        TILE_LOAD("6", weights, 2 * AMX_BYTES);
        TILE_LOAD("4", x, a->x_stride);
        TILE_DOT("0", "4", "6");
        TILE_LOAD("7", weights + AMX_BYTES, 2 * AMX_BYTES);
        TILE_DOT("1", "4", "7");
        if (has_lower) {
          TILE_LOAD("5", x + lower_at, a->x_stride);
          TILE_DOT("2", "5", "6");
          TILE_DOT("3", "5", "7");
        }
        for (size_t i = 0; i < lines; i++, ahead += 64) _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        int32_t now = 0;
        for (due += pieces; due >= steps; due -= steps) now++;
        if (in_pairs)
          finish_pairs(k, before, now, type, path, kind);
        else
          finish_rows(k, before, now, type, path, kind);
      }
      int32_t *to = *buffer;
      TILE_STORE("0", to, PANEL_COLS * sizeof *to);
      TILE_STORE("1", to + AMX_SUMS, PANEL_COLS * sizeof *to);
      if (has_lower) {
        TILE_STORE("2", to + AMX_ROWS * PANEL_COLS, PANEL_COLS * sizeof *to);
        TILE_STORE("3", to + AMX_ROWS * PANEL_COLS + AMX_SUMS, PANEL_COLS * sizeof *to);
      }
      const size_t at = (size_t)r * (size_t)a->op->cols + (size_t)n;
      *before = (finished){.sums = to,
                           .constants = constants,
                           .factor = k->factors + r,
                           .residual = a->residual + (type == WITH_RESIDUAL ? at : 0),
                           .out = (int8_t *)a->out + at * size_of_result(type),
                           .rows = ivit_min(group, r1 - r),
                           .cols = a->n1 - n};
      buffer = buffer == buffers ? buffers + 1 : buffers;
    }
  }
}

INLINE void run_job(const job *k, const int type, const requantize_path path, const input_kind kind) {
  __attribute__((aligned(64))) int32_t buffers[2][BUFFER_SUMS];
  const int32_t rows = k->a->rows, most = kind == SPLIT_CODES ? AMX_ROWS : 2 * AMX_ROWS;
  const int32_t whole = rows - rows % most, rest = rows - whole;
  finished before = {.rows = 0};
  if (whole > 0) {
    shape_tiles(AMX_ROWS, AMX_ROWS);
    run_tiles(k, 0, whole, most, buffers, &before, type, path, kind);
  }
  if (rest > 0) {
    const int32_t upper = ivit_min(rest, AMX_ROWS);
    shape_tiles(upper, kind == SPLIT_CODES ? upper : rest - upper);
    run_tiles(k, whole, rows, rest, buffers, &before, type, path, kind);
  }
  release_tiles();
  finish_rows(k, &before, before.rows, type, path, kind);
}

typedef void job_function(const job *k);
#define JOB(name, type, path, kind) \
  __attribute__((noinline)) static void name(const job *k) { run_job(k, type, path, kind); }
#define JOBS_OF(name, type, kind)         \
  JOB(name##_narrow, type, NARROW, kind)  \
  JOB(name##_high, type, HIGH, kind)      \
  JOB(name##_lifted, type, LIFTED, kind)
#define JOBS(name, type)                        \
  JOBS_OF(name##_codes, type, CODES)            \
  JOBS_OF(name##_scaled, type, SCALED_CODES)    \
  JOBS_OF(name##_split, type, SPLIT_CODES)
JOBS(to_u8, IVIT_U8)
JOBS(to_i8, IVIT_I8)
JOBS(to_i16, IVIT_I16)
JOBS(to_i32, IVIT_I32)
JOBS(to_rows, IVIT_ROWS)
JOBS(to_sum, WITH_RESIDUAL)
#define JOB_NAMES_OF(name) {name##_narrow, name##_high, name##_lifted}
#define JOB_NAMES(name) {JOB_NAMES_OF(name##_codes), JOB_NAMES_OF(name##_scaled), JOB_NAMES_OF(name##_split)}
static job_function *const jobs[WITH_RESIDUAL + 1][3][3] = {
    [IVIT_U8] = JOB_NAMES(to_u8),   [IVIT_I8] = JOB_NAMES(to_i8),     [IVIT_I16] = JOB_NAMES(to_i16),
    [IVIT_I32] = JOB_NAMES(to_i32), [IVIT_ROWS] = JOB_NAMES(to_rows), [WITH_RESIDUAL] = JOB_NAMES(to_sum),
};

static void multiply_block(const arguments *a) {
  const ivit_linear *op = a->op;
  const linear_header *h = op->packed;
  if (a->rows == 1) { /* of whose tiles 15 rows would be empty */
    multiply_tiles(a);
    return;
  }
  const input_kind kind = op->x_type == IVIT_I16 ? SPLIT_CODES : op->x_type == IVIT_ROWS ? SCALED_CODES : CODES;
  row_factor factors[JOB_ROWS];
  for (int32_t r = 0; r < a->rows; r += JOB_ROWS) {
    const arguments part = rows_of(a, r, ivit_min(r + JOB_ROWS, a->rows));
    for (int32_t i = 0; kind == SCALED_CODES && i < part.rows; i++) factors[i] = factor_of(op, part.x_scale[i]);
    const job k = {&part, factors, operands_of(&h->plan), _mm512_set1_epi16((int16_t)op->out.zero)};
    jobs[a->residual ? WITH_RESIDUAL : op->out.type][kind][h->plan.path](&k);
  }
}

/*
 * Tiles take 64 inputs at a time, be they zeros: layers that would have more than a half of zeros added are packed for
 * AVX-512. What is packed for tiles it can multiply as well, and does where there is less work than the tiles take to
 * be shaped: about a tenth of a microsecond. native/test/compare.mjs compiles it for any work, too.
 */
#ifndef AMX_LEAST_WORK
#define AMX_LEAST_WORK (1 << 16)
#endif
static int has_tiles(const ivit_linear *op) {
  return 2 * round_up((size_t)op->in_features, AMX_BYTES) <= 3 * (size_t)op->in_features;
}

size_t ivit_amx_linear_pack_size(const ivit_linear *op) {
  return has_tiles(op) ? linear_pack_size(op) : ivit_avx512_linear_pack_size(op);
}

void ivit_amx_linear_pack(const ivit_linear *op, void *packed) {
  if (has_tiles(op))
    pack_panels(op, packed);
  else
    ivit_avx512_linear_pack(op, packed);
}

size_t ivit_amx_linear_scratch(const ivit_linear *op) {
  return has_tiles(op) ? split_scratch(op) : ivit_avx512_linear_scratch(op);
}

void ivit_amx_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                     const int32_t *residual, void *out, void *scratch) {
  const int64_t work = (int64_t)rows * (n1 - n0) * op->in_features * (op->x_type == IVIT_I16 ? 2 : 1);
  if (has_tiles(op) && rows > 1 && work >= AMX_LEAST_WORK)
    multiply_all(op, rows, n0, n1, x, x_scale, residual, out, scratch);
  else
    ivit_avx512_linear(op, rows, n0, n1, x, x_scale, residual, out, scratch);
}

/* Four sums in turns, as in a layer. */
int64_t ivit_amx_multiply_in_registers(int32_t rounds) {
  shape_tiles(AMX_ROWS, AMX_ROWS);
  for (int32_t r = 0; r < rounds; r++) {
    TILE_DOT("0", "4", "6");
    TILE_DOT("1", "4", "7");
    TILE_DOT("2", "5", "6");
    TILE_DOT("3", "5", "7");
  }
  release_tiles();
  return (int64_t)rounds * 4 * AMX_ROWS * AMX_SUMS * AMX_BYTES;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
