/*
 * Depthwise convolution: pairs of 16-bit products. Kernels of three, five and seven lines slide along a segment: sums
 * wait in registers for the columns that they still lack, and no pixel is laid out in memory. Lines are paired, and of
 * the last one, which is left over, neighbouring columns.
 */
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

/* --- sums to results --- */

/*
 * Constants of 32 channels: of products, or, where every multiplier is a power of 2, what sums start from and by how
 * much they are shifted. The quantizer sees to it that they are: floors nest, and no product is left.
 */
typedef struct {
  map_sums start, shift;
} map_shifts;

typedef struct {
  wide_channels c[2];
  map_shifts by;
} map_output;

/* Behind the weights: whether there are shifts, then those. */
typedef struct {
  int32_t are_used;
  int8_t fill[IVIT_ALIGN - sizeof(int32_t)];
} shifts_header;

static const shifts_header *shifts_of(const ivit_depthwise *op);

/* How one channel is shifted; 0 where it cannot be. */
static int shift_channel(const ivit_depthwise *op, int32_t n, int32_t *start, int32_t *shift) {
  const ivit_output *out = &op->out;
  const int32_t b = out->multiplier[n], taps = op->map.kernel_h * op->map.kernel_w;
  if (b < 1 || (b & (b - 1)) != 0) return 0;
  const int32_t power = ivit_bits((uint64_t)b) - 1;
  *shift = out->shift - power;
  if (*shift < 0 || *shift > 31) return 0;
  int64_t most = 0, added = (ivit_half(out->shift) + (out->offset ? out->offset[n] : 0)) >> power;
  if (added > INT32_MAX || added < -INT32_MAX) return 0;
  if (out->type == IVIT_U8) added += (int64_t)out->zero << *shift;
  for (int32_t t = 0; t < taps; t++)
    most += 32767 * (int64_t)ivit_abs(op->weight[(size_t)t * (size_t)op->map.channels + (size_t)n]);
  most += added < 0 ? -added : added;
  if (most > INT32_MAX) return 0;
  *start = (int32_t)added;
  return 1;
}

static void pack_shifts(const ivit_depthwise *op, shifts_header *h) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));
  map_shifts *to = (map_shifts *)(h + 1);
  h->are_used = 0;
  for (int32_t n = 0; n < op->map.channels; n += MAP_CHANNELS, to++) {
    int32_t start[MAP_CHANNELS] = {0}, shift[MAP_CHANNELS] = {0};
    for (int32_t i = 0; i < MAP_CHANNELS && n + i < op->map.channels; i++)
      if (!shift_channel(op, n + i, &start[i], &shift[i])) return;
    to->start.low = _mm512_i32gather_epi32(first, start, 4);
    to->start.high = _mm512_i32gather_epi32(second, start, 4);
    to->shift.low = _mm512_i32gather_epi32(first, shift, 4);
    to->shift.high = _mm512_i32gather_epi32(second, shift, 4);
  }
  h->are_used = 1;
}

INLINE map_output load_output(const ivit_depthwise *op, int32_t n, const output_path path) {
  map_output k;
  if (path == OUTPUT_SHIFT)
    k.by = ((const map_shifts *)(shifts_of(op) + 1))[n / MAP_CHANNELS];
  else
    order_channels((const wide_channels *)((const output_header *)op->out.packed + 1) + n / 16, k.c);
  return k;
}

INLINE map_sums start_sums(const map_output *k, const output_path path) {
  return path == OUTPUT_SHIFT ? k->by.start : zero_sums();
}

/* Results of 32 channels, but for the clamp. */
INLINE map_sums finish_sums(const ivit_depthwise *op, const map_output *k, map_sums s, const output_path path) {
  if (path == OUTPUT_SHIFT)
    return (map_sums){_mm512_srav_epi32(s.low, k->by.shift.low), _mm512_srav_epi32(s.high, k->by.shift.high)};
  const output_header *h = op->out.packed;
  return (map_sums){requantize_wide(path, s.low, odd(s.low), &k->c[0], h),
                    requantize_wide(path, s.high, odd(s.high), &k->c[1], h)};
}

