/* Primitives that work row by row: norm, activation, rescale, row quantization, residual add. */
#include "avx512_output.h"

/* Constants of 32 channels, in the order that unpacking 16-bit lanes to 32 bits gives. */
typedef struct {
  __m512i b[2], offset[2];
} word_channels;
typedef struct {
  word_channels high; /* of b; of the offset, with 2^(c-1) */
  __m512i b[2], offset[2];
} split_channels;

size_t ivit_avx512_output_pack_size(int32_t cols) {
  return sizeof(output_header) + round_up((size_t)cols, 64) / 16 * sizeof(wide_channels);
}

/* A bound of |v*b + 2^(c-1) + offset| for 16-bit v; 2^31 where b has more than 16 bits, or there is none. */
static int64_t bound_words(const ivit_output *out, int32_t cols) {
  const int64_t none = (int64_t)1 << 31;
  int64_t most = 0;
  if (out->shift < 1 || out->shift > 31) return none;
  for (int32_t n = 0; n < cols; n++) {
    int64_t b = ivit_abs(out->multiplier[n]), offset = out->offset ? out->offset[n] : 0;
    if (b > 32767 || offset > INT32_MAX || offset < -INT32_MAX) return none;
    int64_t bound = 32767 * b + ivit_half(out->shift) + (offset < 0 ? -offset : offset);
    most = bound > most ? bound : most;
  }
  return most < none ? most : none;
}

/* 32 numbers in the order of unpacking. */
static void order_unpacked(const int32_t v[32], __m512i to[2]) {
  __m512i a = _mm512_loadu_si512(v), b = _mm512_loadu_si512(v + 16);
  to[0] = _mm512_shuffle_i32x4(a, b, 0x88);
  to[1] = _mm512_shuffle_i32x4(a, b, 0xdd);
}

static void pack_words_channels(const ivit_output *out, int32_t cols, word_channels *channels) {
  for (int32_t n = 0; n < (int32_t)round_up((size_t)cols, 64); n += 32, channels++) {
    int32_t offset[32];
    for (int32_t i = 0; i < 32; i++)
      offset[i] = (int32_t)(ivit_half(out->shift) + (out->offset ? out->offset[n + i] : 0));
    order_unpacked(out->multiplier + n, channels->b);
    order_unpacked(offset, channels->offset);
  }
}

/* The high half of b, whose low half is signed. */
static int64_t high_half(int32_t b) { return ((int64_t)b + 32768) >> 16; }

/* A bound of what is shifted last; 2^31 where SPLIT is not for this. */
static int64_t bound_split(const ivit_output *out, int32_t cols) {
  const int64_t none = (int64_t)1 << 31;
  int64_t most = 0;
  if (out->shift < 17 || out->shift > 47) return none;
  for (int32_t n = 0; n < cols; n++) {
    int64_t high = high_half(out->multiplier[n]), offset = out->offset ? out->offset[n] : 0;
    if (high > 32767) return none;
    int64_t far = ((offset < 0 ? -offset : offset) + ivit_half(out->shift)) >> 16;
    int64_t bound = 32767 * (high < 0 ? -high : high) + far + 32768;
    most = bound > most ? bound : most;
  }
  return most < none ? most : none;
}

static void pack_split_channels(const ivit_output *out, int32_t cols, split_channels *channels) {
  for (int32_t n = 0; n < (int32_t)round_up((size_t)cols, 64); n += 32, channels++) {
    int32_t b[32], high[32], low[32];
    for (int32_t i = 0; i < 32; i++) {
      int64_t offset = ivit_half(out->shift) + (out->offset ? out->offset[n + i] : 0);
      b[i] = (int32_t)high_half(out->multiplier[n + i]);
      high[i] = (int32_t)(offset >> 16);
      low[i] = (int32_t)(offset & 65535);
    }
    order_unpacked(b, channels->high.b);
    order_unpacked(high, channels->high.offset);
    order_unpacked(out->multiplier + n, channels->b);
    order_unpacked(low, channels->offset);
  }
}

