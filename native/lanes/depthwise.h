/*
 * Depthwise convolution for every SIMD table. Whoever includes this defines first:
 *
 *   MAP_CHANNELS      channels that are taken at a time
 *   MAP_LINES         lines of the map whose products one instruction adds up: 1 or 2
 *   MAP_TILE          windows of the register tile
 *   MAP_STEP          MAP_CHANNELS * MAP_LINES: elements of one column of a group of lines
 *   map_sums          the sums of one window and MAP_CHANNELS channels; zero_sums
 *   lay_lines         lays the channels of one pixel of MAP_LINES lines side by side as the product takes them
 *   map_weights       the weights of MAP_LINES taps, laid like them; load_weights
 *   add_products      sums + x*w
 *   store_sums        requantizes those of the first `live` windows of a tile, channels n and up, and stores them,
 *                     `step` bytes from window to window; IVIT_ROWS: as u-hat
 *   sums_fit          whether store_sums can requantize them
 *   quantize_rows
 *
 * and where it has a way of its own for some kernels, MAP_SLIDES and
 *
 *   slides            whether it is for such a kernel: then a segment is a whole line where it can be
 *   slide_elements    how many elements the weights of MAP_CHANNELS channels are, packed for it; pack_slides
 *   slide_segments    convolves segments of lines one below the other
 *
 * A segment, windows side by side in one line, is computed MAP_CHANNELS channels at a time. First the columns of the
 * map that it sees are laid out, with zeros outside of the map; then each window of a tile is a few products that read
 * them at a place of its own. Segments are so short that what they see of the map, all channels, stays in the cache.
 */
#ifndef IVIT_LANES_DEPTHWISE_H
#define IVIT_LANES_DEPTHWISE_H

#include "../map_lines.h"

enum { SEGMENT_BYTES = 1 << 14, SEEN_BYTES = 24 << 10, MOST_SEGMENT_BYTES = 1 << 20, MOST_SLID_COLUMNS = 256 };

#ifndef MAP_SLIDES
static int slides(const ivit_geometry *map) {
  (void)map;
  return 0;
}
static size_t slide_elements(int32_t k) { return 0 * (size_t)k; }
static void pack_slides(const ivit_depthwise *op, int16_t *to) { (void)op, (void)to; }
static void slide_segments(const ivit_depthwise *op, const int16_t *x, int32_t oy, int32_t ox, int32_t lines,
                           int32_t count, void *out) {
  (void)op, (void)x, (void)oy, (void)ox, (void)lines, (void)count, (void)out;
}
#endif

/* A packed op: this, then its weights [chunks][groups][kernel_w][MAP_STEP], or those of slides. */
typedef struct {
  int32_t segment; /* windows at a time; 0: none fit */
  int32_t groups;  /* of lines of the kernel */
  int32_t columns; /* that a segment sees */
  int32_t unused;
  size_t bytes; /* of this and the weights */
  int8_t fill[IVIT_ALIGN - 4 * sizeof(int32_t) - sizeof(size_t)];
} depthwise_header;

static const int16_t *weights_of(const depthwise_header *h) { return (const int16_t *)(h + 1); }

static int64_t segment_columns(const ivit_geometry *map, int32_t segment) {
  return (int64_t)(segment - 1) * map->stride_w + (int64_t)(map->kernel_w - 1) * map->dilation_w + 1;
}

static depthwise_header plan_depthwise(const ivit_geometry *map) {
  depthwise_header h = {.groups = (map->kernel_h + MAP_LINES - 1) / MAP_LINES};
  const int64_t column = (int64_t)h.groups * MAP_STEP * (int64_t)sizeof(int16_t);
  if (segment_columns(map, MAP_TILE) > MOST_SEGMENT_BYTES / column) return h;
  h.segment = MAP_TILE;
  const int64_t seen = (int64_t)map->kernel_h * map->channels * (int64_t)sizeof(int16_t);
  while (h.segment < map->out_w) {
    int64_t columns = segment_columns(map, h.segment + MAP_TILE);
    const int fits = slides(map) ? columns <= MOST_SLID_COLUMNS && columns * column <= MOST_SEGMENT_BYTES
                                 : columns * column <= SEGMENT_BYTES && columns <= SEEN_BYTES / seen;
    if (!fits) break;
    h.segment += MAP_TILE;
  }
  h.columns = (int32_t)segment_columns(map, h.segment);
  return h;
}

