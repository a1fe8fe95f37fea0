/* Depthwise convolution: pairs of 16-bit products, the taps of two lines at a time. Weighted sums of rows. */
#include "../map_lines.h"
#include "avx512_output.h"

enum { MAP_CHANNELS = 32, MAP_LINES = 2, MAP_TILE = 8, MAP_STEP = MAP_CHANNELS * MAP_LINES };

/* Every 4 of 8 channels, as unpacking leaves them. */
typedef struct {
  __m512i low, high;
} map_sums;
typedef map_sums map_weights;

INLINE map_sums zero_sums(void) { return (map_sums){_mm512_setzero_si512(), _mm512_setzero_si512()}; }
INLINE void lay_lines(int16_t *to, const int16_t *a, const int16_t *b) {
  __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
  _mm512_storeu_si512(to, _mm512_unpacklo_epi16(x, y));
  _mm512_storeu_si512(to + 32, _mm512_unpackhi_epi16(x, y));
}
INLINE map_weights load_weights(const int16_t *w) {
  return (map_weights){_mm512_loadu_si512(w), _mm512_loadu_si512(w + 32)};
}
INLINE map_sums add_products(map_sums s, const int16_t *x, map_weights w) {
  return (map_sums){_mm512_dpwssd_epi32(s.low, w.low, _mm512_loadu_si512(x)),
                    _mm512_dpwssd_epi32(s.high, w.high, _mm512_loadu_si512(x + 32))};
}

INLINE int sums_fit(const ivit_depthwise *op) {
  (void)op;
  return 1;
}

/* The constants of 32 channels in the order of the sums. */
INLINE void order_channels(const wide_channels *c, wide_channels to[2]) {
  to[0].b = _mm512_shuffle_i32x4(c[0].b, c[1].b, 0x88);
  to[1].b = _mm512_shuffle_i32x4(c[0].b, c[1].b, 0xdd);
  to[0].b_odd = _mm512_shuffle_i32x4(c[0].b_odd, c[1].b_odd, 0x88);
  to[1].b_odd = _mm512_shuffle_i32x4(c[0].b_odd, c[1].b_odd, 0xdd);
  to[0].offset = _mm512_shuffle_i32x4(c[0].offset, c[1].offset, 0x88);
  to[1].offset = _mm512_shuffle_i32x4(c[0].offset, c[1].offset, 0xdd);
  to[0].offset_odd = _mm512_shuffle_i32x4(c[0].offset_odd, c[1].offset_odd, 0x88);
  to[1].offset_odd = _mm512_shuffle_i32x4(c[0].offset_odd, c[1].offset_odd, 0xdd);
}

/* 32 results, halves in the order of unpacking, which packing undoes; the first `count`. */
INLINE void store_halves(const ivit_type type, __m512i low, __m512i high, __m512i zero, void *out, int32_t count) {
  if (type == IVIT_I32 || type == IVIT_ROWS) {
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    const int32_t limit = type == IVIT_I32 ? IVIT_WIDE_LIMIT : IVIT_ROW_LIMIT;
    __m512i a = _mm512_permutex2var_epi32(low, first, high), b = _mm512_permutex2var_epi32(low, second, high);
    _mm512_mask_storeu_epi32(out, first16(count), clamp_i32(a, limit));
    _mm512_mask_storeu_epi32((int32_t *)out + 16, first16(count - 16), clamp_i32(b, limit));
    return;
  }
  const __mmask32 live = first32(count);
  __m512i words = _mm512_packs_epi32(low, high);
  if (type == IVIT_I16) {
    words = _mm512_max_epi16(words, _mm512_set1_epi16(-32767));
    if (count >= 32)
      _mm512_storeu_si512(out, words);
    else
      _mm512_mask_storeu_epi16(out, live, words);
    return;
  }
  __m256i bytes;
  if (type == IVIT_U8)
    bytes = _mm512_cvtusepi16_epi8(_mm512_max_epi16(_mm512_adds_epi16(words, zero), _mm512_setzero_si512()));
  else
    bytes = _mm256_max_epi8(_mm512_cvtsepi16_epi8(words), _mm256_set1_epi8(-127));
  if (count >= 32)
    _mm256_storeu_si256(out, bytes);
  else
    _mm256_mask_storeu_epi8(out, live, bytes);
}