/* Every second of 16 offsets, 2^(c-1) added; then times 2^scale. */
static __m512i pick_offsets(const int64_t *offset, int first, int64_t half, int32_t scale) {
  __m512i picked = _mm512_setzero_si512();
  if (offset) {
    const __m512i index = _mm512_add_epi64(_mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), _mm512_set1_epi64(first));
    picked = _mm512_permutex2var_epi64(_mm512_loadu_si512(offset), index, _mm512_loadu_si512(offset + 8));
  }
  return _mm512_sll_epi64(_mm512_add_epi64(picked, _mm512_set1_epi64(half)), _mm_cvtsi32_si128(scale));
}

static void pack_wide_channels(const ivit_output *out, int32_t cols, int32_t scale, wide_channels *channels) {
  for (int32_t n = 0; n < (int32_t)round_up((size_t)cols, 64); n += 16, channels++) {
    channels->b = _mm512_sll_epi32(_mm512_loadu_si512(out->multiplier + n), _mm_cvtsi32_si128(scale));
    channels->b_odd = odd(channels->b);
    const int64_t *offset = out->offset ? out->offset + n : NULL;
    channels->offset = pick_offsets(offset, 0, ivit_half(out->shift), scale);
    channels->offset_odd = pick_offsets(offset, 1, ivit_half(out->shift), scale);
  }
}

void ivit_avx512_output_pack(const ivit_output *out, int32_t cols, int64_t limit, void *packed) {
  output_header *h = packed;
  *h = (output_header){.path = OUTPUT_WIDE, .shift = out->shift, .lo = out->lo, .hi = out->hi};
  int64_t words = bound_words(out, cols), split = bound_split(out, cols);
  int has_words = out->type == IVIT_U8 || out->type == IVIT_I16 || out->type == IVIT_ROWS;
  if (limit == IVIT_ACTIVATION_LIMIT && has_words && words < (int64_t)1 << 31) {
    h->path = OUTPUT_WORDS;
    h->bounded = words >> out->shift <= IVIT_ROW_LIMIT;
    pack_words_channels(out, cols, (word_channels *)(h + 1));
    return;
  }
  if (limit == IVIT_ACTIVATION_LIMIT && has_words && split < (int64_t)1 << 31) {
    h->path = OUTPUT_SPLIT;
    h->shift = out->shift - 16;
    h->bounded = split >> h->shift <= IVIT_ROW_LIMIT;
    pack_split_channels(out, cols, (split_channels *)(h + 1));
    return;
  }
  int32_t scale = ivit_max(0, 32 - out->shift);
  int64_t largest = largest_multiplier(out->multiplier, cols), farthest = 0;
  for (int32_t n = 0; out->offset && n < cols; n++) {
    int64_t o = out->offset[n];
    farthest = o > farthest ? o : -o > farthest ? -o : farthest;
  }
  /* Product and offset stay below 2^62 each, their sum below 2^63. */
  const int64_t most = ((int64_t)1 << 62) >> scale;
  if (largest < ((int64_t)1 << 31) >> scale && farthest < most - ivit_half(out->shift) && limit * largest < most) {
    h->path = OUTPUT_HIGH;
    h->shift = out->shift + scale - 32;
  } else {
    scale = 0;
  }
  pack_wide_channels(out, cols, scale, (wide_channels *)(h + 1));
}

void ivit_avx512_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale) {
  for (int32_t r = 0; r < rows; r++, u += cols, codes += cols) {
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 16) {
      __m512i v = _mm512_maskz_loadu_epi32(first16(cols - n), u + n);
      most = _mm512_max_epi32(most, _mm512_abs_epi32(v));
    }
    scale[r] = ivit_row_scale(row_maximum(most));
    if (cols % 64 == 0) {
      quantize_row(u, cols, scale[r], codes, 0);
      continue;
    }
    int32_t whole = cols & ~63;
    quantize_row(u, whole, scale[r], codes, 0);
    int32_t rest[64] = {0};
    memcpy(rest, u + whole, (size_t)(cols - whole) * sizeof *u);
    quantize_row(rest, cols - whole, scale[r], codes + whole, 0);
  }
}

/* --- layer norm --- */

enum { NORM_ROWS = 8 };

typedef struct {
  int32_t mean, f, t;
} norm_factor;

