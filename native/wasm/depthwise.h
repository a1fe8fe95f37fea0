/* What lanes/depthwise.h wants of SIMD128: 8 channels, pairs of products; sums of rows. Included by simd128.c. */

enum { MAP_CHANNELS = PANEL, MAP_LINES = 2, MAP_TILE = 4, MAP_STEP = MAP_CHANNELS * MAP_LINES };

typedef struct {
  v128 low, high;
} map_sums;
typedef map_sums map_weights;

INLINE map_sums zero_sums(void) { return (map_sums){wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0)}; }
INLINE void lay_lines(int16_t *to, const int16_t *a, const int16_t *b) {
  v128 x = load(a), y = load(b);
  store(to, wasm_i16x8_shuffle(x, y, 0, 8, 1, 9, 2, 10, 3, 11));
  store(to + 8, wasm_i16x8_shuffle(x, y, 4, 12, 5, 13, 6, 14, 7, 15));
}
INLINE map_weights load_weights(const int16_t *w) { return (map_weights){load(w), load(w + 8)}; }
INLINE map_sums add_products(map_sums s, const int16_t *x, map_weights w) {
  return (map_sums){wasm_i32x4_add(s.low, wasm_i32x4_dot_i16x8(w.low, load(x))),
                    wasm_i32x4_add(s.high, wasm_i32x4_dot_i16x8(w.high, load(x + 8)))};
}

INLINE int sums_fit(const ivit_depthwise *op) { return ((const output_header *)op->out.packed)->path != WIDE; }

INLINE void store_sums(const ivit_depthwise *op, int32_t n, map_sums s[MAP_TILE], int8_t *out, size_t step,
                       int32_t live) {
  for (int32_t i = 0; i < live; i++, out += step) {
    v128 v[2] = {s[i].low, s[i].high};
    requantize_eight(op->out.packed, op->map.channels, n, v);
    store_eight(&op->out, out, 0, v[0], v[1], ivit_min(8, op->map.channels - n));
  }
}

#include "../lanes/depthwise.h"

static void mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                     void *scratch) {
  const output_header *h = op->out.packed;
  if (!op->fits || h->path == WIDE) {
    ivit_portable_mix_rows(op, r0, r1, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = r0; r < r1; r++) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    const size_t at = (size_t)(r - r0) * (size_t)op->cols;
    for (int32_t n = 0; n < op->cols; n += 8) {
      /* Past the last column: other rows', which go nowhere. */
      v128 v[2] = {wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0)};
      for (int32_t t = 0; t < op->taps; t++) {
        if (index[t] < 0) continue;
        const int32_t *from = x + (size_t)index[t] * (size_t)op->cols + n;
        const v128 factor = wasm_i32x4_splat(weight[t]);
        for (int32_t j = 0; j < 2; j++) v[j] = wasm_i32x4_add(v[j], wasm_i32x4_mul(load(from + 4 * j), factor));
      }
      put_eight(&op->out, op->cols, n, v, is_dynamic ? scratch : out, is_dynamic ? 0 : at);
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + (r - r0));
  }
}
