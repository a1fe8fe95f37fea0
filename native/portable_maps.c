/* The primitives on feature maps in plain C: src/kernels/windows.ts, depthwise.ts, mix-rows.ts, group-norm.ts. */
#include "map_rows.h"

/* The pixel of a tap of window `row`, or -1 outside the map. */
static ptrdiff_t find_tap(const ivit_geometry *map, int32_t row, int32_t ky, int32_t kx) {
  int32_t y = row / map->out_w * map->stride_h - map->pad_top + ky * map->dilation_h;
  int32_t x = row % map->out_w * map->stride_w - map->pad_left + kx * map->dilation_w;
  if (y < 0 || y >= map->height || x < 0 || x >= map->width) return -1;
  return (ptrdiff_t)y * map->width + x;
}

void ivit_portable_max_pool(const ivit_geometry *map, ivit_type type, int32_t r0, int32_t r1, const void *x,
                            void *out) {
  ivit_pool_rows(map, type, r0, r1, x, out);
}

size_t ivit_portable_depthwise_scratch(const ivit_depthwise *op) { return ivit_row_scratch(op->map.channels); }

void ivit_portable_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                             int32_t *scale, void *scratch) {
  const ivit_geometry *map = &op->map;
  int32_t channels = map->channels;
  int32_t *row = scratch;
  for (int32_t r = r0; r < r1; r++) {
    for (int32_t n = 0; n < channels; n++) row[n] = 0;
    const int16_t *w = op->weight;
    for (int32_t ky = 0; ky < map->kernel_h; ky++) {
      for (int32_t kx = 0; kx < map->kernel_w; kx++, w += channels) {
        ptrdiff_t pixel = find_tap(map, r, ky, kx);
        if (pixel < 0) continue;
        const int16_t *from = x + (size_t)pixel * (size_t)channels;
        for (int32_t n = 0; n < channels; n++) row[n] += w[n] * from[n];
      }
    }
    for (int32_t n = 0; n < channels; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r - r0, channels, row, out, scale);
  }
}

int64_t ivit_mix_rows_bound(const ivit_mix_rows *op, int32_t rows) {
  const size_t taps = (size_t)op->taps;
  int64_t most = 0;
  for (size_t r = 0; r < (size_t)rows; r++) {
    int64_t sum = 0;
    for (size_t i = r * taps; i < (r + 1) * taps; i++) sum += op->index[i] < 0 ? 0 : ivit_abs(op->weight[i]);
    most = sum > most ? sum : most;
  }
  return most * IVIT_WIDE_LIMIT;
}

void ivit_portable_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out,
                            int32_t *scale, void *scratch) {
  int64_t *sum = scratch;
  const size_t cols = (size_t)op->cols;
  int32_t *row = (int32_t *)(sum + cols);
  for (int32_t r = r0; r < r1; r++) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    for (size_t n = 0; n < cols; n++) sum[n] = 0;
    for (int32_t t = 0; t < op->taps; t++) {
      if (index[t] < 0) continue;
      const int32_t *from = x + (size_t)index[t] * cols;
      for (size_t n = 0; n < cols; n++) sum[n] += (int64_t)weight[t] * from[n];
    }
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, sum[n], n);
    ivit_portable_store_row(&op->out, r - r0, op->cols, row, out, scale);
  }
}

void ivit_portable_group_sums(const ivit_group_norm *op, int32_t rows, const int16_t *x, ivit_group_sums *sums) {
  ivit_sum_groups(op, rows, x, sums);
}

void ivit_portable_group_norm(const ivit_group_norm *op, const ivit_group_factor *factors, int32_t rows,
                              const int16_t *x, void *out, int32_t *scale, void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    ivit_normalize_groups(op, factors, x, row);
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}