INLINE void sum_row(const int32_t *x, int32_t cols, int64_t *sum, uint64_t *squares) {
  __m512i s = _mm512_setzero_si512(), q0 = s, q1 = s;
  for (int32_t n = 0; n < cols;) {
    /* 64 additions of 24-bit numbers fit 32 bits. */
    int32_t end = ivit_min(cols, n + 1024);
    __m512i part = _mm512_setzero_si512();
    for (; n < end; n += 16) {
      __m512i v = n + 16 <= end ? _mm512_loadu_si512(x + n) : _mm512_maskz_loadu_epi32(first16(end - n), x + n);
      __m512i v_odd = odd(v);
      part = _mm512_add_epi32(part, v);
      q0 = _mm512_add_epi64(q0, _mm512_mul_epi32(v, v));
      q1 = _mm512_add_epi64(q1, _mm512_mul_epi32(v_odd, v_odd));
    }
    s = _mm512_add_epi64(s, _mm512_srai_epi64(_mm512_slli_epi64(part, 32), 32));
    s = _mm512_add_epi64(s, _mm512_srai_epi64(part, 32));
  }
  *sum = _mm512_reduce_add_epi64(s);
  *squares = (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(q0, q1));
}

/* y-hat, requantized, of 64 columns. */
INLINE void normalize(const int32_t *x, int32_t count, const norm_factor *k, const wide_channels *channels,
                      const output_header *h, const output_path path, __m512i v[4]) {
  const __m512i mean = _mm512_set1_epi32(k->mean), f = _mm512_set1_epi32(k->f);
  const __m512i t = _mm512_set1_epi64(k->t);
  UNROLL_VECTORS for (int j = 0; j < 4; j++) {
    if (16 * j >= count) {
      v[j] = _mm512_setzero_si512();
      continue;
    }
    __m512i y =
        count >= 64 ? _mm512_loadu_si512(x + 16 * j) : _mm512_maskz_loadu_epi32(first16(count - 16 * j), x + 16 * j);
    y = _mm512_sub_epi32(y, mean);
    __m512i even = _mm512_srav_epi64(_mm512_mul_epi32(y, f), t);
    __m512i others = _mm512_srav_epi64(_mm512_mul_epi32(odd(y), f), t);
    v[j] = requantize_wide(path, even, others, channels + j, h);
  }
}

/* A row's y-hat, requantized; where the output is IVIT_ROWS its u-hat, to `u`. Returns the largest |u-hat|, 16 lanes.
 */
INLINE __m512i normalize_row(const ivit_layer_norm *op, const int32_t *x, const norm_factor *k, void *out, int32_t *u,
                             const output_path path, const ivit_type type) {
  const output_header *h = op->out.packed;
  const wide_channels *channels = (const wide_channels *)(h + 1);
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  const size_t size = type == IVIT_I32 ? 4 : type == IVIT_I16 ? 2 : 1;
  __m512i most = _mm512_setzero_si512();
  for (int32_t n = 0; n < op->cols; n += 64) {
    __m512i v[4];
    int32_t count = op->cols - n;
    normalize(x + n, count, k, channels + n / 16, h, path, v);
    if (type != IVIT_ROWS) {
      store_values(type, v, zero, (int8_t *)out + (size_t)n * size, count);
      continue;
    }
    UNROLL_VECTORS for (int j = 0; j < 4; j++) {
      v[j] = clamp_i32(_mm512_maskz_mov_epi32(first16(count - 16 * j), v[j]), IVIT_ROW_LIMIT);
      most = _mm512_max_epi32(most, _mm512_abs_epi32(v[j]));
      _mm512_storeu_si512(u + n + 16 * j, v[j]);
    }
  }
  return most;
}

/*
 * The factors of several rows are found together, as each waits long for its divisions. Codes of a row wait for its
 * maximum: the next row's values come in between.
 */