INLINE void store_sums_as(const ivit_depthwise *op, int32_t n, const map_sums s[MAP_TILE], int8_t *out, size_t step,
                          int32_t live, const output_path path, const ivit_type type) {
  const output_header *h = op->out.packed;
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  wide_channels c[2];
  order_channels((const wide_channels *)(h + 1) + n / 16, c);
  _Pragma("GCC unroll 8") for (int i = 0; i < MAP_TILE; i++, out += step) {
    if (i >= live) break;
    __m512i low = requantize_wide(path, s[i].low, odd(s[i].low), &c[0], h);
    __m512i high = requantize_wide(path, s[i].high, odd(s[i].high), &c[1], h);
    store_halves(type, low, high, zero, out, op->map.channels - n);
  }
}

INLINE void store_sums(const ivit_depthwise *op, int32_t n, const map_sums s[MAP_TILE], int8_t *out, size_t step,
                       int32_t live) {
  const output_header *h = op->out.packed;
  if (h->path == OUTPUT_WIDE)
    store_sums_as(op, n, s, out, step, live, OUTPUT_WIDE, op->out.type);
  else if (op->out.type == IVIT_I16)
    store_sums_as(op, n, s, out, step, live, OUTPUT_HIGH, IVIT_I16);
  else if (op->out.type == IVIT_U8)
    store_sums_as(op, n, s, out, step, live, OUTPUT_HIGH, IVIT_U8);
  else
    store_sums_as(op, n, s, out, step, live, OUTPUT_HIGH, op->out.type);
}

/* --- three by three: sums slide along a line, its pixels are read once --- */

/* Taps of one column: those of the first two lines, laid side by side, and of the third. */
typedef struct {
  map_sums pair, single;
} map_column;

INLINE map_sums interleave(__m512i a, __m512i b) {
  return (map_sums){_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)};
}

/* The third line has not been seen before: it is asked for `ahead` columns early. */
INLINE map_column load_column(const map_line lines[3], int32_t width, int32_t column, int32_t ahead) {
  const int16_t *from[3];
  const int inside = column >= 0 && column < width;
  UNROLL_VECTORS for (int i = 0; i < 3; i++)
    from[i] = inside ? lines[i].first + (size_t)column * lines[i].stride : no_pixel;
  _mm_prefetch((const char *)from[2] + (size_t)ahead * lines[2].stride * sizeof(int16_t), _MM_HINT_T0);
  return (map_column){interleave(_mm512_loadu_si512(from[0]), _mm512_loadu_si512(from[1])),
                      interleave(_mm512_loadu_si512(from[2]), _mm512_setzero_si512())};
}

INLINE map_sums add_column(map_sums s, map_column x, map_column w) {
  s.low = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(s.low, x.pair.low, w.pair.low), x.single.low, w.single.low);
  s.high = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(s.high, x.pair.high, w.pair.high), x.single.high, w.single.high);
  return s;
}

/* Where the channels of a segment lie that are computed at a time, and which they are. */
typedef struct {
  map_line lines[3];
  int32_t n, left, count;
  int8_t *out;
  size_t step;
} slide;