static size_t lines_bytes(const depthwise_header *h) {
  return round_up((size_t)h->groups * (size_t)h->columns * MAP_STEP * sizeof(int16_t), IVIT_ALIGN);
}

static size_t depthwise_pack_size(const ivit_depthwise *op) {
  depthwise_header h = plan_depthwise(&op->map);
  if (h.segment == 0) return sizeof h;
  size_t chunks = round_up((size_t)op->map.channels, MAP_CHANNELS) / MAP_CHANNELS;
  const size_t laid = (size_t)h.groups * (size_t)op->map.kernel_w * MAP_STEP;
  return sizeof h + chunks * (slides(&op->map) ? slide_elements(op->map.kernel_w) : laid) * sizeof(int16_t);
}

static size_t depthwise_scratch(const ivit_depthwise *op) {
  depthwise_header h = plan_depthwise(&op->map);
  size_t rows = ivit_row_scratch(op->map.channels);
  if (h.segment == 0) return rows;
  size_t u = (size_t)h.segment * (size_t)op->map.channels * sizeof(int32_t) + IVIT_SLACK;
  return lines_bytes(&h) + (op->out.type == IVIT_ROWS ? u : 0) + rows;
}

static void depthwise_pack(const ivit_depthwise *op, void *packed) {
  depthwise_header *h = packed;
  *h = plan_depthwise(&op->map);
  h->bytes = depthwise_pack_size(op);
  if (h->segment == 0) return;
  const ivit_geometry *map = &op->map;
  int16_t *to = (int16_t *)(h + 1);
  if (slides(map)) {
    pack_slides(op, to);
    return;
  }
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS) {
    for (int32_t ky = 0; ky < map->kernel_h; ky += MAP_LINES) {
      for (int32_t kx = 0; kx < map->kernel_w; kx++, to += MAP_STEP) {
        const int16_t *w = op->weight + (size_t)(ky * map->kernel_w + kx) * (size_t)map->channels + n;
        int is_last = ky + 1 == map->kernel_h;
        lay_lines(to, w, is_last ? no_pixel : w + (size_t)map->kernel_w * (size_t)map->channels);
      }
    }
  }
}

/* Columns left to left + columns, channels n and up. */
static void lay_columns(const ivit_geometry *map, const depthwise_header *h, const int16_t *x, int32_t top,
                        int32_t left, int32_t columns, int32_t n, int16_t *to) {
  const int32_t first = ivit_min(ivit_max(-left, 0), columns), end = ivit_min(ivit_max(map->width - left, 0), columns);
  for (int32_t g = 0; g < h->groups; g++, to += (size_t)h->columns * MAP_STEP) {
    map_line a = find_line(map, x, g * MAP_LINES, top), b = find_line(map, x, g * MAP_LINES + 1, top);
    for (int32_t c = 0; c < first; c++) lay_lines(to + (size_t)c * MAP_STEP, no_pixel, no_pixel);
    if (first < end) {
      const int16_t *from = a.first + (a.stride ? n : 0) + (size_t)(left + first) * a.stride;
      const int16_t *below = b.first + (b.stride ? n : 0) + (size_t)(left + first) * b.stride;
      for (int32_t c = first; c < end; c++, from += a.stride, below += b.stride)
        lay_lines(to + (size_t)c * MAP_STEP, from, below);
    }
    for (int32_t c = ivit_max(first, end); c < columns; c++) lay_lines(to + (size_t)c * MAP_STEP, no_pixel, no_pixel);
  }
}

