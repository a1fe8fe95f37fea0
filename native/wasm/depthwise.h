/* What lanes/depthwise.h wants of SIMD128, included by simd128.c: 8 channels, pairs of products. */

enum { MAP_CHANNELS = PANEL, MAP_LINES = 2, MAP_TILE = 4 };

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

INLINE void store_sums(const ivit_depthwise *op, int32_t n, map_sums s, void *out, int32_t count) {
  v128 v[2] = {s.low, s.high};
  requantize_eight(op->out.packed, op->map.channels, n, v);
  store_eight(&op->out, out, 0, v[0], v[1], ivit_min(8, count));
}

#include "../lanes/depthwise.h"