INLINE void slide_along(const ivit_depthwise *op, const slide *at, const int16_t *weights, const int32_t stride,
                        const output_path path, const ivit_type type) {
  const output_header *h = op->out.packed;
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  const int32_t width = op->map.width, live = op->map.channels - at->n, ahead = at->count * stride;
  wide_channels c[2];
  map_column w[3];
  order_channels((const wide_channels *)(h + 1) + at->n / 16, c);
  UNROLL_VECTORS for (int kx = 0; kx < 3; kx++)
    w[kx] = (map_column){load_weights(weights + kx * MAP_STEP), load_weights(weights + (3 + kx) * MAP_STEP)};
  map_column x = load_column(at->lines, width, at->left, ahead);
  map_sums first = add_column(zero_sums(), x, w[0]), second = zero_sums();
  if (stride == 1) {
    x = load_column(at->lines, width, at->left + 1, ahead);
    second = first;
    second = add_column(second, x, w[1]);
    first = add_column(zero_sums(), x, w[0]);
  }
  int8_t *to = at->out;
  for (int32_t p = 0, column = at->left + (stride == 1 ? 2 : 1); p < at->count; p++, to += at->step) {
    if (stride == 2) second = add_column(first, load_column(at->lines, width, column++, ahead), w[1]);
    x = load_column(at->lines, width, column++, ahead);
    map_sums s = add_column(second, x, w[2]);
    if (stride == 1) second = add_column(first, x, w[1]);
    first = add_column(zero_sums(), x, w[0]);
    __m512i low = requantize_wide(path, s.low, odd(s.low), &c[0], h);
    __m512i high = requantize_wide(path, s.high, odd(s.high), &c[1], h);
    store_halves(type, low, high, zero, to, live);
  }
}

INLINE void slide_by(const ivit_depthwise *op, const slide *at, const int16_t *weights, const int32_t stride) {
  const output_header *h = op->out.packed;
  if (h->path == OUTPUT_WIDE)
    slide_along(op, at, weights, stride, OUTPUT_WIDE, op->out.type);
  else if (op->out.type == IVIT_I16)
    slide_along(op, at, weights, stride, OUTPUT_HIGH, IVIT_I16);
  else if (op->out.type == IVIT_U8)
    slide_along(op, at, weights, stride, OUTPUT_HIGH, IVIT_U8);
  else
    slide_along(op, at, weights, stride, OUTPUT_HIGH, op->out.type);
}

static map_line shift_line(map_line line, int32_t n) {
  if (line.stride) line.first += n;
  return line;
}

static const int16_t *packed_weights(const ivit_depthwise *op);

static int slide_segment(const ivit_depthwise *op, const int16_t *x, int32_t oy, int32_t ox, int32_t count,
                         void *out) {
  const ivit_geometry *map = &op->map;
  if (map->kernel_h != 3 || map->kernel_w != 3 || map->dilation_w != 1 || map->stride_w > 2) return 0;
  const int32_t top = oy * map->stride_h - map->pad_top;
  const size_t size = element_size(op->out.type);
  const map_line lines[3] = {find_line(map, x, 0, top), find_line(map, x, 1, top), find_line(map, x, 2, top)};
  slide at = {.left = ox * map->stride_w - map->pad_left, .count = count, .step = (size_t)map->channels * size};
  const int16_t *weights = packed_weights(op);
  for (; at.n < map->channels; at.n += MAP_CHANNELS, weights += 6 * MAP_STEP) {
    for (int i = 0; i < 3; i++) at.lines[i] = shift_line(lines[i], at.n);
    at.out = (int8_t *)out + (size_t)at.n * size;
    if (map->stride_w == 1)
      slide_by(op, &at, weights, 1);
    else
      slide_by(op, &at, weights, 2);
  }
  return 1;
}

#define quantize_rows ivit_avx512_quantize_rows
#include "../lanes/depthwise.h"

static const int16_t *packed_weights(const ivit_depthwise *op) { return weights_of(op->packed); }

size_t ivit_avx512_depthwise_pack_size(const ivit_depthwise *op) { return depthwise_pack_size(op); }
void ivit_avx512_depthwise_pack(const ivit_depthwise *op, void *packed) { depthwise_pack(op, packed); }
size_t ivit_avx512_depthwise_scratch(const ivit_depthwise *op) { return depthwise_scratch(op); }
void ivit_avx512_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                           int32_t *scale, void *scratch) {
  depthwise(op, r0, r1, x, out, scale, scratch);
}

/* --- sums of rows --- */