#define UNROLL_MAP_TILE _Pragma("GCC unroll 8")

/* `groups` of lines and the kernel's width are known when it is compiled where they are the usual ones. */
INLINE void sum_tile(const ivit_geometry *map, const depthwise_header *h, const int16_t *x, const int16_t *w,
                     const int32_t groups, const int32_t width, map_sums s[MAP_TILE]) {
  const size_t step = (size_t)map->stride_w * MAP_STEP, next = (size_t)map->dilation_w * MAP_STEP;
  UNROLL_MAP_TILE for (int p = 0; p < MAP_TILE; p++) s[p] = zero_sums();
  for (int32_t g = 0; g < groups; g++, x += (size_t)h->columns * MAP_STEP) {
    const int16_t *at = x;
    for (int32_t kx = 0; kx < width; kx++, w += MAP_STEP, at += next) {
      const map_weights weights = load_weights(w);
      UNROLL_MAP_TILE for (int p = 0; p < MAP_TILE; p++) s[p] = add_products(s[p], at + (size_t)p * step, weights);
    }
  }
}

/* `count` windows from (oy, ox) on; u-hat where that is the output's type. */
static void convolve_segment(const ivit_depthwise *op, const int16_t *x, int32_t oy, int32_t ox, int32_t count,
                             void *out, int16_t *lines) {
  const depthwise_header *h = op->packed;
  const ivit_geometry *map = &op->map;
  const size_t channels = (size_t)map->channels, size = element_size(op->out.type);
  const int16_t *w = weights_of(h);
  const int32_t top = oy * map->stride_h - map->pad_top, left = ox * map->stride_w - map->pad_left;
  if (slides(map)) {
    slide_segments(op, x, oy, ox, 1, count, out);
    return;
  }
  const int32_t columns = (int32_t)segment_columns(map, count);
  for (int32_t n = 0; n < map->channels; n += MAP_CHANNELS) {
    lay_columns(map, h, x, top, left, columns, n, lines);
    int8_t *to = (int8_t *)out + (size_t)n * size;
    for (int32_t p = 0; p < count; p += MAP_TILE) {
      map_sums s[MAP_TILE];
      sum_tile(map, h, lines + (size_t)p * (size_t)map->stride_w * MAP_STEP, w, h->groups, map->kernel_w, s);
      store_sums(op, n, s, to + (size_t)p * channels * size, channels * size, ivit_min(MAP_TILE, count - p));
    }
    w += (size_t)h->groups * (size_t)map->kernel_w * MAP_STEP;
  }
}

static void depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out, int32_t *scale,
                      void *scratch) {
  const depthwise_header *h = op->packed;
  if (h->segment == 0 || !sums_fit(op)) {
    ivit_portable_depthwise(op, r0, r1, x, out, scale, scratch);
    return;
  }
  const size_t channels = (size_t)op->map.channels;
  int32_t *u = (int32_t *)((int8_t *)scratch + lines_bytes(h));
  int8_t *to = out;
  for (int32_t r = r0; r < r1;) {
    int32_t ox = r % op->map.out_w, count = ivit_min(ivit_min(h->segment, op->map.out_w - ox), r1 - r);
    if (op->out.type == IVIT_ROWS) {
      convolve_segment(op, x, r / op->map.out_w, ox, count, u, scratch);
      quantize_rows(count, op->map.channels, u, (uint8_t *)to, scale);
      to += (size_t)count * channels;
      scale += count;
    } else if (slides(&op->map) && count == op->map.out_w) {
      const int32_t lines = (r1 - r) / count;
      slide_segments(op, x, r / count, 0, lines, count, to);
      count *= lines;
      to += (size_t)count * channels * element_size(op->out.type);
    } else {
      convolve_segment(op, x, r / op->map.out_w, ox, count, to, scratch);
      to += (size_t)count * channels * element_size(op->out.type);
    }
    r += count;
  }
}

#endif