INLINE void norm_rows(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale, int32_t *u,
                      const output_path path, const ivit_type type) {
  const size_t cols = (size_t)op->cols, size = type == IVIT_I32 ? 4 : type == IVIT_I16 ? 2 : 1;
  const size_t stride = round_up(cols, 64);
  for (int32_t r0 = 0; r0 < rows; r0 += NORM_ROWS) {
    int32_t live = ivit_min(rows - r0, NORM_ROWS);
    int64_t sums[NORM_ROWS];
    uint64_t squares[NORM_ROWS];
    norm_factor factors[NORM_ROWS];
    for (int32_t i = 0; i < live; i++) sum_row(x + (size_t)(r0 + i) * cols, op->cols, &sums[i], &squares[i]);
    for (int32_t i = 0; i < live; i++) {
      ivit_norm_factor(sums[i], squares[i], op->cols, op->center, op->epsilon, &factors[i].mean, &factors[i].f,
                       &factors[i].t);
    }
    for (int32_t i = 0; i <= live; i++) {
      int32_t r = r0 + i;
      if (i < live) {
        size_t at = (size_t)r * cols;
        __m512i most =
            normalize_row(op, x + at, &factors[i], (int8_t *)out + at * size, u + (size_t)(i & 1) * stride, path, type);
        if (type == IVIT_ROWS) scale[r] = ivit_row_scale(row_maximum(most));
      }
      if (type == IVIT_ROWS && i > 0) {
        const int32_t *before = u + (size_t)((i - 1) & 1) * stride;
        quantize_row(before, op->cols, scale[r - 1], (uint8_t *)out + (size_t)(r - 1) * cols, 0);
      }
    }
  }
}

void ivit_avx512_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                            void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == OUTPUT_WIDE)
    norm_rows(op, rows, x, out, scale, scratch, OUTPUT_WIDE, op->out.type);
  else if (op->out.type == IVIT_U8)
    norm_rows(op, rows, x, out, scale, scratch, OUTPUT_HIGH, IVIT_U8);
  else if (op->out.type == IVIT_ROWS)
    norm_rows(op, rows, x, out, scale, scratch, OUTPUT_HIGH, IVIT_ROWS);
  else
    norm_rows(op, rows, x, out, scale, scratch, OUTPUT_HIGH, op->out.type);
}

/* --- rescale --- */

/* `v` and `u` may be the same row. */
static void rescale_row(const ivit_output *out, const int32_t *v, int32_t cols, int32_t *u, void *to, int32_t *scale) {
  __m512i most = _mm512_setzero_si512();
  for (int32_t n = 0; n < cols; n += 64) {
    __m512i r[4];
    UNROLL_VECTORS for (int j = 0; j < 4; j++) {
      __m512i a = _mm512_maskz_loadu_epi32(first16(cols - n - 16 * j), v + n + 16 * j);
      r[j] = requantize_channels(out->packed, n + 16 * j, a);
    }
    most = write_values(out, r, n, cols, u, to, most);
  }
  finish_row(out, cols, u, to, scale, most);
}

void ivit_avx512_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch) {
  size_t size = op->out.type == IVIT_I32 ? 4 : op->out.type == IVIT_I16 ? 2 : 1;
  for (int32_t r = 0; r < rows; r++) {
    size_t at = (size_t)r * (size_t)op->cols;
    rescale_row(&op->out, x + at, op->cols, scratch, (int8_t *)out + at * size, scale ? scale + r : NULL);
  }
}

/* --- activation --- */

/*
 * y of 32 values. H(|x|) comes from two tables of 64 words held in four registers. 0 <= knots[i] <= i*2^spacing, which
 * keeps y and every step between knots within 16 bits.
 */
typedef struct {
  __m512i base[2], step[2];
  __m512i spacing, fraction; /* a >> spacing; (a << fraction) >> 1 is the rest in Q15 */
  __mmask32 narrow;          /* all lanes where |x| always falls into the table */
} hump_table;

static int hump_fits(const ivit_activation *op) {
  for (int32_t i = 0; i < IVIT_KNOTS; i++) {
    if (op->knots[i] < 0 || op->knots[i] > ((int64_t)i << op->spacing)) return 0;
  }
  return 1;
}

static hump_table load_hump(const ivit_activation *op) {
  hump_table t;
  for (int i = 0; i < 2; i++) {
    t.base[i] = _mm512_loadu_si512(op->knots + 32 * i);
    t.step[i] = _mm512_sub_epi16(_mm512_loadu_si512(op->knots + 32 * i + 1), t.base[i]);
  }
  t.spacing = _mm512_set1_epi16((int16_t)op->spacing);
  t.fraction = _mm512_set1_epi16((int16_t)(16 - op->spacing));
  t.narrow = op->spacing >= 9 ? ~(__mmask32)0 : 0;
  return t;
}

