/*
 * Depthwise convolution: pairs of 16-bit products. Kernels of three, five and seven lines slide along a segment: sums
 * wait in registers for the columns that they still lack, and no pixel is laid out in memory. Lines are paired, and of
 * the last one, which is left over, neighbouring columns.
 */
#include "../map_lines.h"
#include "avx512_output.h"

/* Every loop over registers: what is left of one keeps sums in memory. Clang ignores the pragma of GCC. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

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
  UNROLL for (int i = 0; i < MAP_TILE; i++, out += step) {
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

enum { MOST_LINES = 7, MOST_COLUMNS = 4, MOST_SUMS = MOST_LINES + MOST_COLUMNS - 1, HELD = 3 + 4 };

static int slides(const ivit_geometry *map) {
  const int32_t k = map->kernel_h;
  return k == map->kernel_w && (k == 3 || k == 5 || k == 7) && map->stride_w <= 2 && map->dilation_w == 1;
}

/* Elements of the weights of 32 channels. */
static size_t slide_elements(int32_t k) { return ((size_t)k * (size_t)(k / 2) + (size_t)k + 1) * MAP_STEP; }

/* Weights of 32 channels: for each column those of its pairs of lines, then the last line's in pairs of columns. */
static void pack_slides(const ivit_depthwise *op, int16_t *to) {
  const ivit_geometry *map = &op->map;
  const int32_t k = map->kernel_w;
  const size_t line = (size_t)k * (size_t)map->channels;
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS) {
    for (int32_t t = 0; t < k; t++) {
      const int16_t *w = op->weight + (size_t)t * (size_t)map->channels + n;
      for (int32_t g = 0; g < k / 2; g++, w += 2 * line, to += MAP_STEP) lay_lines(to, w, w + line);
    }
    const int16_t *last = op->weight + (size_t)(k - 1) * line + n, *before = no_pixel;
    for (int32_t t = 0; t < k; t++, to += MAP_STEP) {
      lay_lines(to, before, last);
      before = last;
      last += map->channels;
    }
    lay_lines(to, before, no_pixel);
    to += MAP_STEP;
  }
}

INLINE map_sums interleave(__m512i a, __m512i b) {
  return (map_sums){_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)};
}
INLINE map_sums multiply_add(map_sums s, map_sums x, map_weights w) {
  return (map_sums){_mm512_dpwssd_epi32(s.low, x.low, w.low), _mm512_dpwssd_epi32(s.high, x.high, w.high)};
}

/* Segments of lines one below the other, 32 channels of them. */
typedef struct {
  const int16_t *x; /* the map, from these channels on */
  int32_t top, left, lines, count;
  int8_t *out;
  size_t step;  /* from window to window */
  int32_t live; /* channels */
} slide;

/*
 * Where a segment is: the lines it sees, the next column's pixels, those of columns some of which lie outside of the
 * map, and sums, the one of the first window first.
 */
typedef struct {
  map_line line[MOST_LINES];
  const int16_t *at[MOST_LINES];
  const int16_t *edge[MOST_LINES][MOST_COLUMNS];
  map_sums sum[MOST_SUMS];
} slider;

/* Finds the pixels of columns at an edge; 0 outside of the map. */
INLINE void find_edge(slider *s, int32_t column, int32_t width, const int k, const int columns) {
  for (int j = 0; j < columns; j++, column++) {
    const int is_inside = column >= 0 && column < width;
    for (int i = 0; i < k; i++)
      s->edge[i][j] = is_inside ? s->line[i].first + (size_t)column * s->line[i].stride : no_pixel;
  }
}

INLINE __m512i pixel(const slider *s, const int line, const int j, const int is_edge) {
  return _mm512_loadu_si512(is_edge ? s->edge[line][j] : s->at[line] + (size_t)j * s->line[line].stride);
}

/* Number i of the weights; of kernels of three columns they are held in registers. */
INLINE map_weights weights_at(const map_weights held[HELD], const int16_t *packed, const int k, const int i) {
  if (k == 3) return held[i];
  map_weights w = load_weights(packed + i * MAP_STEP);
  /* Once for all products: compilers would read them for each, and reading takes more time than the products do. */
  __asm__("" : "+v"(w.low), "+v"(w.high));
  return w;
}

/*
 * Adds `columns` to all sums that see them: column j is tap t of window i where i*stride + t = j + k - 1. Of the last
 * line two columns are multiplied at once, by two neighbouring taps.
 */