/* The zero point, where sums do not start from it. */
INLINE __m512i zero_point(const ivit_depthwise *op, const output_path path) {
  return path == OUTPUT_SHIFT ? _mm512_setzero_si512() : _mm512_set1_epi16((int16_t)op->out.zero);
}

INLINE output_path path_of(const ivit_depthwise *op) {
  return shifts_of(op)->are_used ? OUTPUT_SHIFT : ((const output_header *)op->out.packed)->path;
}

/* Calls with what matters for speed known when it is compiled. */
#define BY_OUTPUT(call)                                            \
  do {                                                             \
    const output_path path_here = path_of(op);                     \
    if (path_here == OUTPUT_WIDE)                                  \
      call(OUTPUT_WIDE, op->out.type);                             \
    else if (path_here == OUTPUT_HIGH)                             \
      call(OUTPUT_HIGH, op->out.type);                             \
    else if (op->out.type == IVIT_U8)                              \
      call(OUTPUT_SHIFT, IVIT_U8);                                 \
    else                                                           \
      call(OUTPUT_SHIFT, op->out.type);                            \
  } while (0)

INLINE void store_sums_as(const ivit_depthwise *op, int32_t n, const map_sums s[MAP_TILE], int8_t *out, size_t step,
                          int32_t live, const output_path path, const ivit_type type) {
  const __m512i zero = zero_point(op, path);
  const map_output k = load_output(op, n, path);
  _Pragma("GCC unroll 8") for (int i = 0; i < MAP_TILE; i++, out += step) {
    if (i >= live) break;
    map_sums r = s[i];
    if (path == OUTPUT_SHIFT)
      r = (map_sums){_mm512_add_epi32(r.low, k.by.start.low), _mm512_add_epi32(r.high, k.by.start.high)};
    r = finish_sums(op, &k, r, path);
    store_halves(type, r.low, r.high, zero, out, op->map.channels - n);
  }
}

static void store_sums(const ivit_depthwise *op, int32_t n, const map_sums s[MAP_TILE], int8_t *out, size_t step,
                       int32_t live) {
#define STORE_SUMS(path, type) store_sums_as(op, n, s, out, step, live, path, type)
  BY_OUTPUT(STORE_SUMS);
}

/* --- kernels that slide --- */

enum { MOST_LINES = 7 };

static int slides(const ivit_geometry *map) {
  const int32_t k = map->kernel_h;
  if (k != map->kernel_w || map->dilation_w != 1) return 0;
  return k == 3 ? map->stride_w <= 2 : (k == 5 || k == 7) && map->stride_w == 1;
}

/* Weights of 32 channels: for each column those of its pairs of lines, then those of the last line's pairs. */
static void pack_slides(const ivit_depthwise *op, int16_t *to, size_t chunk) {
  const ivit_geometry *map = &op->map;
  const int32_t k = map->kernel_w;
  const size_t line = (size_t)k * (size_t)map->channels;
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS, to += chunk) {
    int16_t *at = to;
    const int16_t *last = op->weight + (size_t)(k - 1) * line + n;
    for (int32_t t = 0; t < k; t++) {
      const int16_t *w = op->weight + (size_t)t * (size_t)map->channels + n;
      for (int32_t g = 0; g < k / 2; g++, w += 2 * line, at += MAP_STEP) lay_lines(at, w, w + line);
    }
    for (int32_t t = 1; t < k; t += 2, at += MAP_STEP)
      lay_lines(at, last + (size_t)(t - 1) * (size_t)map->channels, last + (size_t)t * (size_t)map->channels);
    lay_lines(at, no_pixel, last + (size_t)(k - 1) * (size_t)map->channels);
  }
}

INLINE map_sums interleave(__m512i a, __m512i b) {
  return (map_sums){_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)};
}
INLINE map_sums multiply_add(map_sums s, map_sums x, map_weights w) {
  return (map_sums){_mm512_dpwssd_epi32(s.low, x.low, w.low), _mm512_dpwssd_epi32(s.high, x.high, w.high)};
}