INLINE __m512i activate(__m512i x, const hump_table *t) {
  __m512i a = _mm512_abs_epi16(x);
  __m512i i = _mm512_srlv_epi16(a, t->spacing);
  __m512i rest = _mm512_srli_epi16(_mm512_sllv_epi16(a, t->fraction), 1);
  __m512i base = _mm512_permutex2var_epi16(t->base[0], i, t->base[1]);
  __m512i step = _mm512_permutex2var_epi16(t->step[0], i, t->step[1]);
  __m512i hump = _mm512_add_epi16(base, _mm512_mulhrs_epi16(step, rest));
  if (!t->narrow) hump = _mm512_maskz_mov_epi16(_mm512_cmplt_epu16_mask(i, _mm512_set1_epi16(IVIT_KNOTS)), hump);
  return _mm512_sub_epi16(_mm512_max_epi16(x, _mm512_setzero_si512()), hump);
}

/* The two halves of 32 words, requantized: words times the low words of b, offset added. `channels`: theirs. */
INLINE void requantize_words(__m512i y, const void *channels, __m512i shift, const output_path path, __m512i r[2]) {
  const __m512i none = _mm512_setzero_si512();
  const __m512i v[2] = {_mm512_unpacklo_epi16(y, none), _mm512_unpackhi_epi16(y, none)};
  const word_channels *c = channels;
  UNROLL_VECTORS for (int i = 0; i < 2; i++) {
    __m512i offset = c->offset[i];
    if (path == OUTPUT_SPLIT) {
      const split_channels *split = channels;
      __m512i low = _mm512_dpwssd_epi32(split->offset[i], v[i], split->b[i]);
      offset = _mm512_add_epi32(_mm512_srai_epi32(low, 16), offset);
    }
    r[i] = _mm512_srav_epi32(_mm512_dpwssd_epi32(offset, v[i], c->b[i]), shift);
  }
}

/* 64 results of an activation's row, as pairs of unpacked halves, to words or bytes; the first `count`. */
INLINE void store_unpacked(const ivit_type type, const __m512i part[2][2], __m512i zero, void *out, int32_t count) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), least = _mm512_set1_epi16(-32767);
  __m512i words[2];
  UNROLL_VECTORS for (int j = 0; j < 2; j++) words[j] = _mm512_packs_epi32(part[j][0], part[j][1]);
  if (type == IVIT_I16) {
    UNROLL_VECTORS for (int j = 0; j < 2; j++) {
      words[j] = _mm512_max_epi16(words[j], least);
      if (count >= 64)
        _mm512_storeu_si512((int16_t *)out + 32 * j, words[j]);
      else
        _mm512_mask_storeu_epi16((int16_t *)out + 32 * j, first32(count - 32 * j), words[j]);
    }
    return;
  }
  UNROLL_VECTORS for (int j = 0; j < 2; j++) words[j] = _mm512_adds_epi16(words[j], zero);
  __m512i codes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(words[0], words[1]));
  if (count >= 64)
    _mm512_storeu_si512(out, codes);
  else
    _mm512_mask_storeu_epi8(out, first64(count), codes);
}

/* A row; where the output is IVIT_ROWS its u-hat, to `u`. Returns the largest |u-hat|, 16 lanes. */
INLINE __m512i activation_row(const ivit_activation *op, const hump_table *table, const int16_t *x, void *out,
                              int32_t *u, const ivit_type type, const output_path path) {
  const output_header *h = op->out.packed;
  const size_t step = path == OUTPUT_SPLIT ? sizeof(split_channels) : sizeof(word_channels);
  const int8_t *channels = (const int8_t *)(h + 1);
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  const __m512i shift = _mm512_set1_epi32(path == OUTPUT_SPLIT ? h->shift : op->out.shift);
  const size_t size = type == IVIT_I16 ? 2 : 1;
  int32_t cols = op->cols;
  __m512i most = _mm512_setzero_si512();
  for (int32_t n = 0; n < cols; n += 64, channels += 2 * step) {
    __m512i part[2][2];
    UNROLL_VECTORS for (int j = 0; j < 2; j++) {
      __m512i v = cols - n >= 64 ? _mm512_loadu_si512(x + n + 32 * j)
                                 : _mm512_maskz_loadu_epi16(first32(cols - n - 32 * j), x + n + 32 * j);
      requantize_words(activate(v, table), channels + (size_t)j * step, shift, path, part[j]);
      if (type != IVIT_ROWS) continue;
      if (!h->bounded) UNROLL_VECTORS for (int i = 0; i < 2; i++) part[j][i] = clamp_i32(part[j][i], IVIT_ROW_LIMIT);
      most = _mm512_max_epi32(most, _mm512_max_epi32(_mm512_abs_epi32(part[j][0]), _mm512_abs_epi32(part[j][1])));
      _mm512_storeu_si512(u + n + 32 * j, part[j][0]);
      _mm512_storeu_si512(u + n + 32 * j + 16, part[j][1]);
    }
    if (type != IVIT_ROWS) store_unpacked(type, part, zero, (uint8_t *)out + (size_t)n * size, cols - n);
  }
  return most;
}