INLINE void add_columns(slider *at, const map_weights held[HELD], const int16_t *packed, const int k,
                        const int columns, const int stride, const int is_edge) {
  map_sums *sum = at->sum, x[MOST_COLUMNS];
  const int pairs = k / 2;
  UNROLL for (int g = 0; g < pairs; g++) {
    UNROLL for (int j = 0; j < columns; j++)
      x[j] = interleave(pixel(at, 2 * g, j, is_edge), pixel(at, 2 * g + 1, j, is_edge));
    UNROLL for (int t = 0; t < k; t++) {
      const map_weights w = weights_at(held, packed, k, t * pairs + g);
      UNROLL for (int j = 0; j < columns; j++) {
        const int i = j + k - 1 - t;
        if (i % stride == 0) sum[i / stride] = multiply_add(sum[i / stride], x[j], w);
      }
    }
  }
  UNROLL for (int j = 0; j < columns; j += 2)
    x[j] = interleave(pixel(at, k - 1, j, is_edge), pixel(at, k - 1, j + 1, is_edge));
  UNROLL for (int t = -1; t < k; t++) {
    const map_weights w = weights_at(held, packed, k, k * pairs + t + 1);
    UNROLL for (int j = 0; j < columns; j += 2) {
      const int i = j + k - 1 - t;
      if (i % stride == 0) sum[i / stride] = multiply_add(sum[i / stride], x[j], w);
    }
  }
}

/* Where results of a line go: the next window's place, which may lie before the line, and where the line ends. */
typedef struct {
  int8_t *line;
  ptrdiff_t at, end, step;
} writer;

/* Two results side by side; where `are_some` only what lies within the line. Codes of two are packed together. */
INLINE void write_results(const ivit_depthwise *op, const map_output *out, const map_sums sum[2], const writer *w,
                          const int are_some, int32_t live, const output_path path, const ivit_type type) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), zero = zero_point(op, path);
  const map_sums a = finish_sums(op, out, sum[0], path), b = finish_sums(op, out, sum[1], path);
  int8_t *first = w->line + w->at, *second = first + w->step;
  if (path == OUTPUT_SHIFT && type == IVIT_U8 && live >= MAP_CHANNELS && !are_some) {
    __m512i words = _mm512_packus_epi16(_mm512_packs_epi32(a.low, a.high), _mm512_packs_epi32(b.low, b.high));
    __m512i codes = _mm512_permutexvar_epi64(order, words);
    _mm256_storeu_si256((__m256i *)first, _mm512_castsi512_si256(codes));
    _mm256_storeu_si256((__m256i *)second, _mm512_extracti64x4_epi64(codes, 1));
    return;
  }
  const ptrdiff_t next = w->at + w->step;
  if (!are_some || (w->at >= 0 && w->at < w->end)) store_halves(type, a.low, a.high, zero, first, live);
  if (!are_some || (next >= 0 && next < w->end)) store_halves(type, b.low, b.high, zero, second, live);
}

/* The two windows that are whole by now make room for the next ones. */
INLINE void move_on(slider *s, writer *w, const map_output *out, const int sums, const output_path path) {
  UNROLL for (int i = 0; i < sums; i++)
    s->sum[i] = i + 2 < sums ? s->sum[i + 2] : start_sums(out, path);
  w->at += 2 * w->step;
}

/* One line, two results at a time. */
INLINE void slide_line(const ivit_depthwise *op, const slide *s, const map_output *out, const map_weights held[HELD],
                       const int16_t *packed, int32_t l, const int k, const int stride, int32_t live,
                       const output_path path, const ivit_type type) {
  const int columns = 2 * stride, sums = (columns + k - 2) / stride + 1;
  const int32_t width = op->map.width, top = s->top + l * op->map.stride_h;
  slider at;
  UNROLL for (int i = 0; i < k; i++) at.line[i] = find_line(&op->map, s->x, i, top);
  UNROLL for (int i = 0; i < sums; i++) at.sum[i] = start_sums(out, path);
  /* From the map's first column on, and the window p that ends there: it and some others lack columns. */
  int32_t p = ivit_min((ivit_max(s->left, 0) - s->left - k + 1) / stride - (stride > 1), 0);
  int32_t column = s->left + p * stride + k - 1;
  const ptrdiff_t step = (ptrdiff_t)s->step;
  writer w = {.line = s->out + (ptrdiff_t)l * s->count * step, .at = p * step, .end = s->count * step, .step = step};
  /* Windows of which some lie before the line: of large kernels the loop inside has no registers to spare for them. */
  const int has_early = k == 3;
  while (p < s->count) {
    int32_t whole = ivit_min((s->count - p) / 2, (width - column) / columns);
    if (column < 0 || whole < 1 || (p < 0 && !has_early)) {
      find_edge(&at, column, width, k, columns);
      if (column < width) add_columns(&at, held, packed, k, columns, stride, 1);
      write_results(op, out, at.sum, &w, 1, live, path, type);
      move_on(&at, &w, out, sums, path);
      whole = 1;
    } else {
      UNROLL for (int i = 0; i < k; i++)
        at.at[i] = at.line[i].first + (size_t)column * at.line[i].stride;
      for (int32_t i = 0; i < whole; i++) {
        add_columns(&at, held, packed, k, columns, stride, 0);
        if (has_early && w.at < 0)
          write_results(op, out, at.sum, &w, 1, live, path, type);
        else
          write_results(op, out, at.sum, &w, 0, live, path, type);
        move_on(&at, &w, out, sums, path);
        UNROLL for (int j = 0; j < k; j++) at.at[j] += (size_t)columns * at.line[j].stride;
      }
    }
    p += 2 * whole;
    column += whole * columns;
  }
}