/* A segment's place, of 32 channels at a time. */
typedef struct {
  const int16_t *from[MOST_LINES]; /* the first column inside of the map */
  size_t inside[MOST_LINES];       /* all bits where the line is; it has pixels then */
  size_t stride;                   /* of columns */
  int32_t left, width, count;
  int8_t *out;
  size_t step;
  int32_t live; /* channels */
} slide;

/* 32 channels of a pixel, `ahead` elements from where the segment begins; 0 outside of the map. */
INLINE __m512i pixel(const slide *s, const int line, size_t ahead, const int is_inside) {
  return _mm512_loadu_si512(is_inside ? s->from[line] + (ahead & s->inside[line]) : no_pixel);
}
INLINE map_sums pixels(const slide *s, const int pair, size_t ahead, const int is_inside) {
  return interleave(pixel(s, 2 * pair, ahead, is_inside), pixel(s, 2 * pair + 1, ahead, is_inside));
}

INLINE int is_inside(const slide *s, int32_t column) { return column >= 0 && column < s->width; }

/* Results as they are made, one after the other. Codes of two are packed together. */
typedef struct {
  int8_t *to;
  int32_t made;
  __m512i kept;
} writer;

INLINE void write_result(const ivit_depthwise *op, const slide *s, const map_output *out, writer *w, map_sums sums,
                         const output_path path, const ivit_type type) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  const int are_pairs = path == OUTPUT_SHIFT && type == IVIT_U8 && s->live >= MAP_CHANNELS;
  const map_sums r = finish_sums(op, out, sums, path);
  const int32_t p = w->made++;
  if (!are_pairs || (p % 2 == 0 && p + 1 == s->count)) {
    store_halves(type, r.low, r.high, zero_point(op, path), w->to, s->live);
  } else if (p % 2 == 0) {
    w->kept = _mm512_packs_epi32(r.low, r.high);
  } else {
    __m512i words = _mm512_packus_epi16(w->kept, _mm512_packs_epi32(r.low, r.high));
    __m512i codes = _mm512_permutexvar_epi64(order, words);
    _mm256_storeu_si256((__m256i *)(w->to - s->step), _mm512_castsi512_si256(codes));
    _mm256_storeu_si256((__m256i *)w->to, _mm512_extracti64x4_epi64(codes, 1));
  }
  w->to += s->step;
}

/* --- three columns: all weights are held in registers --- */

enum { HELD = 3 + 2 };

/* Where a segment is: the next column, the pixel of the last line before it, sums by how many columns they have. */
typedef struct {
  size_t ahead;
  int32_t column;
  __m512i before;
  map_sums sum[3];
} slider;

/*
 * Adds a column to all sums that see it. At stride 2 `parity` says which taps see it. The last line is seen by pairs of
 * columns: the taps 0 and 1 at once, and the last tap alone.
 */
INLINE void add_column(slider *at, const slide *s, const map_weights w[HELD], const int stride, const int parity) {
  const int32_t column = at->column++;
  if (column < 0 || column > s->width) return;
  const int inside = column < s->width;
  const map_sums x = pixels(s, 0, at->ahead, inside);
  const __m512i last = pixel(s, 2, at->ahead, inside);
  const map_sums across = interleave(at->before, last);
  at->ahead += s->stride;
  at->before = last;
  /* Products in turns of different sums: no one waits for the one before it. */
  _Pragma("GCC unroll 8") for (int t = parity; t < 3; t += stride)
    at->sum[t / stride] = multiply_add(at->sum[t / stride], x, w[t]);
  _Pragma("GCC unroll 8") for (int t = parity; t < 3; t += stride)
    if (t > 0) at->sum[t / stride] = multiply_add(at->sum[t / stride], across, w[2 + t]);
}

