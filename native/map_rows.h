/*
 * Rows of rotations, group norms and maxima: plain C that every table compiles for its own instructions. What follows
 * a sum is the table's requantization.
 */
#ifndef IVIT_MAP_ROWS_H
#define IVIT_MAP_ROWS_H

#include "arith.h"

/* x*cos + partner*sin of one row. */
static inline void ivit_rotate_row(const ivit_rotate *op, const int16_t *restrict x, const int16_t *restrict cos,
                                   const int16_t *restrict sin, int32_t *restrict v) {
  for (int32_t n = 0; n < op->cols; n += op->period) {
    const int32_t *partner = op->partner + n;
    for (int32_t i = 0; i < op->period; i++) v[n + i] = x[n + i] * cos[i] + x[partner[i]] * sin[i];
  }
}

/* Adds rows of x to the sums of each group. */
static inline void ivit_sum_groups(const ivit_group_norm *op, int32_t rows, const int16_t *restrict x,
                                   ivit_group_sums *restrict sums) {
  const int32_t width = op->cols / op->groups;
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t g = 0; g < op->groups; g++) {
      int64_t sum = 0;
      uint64_t squares = 0;
      for (int32_t n = 0; n < width;) {
        /* 2^15 additions of 16-bit numbers fit 32 bits. */
        const int32_t end = ivit_min(width, n + (1 << 15));
        int32_t part = 0;
        for (; n < end; n++, x++) {
          part += *x;
          squares += (uint32_t)(*x * *x);
        }
        sum += part;
      }
      sums[g].sum += sum;
      sums[g].squares += squares;
    }
  }
}

/* y-hat of one row. */
static inline void ivit_normalize_groups(const ivit_group_norm *op, const ivit_group_factor *factors,
                                         const int16_t *restrict x, int32_t *restrict v) {
  const int32_t width = op->cols / op->groups;
  for (int32_t g = 0; g < op->groups; g++, x += width, v += width) {
    const ivit_group_factor k = factors[g];
    for (int32_t n = 0; n < width; n++) v[n] = (int32_t)(((int64_t)(x[n] - k.mean) * k.f) >> k.t);
  }
}

/* The channels of one tap into the maxima so far. */
#define DEFINE_TAKE_LARGER(name, type)                                                                              \
  static inline void name(const type *restrict x, int32_t channels, type *restrict to) {                            \
    for (int32_t n = 0; n < channels; n++) to[n] = x[n] > to[n] ? x[n] : to[n];                                     \
  }
DEFINE_TAKE_LARGER(ivit_take_larger_u8, uint8_t)
DEFINE_TAKE_LARGER(ivit_take_larger_i8, int8_t)
DEFINE_TAKE_LARGER(ivit_take_larger_i16, int16_t)
DEFINE_TAKE_LARGER(ivit_take_larger_i32, int32_t)

static inline void ivit_take_larger(ivit_type type, const void *x, int32_t channels, void *to) {
  switch (type) {
    case IVIT_I8: ivit_take_larger_i8(x, channels, to); break;
    case IVIT_I16: ivit_take_larger_i16(x, channels, to); break;
    case IVIT_I32: ivit_take_larger_i32(x, channels, to); break;
    default: ivit_take_larger_u8(x, channels, to); break;
  }
}

/* Rows r0 to r1 of the maxima of windows, into `out`; x: the whole map. */
static inline void ivit_pool_rows(const ivit_geometry *map, ivit_type type, int32_t r0, int32_t r1, const void *x,
                                  void *out) {
  const size_t bytes = (size_t)map->channels * ivit_size_of(type);
  uint8_t *to = out;
  for (int32_t row = r0; row < r1; row++, to += bytes) {
    const int32_t line = row / map->out_w, top = line * map->stride_h - map->pad_top;
    const int32_t left = (row - line * map->out_w) * map->stride_w - map->pad_left;
    int is_first = 1;
    for (int32_t ky = 0, y = top; ky < map->kernel_h; ky++, y += map->dilation_h) {
      if (y < 0 || y >= map->height) continue;
      for (int32_t kx = 0, column = left; kx < map->kernel_w; kx++, column += map->dilation_w) {
        if (column < 0 || column >= map->width) continue;
        const uint8_t *from = (const uint8_t *)x + ((size_t)y * (size_t)map->width + (size_t)column) * bytes;
        if (is_first)
          ivit_copy(to, from, bytes);
        else
          ivit_take_larger(type, from, map->channels, to);
        is_first = 0;
      }
    }
  }
}

#endif