INLINE void slide_lines(const ivit_depthwise *op, int32_t n, const slide *place, const int16_t *packed, const int k,
                        const int stride, int32_t live, const output_path path, const ivit_type type) {
  /* Copies that nothing stored through a pointer can change. */
  const slide s = *place;
  const map_output out = load_output(op, n, path);
  map_weights held[HELD];
  UNROLL for (int i = 0; i < HELD && k == 3; i++) held[i] = load_weights(packed + i * MAP_STEP);
  for (int32_t l = 0; l < s.lines; l++) slide_line(op, &s, &out, held, packed, l, k, stride, live, path, type);
}

/*
 * Kernels for codes and words of 32 channels whose sums are shifted, and for all else: functions of their own, so that
 * compilers give each all registers.
 */
#define SLIDE(name, k, stride, live, path, type)                                                  \
  __attribute__((noinline)) static void name(const ivit_depthwise *op, int32_t n, const slide *s, \
                                             const int16_t *packed) {                             \
    slide_lines(op, n, s, packed, k, stride, live, path, type);                                   \
  }
#define SLIDES(k, stride)                                                             \
  SLIDE(slide_codes_##k##_##stride, k, stride, MAP_CHANNELS, OUTPUT_SHIFT, IVIT_U8)   \
  SLIDE(slide_words_##k##_##stride, k, stride, MAP_CHANNELS, OUTPUT_SHIFT, IVIT_I16)  \
  SLIDE(slide_any_##k##_##stride, k, stride, s->live, path_of(op), op->out.type)
SLIDES(3, 1)
SLIDES(3, 2)
SLIDES(5, 1)
SLIDES(5, 2)
SLIDES(7, 1)
SLIDES(7, 2)

typedef void slide_kernel(const ivit_depthwise *op, int32_t n, const slide *s, const int16_t *packed);

/* Of a kernel of k columns. */
static slide_kernel *find_slide(int32_t k, int32_t stride, int which) {
#define KERNELS(k, stride) {slide_codes_##k##_##stride, slide_words_##k##_##stride, slide_any_##k##_##stride}
  static slide_kernel *const kernels[3][2][3] = {
      {KERNELS(3, 1), KERNELS(3, 2)}, {KERNELS(5, 1), KERNELS(5, 2)}, {KERNELS(7, 1), KERNELS(7, 2)}};
  return kernels[k / 2 - 1][stride - 1][which];
}

static const int16_t *packed_weights(const ivit_depthwise *op);

static void slide_segments(const ivit_depthwise *op, const int16_t *x, int32_t oy, int32_t ox, int32_t lines,
                           int32_t count, void *out) {
  const ivit_geometry *map = &op->map;
  const size_t size = element_size(op->out.type);
  slide s = {.top = oy * map->stride_h - map->pad_top,
             .left = ox * map->stride_w - map->pad_left,
             .lines = lines,
             .count = count,
             .step = (size_t)map->channels * size};
  const int16_t *weights = packed_weights(op);
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS, weights += slide_elements(map->kernel_w)) {
    s.x = x + n;
    s.out = (int8_t *)out + (size_t)n * size;
    s.live = map->channels - n;
    const int is_usual = s.live >= MAP_CHANNELS && path_of(op) == OUTPUT_SHIFT;
    const int which = is_usual && op->out.type == IVIT_U8 ? 0 : is_usual && op->out.type == IVIT_I16 ? 1 : 2;
    find_slide(map->kernel_w, map->stride_w, which)(op, n, &s, weights);
  }
}

INLINE int sums_fit(const ivit_depthwise *op) {
  (void)op;
  return 1;
}

#define MAP_SLIDES
#define quantize_rows ivit_avx512_quantize_rows
#include "../lanes/depthwise.h"

static const int16_t *packed_weights(const ivit_depthwise *op) { return weights_of(op->packed); }
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
  pack_shifts(op, (shifts_header *)((int8_t *)packed + ((const depthwise_header *)packed)->bytes));
}
size_t ivit_avx512_depthwise_scratch(const ivit_depthwise *op) { return depthwise_scratch(op); }
void ivit_avx512_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                           int32_t *scale, void *scratch) {
  depthwise(op, r0, r1, x, out, scale, scratch);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