INLINE void slide_threes(const ivit_depthwise *op, int32_t n, const slide *place, const int16_t *packed,
                         const int stride, const output_path path, const ivit_type type) {
  /* Copies that nothing stored through a pointer can change. */
  const slide s = *place;
  const map_output out = load_output(op, n, path);
  const int waiting = 2 / stride;
  map_weights w[HELD];
  _Pragma("GCC unroll 8") for (int i = 0; i < HELD; i++) w[i] = load_weights(packed + i * MAP_STEP);
  slider at = {.column = s.left, .before = _mm512_setzero_si512()};
  _Pragma("GCC unroll 8") for (int i = 0; i < 3; i++) at.sum[i] = start_sums(&out, path);
  writer to = {.to = s.out, .kept = _mm512_setzero_si512()};
  /* The first sums lack columns: they are of results that lie before the segment. */
  for (int32_t p = -waiting; p < s.count; p++) {
    add_column(&at, &s, w, stride, 0);
    const map_sums whole = at.sum[waiting];
    if (stride == 2) add_column(&at, &s, w, stride, 1);
    _Pragma("GCC unroll 8") for (int i = waiting; i > 0; i--) at.sum[i] = at.sum[i - 1];
    at.sum[0] = start_sums(&out, path);
    if (p >= 0) write_result(op, &s, &out, &to, whole, path, type);
  }
}

/* --- five and seven: two columns at a time share each load of weights --- */

/* sum[t] has tap t at the first of two columns, sum[t - 1] at the second; `next` begins there. */
INLINE void add_products_of_two(map_sums *sum, map_sums *next, const int t, map_sums a, map_sums b, const int16_t *w) {
  const map_weights weights = load_weights(w);
  sum[t] = multiply_add(sum[t], a, weights);
  map_sums *second = t == 0 ? next : &sum[t - 1];
  *second = multiply_add(*second, b, weights);
}

INLINE void slide_twos(const ivit_depthwise *op, int32_t n, const slide *place, const int16_t *packed, const int k,
                       const output_path path, const ivit_type type) {
  const slide s = *place;
  const map_output out = load_output(op, n, path);
  const int pairs = k / 2;
  const int16_t *beside = packed + k * pairs * MAP_STEP;
  map_sums sum[MOST_LINES], next = start_sums(&out, path);
  _Pragma("GCC unroll 8") for (int i = 0; i < k; i++) sum[i] = start_sums(&out, path);
  writer to = {.to = s.out, .kept = _mm512_setzero_si512()};
  __m512i before = _mm512_setzero_si512();
  int32_t column = s.left;
  size_t ahead = 0;
  for (int32_t p = 1 - k; p < s.count; p += 2, column += 2) {
    if (column >= -1 && column <= s.width) {
      const int first = is_inside(&s, column), second = is_inside(&s, column + 1);
      const size_t after = ahead + (first ? s.stride : 0);
      _Pragma("GCC unroll 8") for (int g = 0; g < pairs; g++) {
        const map_sums a = pixels(&s, g, ahead, first), b = pixels(&s, g, after, second);
        _Pragma("GCC unroll 8") for (int t = 0; t < k; t++)
          add_products_of_two(sum, &next, t, a, b, packed + (t * pairs + g) * MAP_STEP);
      }
      const __m512i last = pixel(&s, k - 1, ahead, first), later = pixel(&s, k - 1, after, second);
      const map_sums a = interleave(before, last), b = interleave(last, later);
      _Pragma("GCC unroll 8") for (int t = 1; t < k; t += 2)
        add_products_of_two(sum, &next, t, a, b, beside + t / 2 * MAP_STEP);
      add_products_of_two(sum, &next, k - 1, a, b, beside + pairs * MAP_STEP);
      before = later;
      ahead = after + (second ? s.stride : 0);
    }
    const map_sums one = sum[k - 1], other = sum[k - 2];
    _Pragma("GCC unroll 8") for (int t = k - 1; t > 1; t--) sum[t] = sum[t - 2];
    sum[1] = next;
    sum[0] = next = start_sums(&out, path);
    if (p < 0) continue;
    write_result(op, &s, &out, &to, one, path, type);
    if (p + 1 < s.count) write_result(op, &s, &out, &to, other, path, type);
  }
}

