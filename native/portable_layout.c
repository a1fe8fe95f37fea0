/* The primitives that move, or add up, rows, in plain C: src/kernels/windows.ts, patches.ts, and the mean of rows. */
#include "arith.h"

/*
 * A few bytes, 16 at a time where there is room for that many, in front of both ends: what lies behind them is written
 * later.
 */
static void copy_few(uint8_t *to, const uint8_t *end, const uint8_t *from, const uint8_t *from_end, size_t count) {
  enum { AT_ONCE = 16 };
  const size_t moved = round_up(count, AT_ONCE);
  if (count > 4 * AT_ONCE || (size_t)(end - to) < moved || (size_t)(from_end - from) < moved) {
    ivit_copy(to, from, count);
    return;
  }
  for (size_t i = 0; i < count; i += AT_ONCE) ivit_copy(to + i, from + i, AT_ONCE);
}

/*
 * A line of taps is copied at once where its pixels lie side by side: taps left of the map, inside of it, and right of
 * it.
 */
void ivit_portable_windows(const ivit_windows *op, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out) {
  const ivit_geometry *m = &op->map;
  const size_t tap = (size_t)m->channels, bytes = tap * ivit_size_of(type);
  const uint8_t *from = x, *from_end = from + (size_t)m->height * (size_t)m->width * bytes;
  uint8_t *to = out;
  const uint8_t *end = to + (size_t)(r1 - r0) * (size_t)m->kernel_h * (size_t)m->kernel_w * bytes;
  for (int32_t row = r0; row < r1; row++) {
    int32_t top = row / m->out_w * m->stride_h - m->pad_top, left = row % m->out_w * m->stride_w - m->pad_left;
    for (int32_t ky = 0; ky < m->kernel_h; ky++) {
      int32_t y = top + ky * m->dilation_h;
      for (int32_t kx = 0; kx < m->kernel_w;) {
        int32_t column = left + kx * m->dilation_w, taps = 1;
        int inside = y >= 0 && y < m->height && column >= 0 && column < m->width;
        if (inside && m->dilation_w == 1) taps = ivit_min(m->kernel_w - kx, m->width - column);
        size_t count = (size_t)taps * bytes;
        if (inside)
          copy_few(to, end, from + ((size_t)y * (size_t)m->width + (size_t)column) * bytes, from_end, count);
        else
          ivit_fill(to, op->fill, tap, type);
        to += count;
        kx += taps;
      }
    }
  }
}

void ivit_portable_patches(const ivit_geometry *map, int32_t r0, int32_t r1, const uint8_t *image, uint8_t *out) {
  const ivit_windows op = {.map = *map, .fill = 0};
  ivit_portable_windows(&op, IVIT_U8, r0, r1, image, out);
}

/* Columns whose sums are kept at a time: rows are read side by side. */
enum { SUMMED_COLUMNS = 64 };

void ivit_portable_mean_rows(const ivit_mean_rows *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                             void *scratch) {
  int32_t *row = scratch;
  const size_t cols = (size_t)op->cols;
  for (int32_t r = 0; r < rows; r++, x += (size_t)op->group * cols) {
    for (int32_t first = 0; first < op->cols; first += SUMMED_COLUMNS) {
      const int32_t count = ivit_min(SUMMED_COLUMNS, op->cols - first);
      const int32_t *from = x + first;
      int64_t sums[SUMMED_COLUMNS] = {0};
      for (int32_t i = 0; i < op->group; i++, from += cols)
        for (int32_t n = 0; n < count; n++) sums[n] += from[n];
      for (int32_t n = 0; n < count; n++) row[first + n] = ivit_requantize(&op->out, sums[n], first + n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}