/* A row's codes wait for its maximum: the next row comes in between. */
INLINE void activation_rows(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                            int32_t *u, const ivit_type type, const output_path path) {
  const hump_table table = load_hump(op);
  const size_t cols = (size_t)op->cols, stride = round_up(cols, 64), size = type == IVIT_I16 ? 2 : 1;
  for (int32_t r = 0; r <= rows; r++) {
    if (r < rows) {
      size_t at = (size_t)r * cols;
      __m512i most =
          activation_row(op, &table, x + at, (uint8_t *)out + at * size, u + (size_t)(r & 1) * stride, type, path);
      if (type == IVIT_ROWS) scale[r] = ivit_row_scale(row_maximum(most));
    }
    if (type == IVIT_ROWS && r > 0) {
      quantize_row(u + (size_t)((r - 1) & 1) * stride, op->cols, scale[r - 1], (uint8_t *)out + (size_t)(r - 1) * cols,
                   1);
    }
  }
}

INLINE void activation_rows_of(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                               int32_t *u, const output_path path) {
  if (op->out.type == IVIT_U8)
    activation_rows(op, rows, x, out, scale, u, IVIT_U8, path);
  else if (op->out.type == IVIT_I16)
    activation_rows(op, rows, x, out, scale, u, IVIT_I16, path);
  else
    activation_rows(op, rows, x, out, scale, u, IVIT_ROWS, path);
}

/* Any multiplier, any output. */
static void activation_rows_wide(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                                 int32_t *u) {
  const hump_table table = load_hump(op);
  int32_t cols = op->cols;
  size_t size = op->out.type == IVIT_I32 ? 4 : op->out.type == IVIT_I16 ? 2 : 1;
  for (int32_t r = 0; r < rows; r++, x += cols) {
    for (int32_t n = 0; n < cols; n += 32) {
      __m512i y = activate(_mm512_maskz_loadu_epi16(first32(cols - n), x + n), &table);
      _mm512_storeu_si512(u + n, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(y)));
      _mm512_storeu_si512(u + n + 16, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(y, 1)));
    }
    rescale_row(&op->out, u, cols, u, (int8_t *)out + (size_t)r * (size_t)cols * size, scale ? scale + r : NULL);
  }
}

void ivit_avx512_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                            void *scratch) {
  const output_header *h = op->out.packed;
  if (!hump_fits(op))
    ivit_portable_activation(op, rows, x, out, scale, scratch);
  else if (h->path == OUTPUT_HIGH || h->path == OUTPUT_WIDE)
    activation_rows_wide(op, rows, x, out, scale, scratch);
  else if (h->path == OUTPUT_SPLIT)
    activation_rows_of(op, rows, x, out, scale, scratch, OUTPUT_SPLIT);
  else
    activation_rows_of(op, rows, x, out, scale, scratch, OUTPUT_WORDS);
}

void ivit_avx512_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out) {
  for (size_t i = 0; i < count; i += 16) {
    __mmask16 live = first16(count - i >= 16 ? 16 : (int32_t)(count - i));
    __m512i sum = _mm512_add_epi32(_mm512_maskz_loadu_epi32(live, a + i), _mm512_maskz_loadu_epi32(live, b + i));
    _mm512_mask_storeu_epi32(out + i, live, clamp_i32(sum, IVIT_WIDE_LIMIT));
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