static void slide_by(const ivit_depthwise *op, int32_t n, const slide *s, const int16_t *packed) {
#define SLIDE_3_1(path, type) slide_threes(op, n, s, packed, 1, path, type)
#define SLIDE_3_2(path, type) slide_threes(op, n, s, packed, 2, path, type)
#define SLIDE_5_1(path, type) slide_twos(op, n, s, packed, 5, path, type)
#define SLIDE_7_1(path, type) slide_twos(op, n, s, packed, 7, path, type)
  if (op->map.stride_w == 2)
    BY_OUTPUT(SLIDE_3_2);
  else if (op->map.kernel_w == 3)
    BY_OUTPUT(SLIDE_3_1);
  else if (op->map.kernel_w == 5)
    BY_OUTPUT(SLIDE_5_1);
  else
    BY_OUTPUT(SLIDE_7_1);
}

static const int16_t *packed_weights(const ivit_depthwise *op);
static size_t packed_chunk(const ivit_depthwise *op);

static int slide_segment(const ivit_depthwise *op, const int16_t *x, int32_t oy, int32_t ox, int32_t count,
                         void *out) {
  const ivit_geometry *map = &op->map;
  if (!slides(map)) return 0;
  const int32_t top = oy * map->stride_h - map->pad_top;
  const size_t size = element_size(op->out.type);
  map_line lines[MOST_LINES];
  slide s = {.left = ox * map->stride_w - map->pad_left,
             .width = map->width,
             .stride = (size_t)map->channels,
             .count = count,
             .step = (size_t)map->channels * size};
  const size_t first = (size_t)ivit_min(ivit_max(s.left, 0), map->width);
  for (int32_t i = 0; i < map->kernel_h; i++) {
    lines[i] = find_line(map, x, i, top);
    s.inside[i] = lines[i].stride ? ~(size_t)0 : 0;
  }
  const int16_t *weights = packed_weights(op);
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS, weights += packed_chunk(op)) {
    for (int32_t i = 0; i < map->kernel_h; i++)
      s.from[i] = lines[i].first + (((size_t)n + first * s.stride) & s.inside[i]);
    s.out = (int8_t *)out + (size_t)n * size;
    s.live = map->channels - n;
    slide_by(op, n, &s, weights);
  }
  return 1;
}

INLINE int sums_fit(const ivit_depthwise *op) {
  (void)op;
  return 1;
}

#define quantize_rows ivit_avx512_quantize_rows
#include "../lanes/depthwise.h"

static const int16_t *packed_weights(const ivit_depthwise *op) { return weights_of(op->packed); }
static size_t packed_chunk(const ivit_depthwise *op) {
  const depthwise_header *h = op->packed;
  return (size_t)h->groups * (size_t)op->map.kernel_w * MAP_STEP;
}
static const shifts_header *shifts_of(const ivit_depthwise *op) {
  const depthwise_header *h = op->packed;
  return (const shifts_header *)((const int8_t *)h + h->bytes);
}

size_t ivit_avx512_depthwise_pack_size(const ivit_depthwise *op) {
  size_t chunks = round_up((size_t)op->map.channels, MAP_CHANNELS) / MAP_CHANNELS;
  return depthwise_pack_size(op) + sizeof(shifts_header) + chunks * sizeof(map_shifts);
}
void ivit_avx512_depthwise_pack(const ivit_depthwise *op, void *packed) {
  depthwise_pack(op, packed);
  const depthwise_header *h = packed;
  size_t chunk = (size_t)h->groups * (size_t)op->map.kernel_w * MAP_STEP;
  if (h->segment && slides(&op->map)) pack_slides(op, (int16_t *)((depthwise_header *)packed + 1), chunk);
  pack_shifts(op, (shifts_header *)((int8_t *)packed + h->bytes));
}
size_t ivit_avx512_depthwise_scratch(const ivit_depthwise *op) { return depthwise_scratch(op); }
void ivit_avx512_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                           int32_t *scale, void *scratch) {
  depthwise(op, r0, r1, x, out, scale, scratch);
}
