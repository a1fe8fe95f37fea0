/* The primitives that move, or add up, rows, in plain C: src/kernels/windows.ts, patches.ts, and the mean of rows. */
#include "arith.h"

/*
 * A line of taps is copied at once where its pixels lie side by side: taps left of the map, inside of it, and right of
 * it.
 */
void ivit_portable_windows(const ivit_windows *op, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out) {
  const ivit_geometry *m = &op->map;
  const size_t tap = (size_t)m->channels, bytes = tap * ivit_size_of(type);
  const uint8_t *from = x;
  uint8_t *to = out;
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
          ivit_copy(to, from + ((size_t)y * (size_t)m->width + (size_t)column) * bytes, count);
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

void ivit_portable_mean_rows(const ivit_mean_rows *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                             void *scratch) {
  int32_t *row = scratch;
  const size_t cols = (size_t)op->cols;
  for (int32_t r = 0; r < rows; r++, x += (size_t)op->group * cols) {
    for (int32_t n = 0; n < op->cols; n++) {
      int64_t sum = 0;
      for (int32_t i = 0; i < op->group; i++) sum += x[(size_t)i * cols + (size_t)n];
      row[n] = ivit_requantize(&op->out, sum, n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}
