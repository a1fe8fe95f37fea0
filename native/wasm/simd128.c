/*
 * The WebAssembly kernels, compiled twice: for SIMD128, and with the dot product of relaxed SIMD. Only product.h knows
 * the difference.
 */
#include "product.h"

/* packing.h: the panels of the product, and 64-bit numbers in the order of extmul. */
enum { CHUNK = PANEL };
#define LANES 4
#define OFFSET_SLOT(i) (i)
#define GROUP_STEP 1
#include "../lanes/packing.h"

INLINE v128 clamp_words(v128 v, v128 lo, v128 hi) { return wasm_i32x4_min(wasm_i32x4_max(v, lo), hi); }

/* The high, or the low, 32 bits of four 64-bit lanes. */
INLINE v128 high_words(v128 low, v128 high) { return wasm_i32x4_shuffle(low, high, 1, 3, 5, 7); }
INLINE v128 low_words(v128 low, v128 high) { return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6); }

/* (v*b + 2^(shift-1)) >> shift of four lanes, saturated to i32. */
INLINE v128 requantize_any(v128 v, v128 b, int32_t shift) {
  const v128 most = wasm_i64x2_const_splat(INT32_MAX), least = wasm_i64x2_const_splat(INT32_MIN);
  const v128 half = wasm_i64x2_splat(ivit_half(shift));
  v128 low = wasm_i64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(v, b), half), shift);
  v128 high = wasm_i64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(v, b), half), shift);
  low = wasm_v128_bitselect(most, low, wasm_i64x2_gt(low, most));
  low = wasm_v128_bitselect(least, low, wasm_i64x2_lt(low, least));
  high = wasm_v128_bitselect(most, high, wasm_i64x2_gt(high, most));
  high = wasm_v128_bitselect(least, high, wasm_i64x2_lt(high, least));
  return low_words(low, high);
}

/* Four lanes by a plan of packing.h that is not ANY; `b` is scaled as it says. */
INLINE v128 requantize(const requantize_plan *plan, v128 v, v128 b) {
  const v128 round = wasm_i32x4_splat(plan->round);
  if (plan->path == NARROW) return wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(v, b), round), plan->shift);
  if (plan->path == LIFTED) v = wasm_i32x4_shl(v, plan->lift);
  v128 high = high_words(wasm_i64x2_extmul_low_i32x4(v, b), wasm_i64x2_extmul_high_i32x4(v, b));
  return wasm_i32x4_shr(wasm_i32x4_add(high, round), plan->shift);
}

/*
 * Eight requantized i32, saturated to the output's type and stored from element `at` on: `count` of them, 1 to 8. The
 * narrowing saturates as the type's range demands, but that the lowest i8 and i16 are not used.
 */
INLINE void store_eight(const ivit_output *out, void *data, size_t at, v128 a, v128 b, int32_t count) {
  v128 first, second = wasm_i32x4_const_splat(0);
  size_t size = element_size(out->type);
  uint8_t *to = (uint8_t *)data + at * size;
  switch (out->type) {
    case IVIT_U8: {
      v128 wide = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_splat((int16_t)out->zero));
      first = wasm_u8x16_narrow_i16x8(wide, wide);
      break;
    }
    case IVIT_I8: {
      v128 wide = wasm_i16x8_narrow_i32x4(a, b);
      first = wasm_i8x16_max(wasm_i8x16_narrow_i16x8(wide, wide), wasm_i8x16_const_splat(-127));
      break;
    }
    case IVIT_I16: first = wasm_i16x8_max(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_const_splat(-32767)); break;
    default: {
      v128 lo = wasm_i32x4_splat(out->lo), hi = wasm_i32x4_splat(out->hi);
      first = clamp_words(a, lo, hi);
      second = clamp_words(b, lo, hi);
    }
  }
  if (__builtin_expect(count < 8, 0)) {
    v128 part[2] = {first, second};
    for (size_t i = 0; i < (size_t)count * size; i++) to[i] = ((const uint8_t *)part)[i];
  } else if (size == 1) {
    wasm_v128_store64_lane(to, first, 0);
  } else {
    store(to, first);
    if (size == 4) store(to + 16, second);
  }
}

#include "linear.h"
#include "rows.h"
#include "attention.h"

/* isa.c asks it. */
int ivit_simd128_supported(void) { return product_is_exact(); }

const ivit_isa ivit_isa_simd128 = {
#ifdef __wasm_relaxed_simd__
    .name = "relaxed-dot",
#else
    .name = "simd128",
#endif
    .tile_rows = TILE,
    .tile_cols = PANEL,
    .linear_pack_size = linear_pack_size,
    .linear_pack = linear_pack,
    .linear_scratch = linear_scratch,
    .linear = linear,
    .output_pack_size = output_pack_size,
    .output_pack = output_pack,
    .layer_norm = layer_norm,
    .activation = activation,
    .rescale = rescale,
    .quantize_rows = quantize_rows,
    .add = add_wide,
    .attention_pack_size = attention_pack_size,
    .attention_pack = attention_pack,
    .attention_scratch = attention_scratch,
    .attention = attention,
};