/* Columns of one row's sums, up to 64; those past `count` are 0. x: the first of these columns. */
INLINE void sum_taps(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight, const int32_t *x,
                     int32_t count, const int equal, __m512i v[4]) {
  UNROLL_VECTORS for (int j = 0; j < 4; j++) v[j] = _mm512_setzero_si512();
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    const int32_t *from = x + (size_t)index[t] * (size_t)op->cols;
    const __m512i w = _mm512_set1_epi32(weight[t]);
    UNROLL_VECTORS for (int j = 0; j < 4; j++) {
      if (16 * j >= count) break;
      __m512i a = _mm512_maskz_loadu_epi32(first16(count - 16 * j), from + 16 * j);
      v[j] = _mm512_add_epi32(v[j], equal ? a : _mm512_mullo_epi32(a, w));
    }
  }
  if (!equal) return;
  const __m512i w = _mm512_set1_epi32(ivit_shared_weight(op, index, weight));
  UNROLL_VECTORS for (int j = 0; j < 4; j++) v[j] = _mm512_mullo_epi32(v[j], w);
}

/* Eight columns of one row's sums, as 64 bits; those that are not live are 0. x: the first of these columns. */
INLINE __m512i wide_sums(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight, const int32_t *x,
                         __mmask8 live) {
  __m512i v = _mm512_setzero_si512();
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    const __m256i a = _mm256_maskz_loadu_epi32(live, x + (size_t)index[t] * (size_t)op->cols);
    v = _mm512_add_epi64(v, _mm512_mul_epi32(_mm512_cvtepi32_epi64(a), _mm512_set1_epi64(weight[t])));
  }
  return v;
}

/* ivit_requantize of columns n to n + 7: the product is proven to fit 64 bits, so its low half is all of it. */
INLINE __m256i requantize_sums(const ivit_output *out, int32_t n, __m512i v, __mmask8 live) {
  const __m512i b = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, out->multiplier + n));
  v = _mm512_add_epi64(_mm512_mullo_epi64(v, b), _mm512_set1_epi64(ivit_half(out->shift)));
  if (out->offset) v = _mm512_add_epi64(v, _mm512_maskz_loadu_epi64(live, out->offset + n));
  v = _mm512_sra_epi64(v, _mm_cvtsi32_si128(out->shift));
  v = _mm512_min_epi64(_mm512_max_epi64(v, _mm512_set1_epi64(out->lo)), _mm512_set1_epi64(out->hi));
  return _mm512_cvtepi64_epi32(v);
}

/* Sums that may pass 32 bits. */
static void mix_wide_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch) {
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = r0; r < r1; r++, to += (size_t)cols * output_size(op->out.type)) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        const int32_t at = n + 16 * j;
        const __mmask16 live = first16(cols - at);
        v[j] = _mm512_setzero_si512();
        if (!live) continue;
        const __mmask8 low = (__mmask8)live, high = (__mmask8)(live >> 8);
        const __m256i a = requantize_sums(&op->out, at, wide_sums(op, index, weight, x + at, low), low);
        v[j] = _mm512_castsi256_si512(a);
        if (!high) continue;
        const __m256i b = requantize_sums(&op->out, at + 8, wide_sums(op, index, weight, x + at + 8, high), high);
        v[j] = _mm512_inserti64x4(v[j], b, 1);
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + (r - r0) : NULL, most);
  }
}

void ivit_avx512_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch) {
  if (!op->fits) {
    mix_wide_rows(op, r0, r1, x, out, scale, scratch);
    return;
  }
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = r0; r < r1; r++, to += (size_t)cols * output_size(op->out.type)) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    const int equal = ivit_shared_weight(op, index, weight) != 0;
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      if (equal)
        sum_taps(op, index, weight, x + n, cols - n, 1, v);
      else
        sum_taps(op, index, weight, x + n, cols - n, 0, v);
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        if (n + 16 * j < cols) v[j] = requantize_channels(op->out.packed, n + 16 * j, v[j]);
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + (r - r0) : NULL, most);
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
