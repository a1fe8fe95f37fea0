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

/*
 * A constant for a loop, made before it: engines that see that it is one make it anew in every round. (Shifts by a
 * variable count take them four instructions; where it matters, products with powers of two stand in for them.)
 */
INLINE v128 constant(v128 v) {
  __asm__("" : "+r"(v));
  return v;
}

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

#define UNROLL_ROWS _Pragma("clang loop unroll(full)")

/*
 * A tile of sums to requantized values, in place. `scaled`: the 8 multipliers, scaled as the plan says; `multiplier`:
 * as they are.
 */
static void requantize_tile(v128 v[2 * TILE], const requantize_plan *plan, const int32_t *scaled,
                            const int32_t *multiplier, int32_t shift) {
  const v128 round = wasm_i32x4_splat(plan->round);
  v128 b[2] = {load(scaled), load(scaled + 4)};
  switch (plan->path) {
    case NARROW:
      UNROLL_ROWS for (int32_t i = 0; i < 2 * TILE; i++) {
        v[i] = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(v[i], b[i & 1]), round), plan->shift);
      }
      break;
    case LIFTED: {
      const v128 lift = wasm_i32x4_splat((int32_t)(1u << plan->lift));
      UNROLL_ROWS for (int32_t i = 0; i < 2 * TILE; i++) v[i] = wasm_i32x4_mul(v[i], lift);
    }
      /* fall through */
    case HIGH:
      UNROLL_ROWS for (int32_t i = 0; i < 2 * TILE; i++) {
        v128 low = wasm_i64x2_extmul_low_i32x4(v[i], b[i & 1]), high = wasm_i64x2_extmul_high_i32x4(v[i], b[i & 1]);
        v[i] = wasm_i32x4_shr(wasm_i32x4_add(high_words(low, high), round), plan->shift);
      }
      break;
    default:
      b[0] = load(multiplier), b[1] = load(multiplier + 4);
      for (int32_t i = 0; i < 2 * TILE; i++) v[i] = requantize_any(v[i], b[i & 1], shift);
  }
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

/*
 * The first `rows` rows of a tile of requantized values to the output's type, from element `at` on, `cols` elements
 * from row to row: `count` columns of them.
 */
static void store_tile(const ivit_output *out, void *data, size_t at, size_t cols, const v128 v[2 * TILE], int32_t rows,
                       int32_t count) {
  uint8_t *to = (uint8_t *)data + at * element_size(out->type);
  if (count < PANEL) {
    for (int32_t i = 0; i < rows; i++) store_eight(out, data, at + (size_t)i * cols, v[2 * i], v[2 * i + 1], count);
    return;
  }
  switch (out->type) {
    case IVIT_U8: {
      const v128 zero = wasm_i16x8_splat((int16_t)out->zero);
      for (int32_t i = 0; i < rows; i++, to += cols) {
        v128 wide = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(v[2 * i], v[2 * i + 1]), zero);
        wasm_v128_store64_lane(to, wasm_u8x16_narrow_i16x8(wide, wide), 0);
      }
      break;
    }
    case IVIT_I8:
      for (int32_t i = 0; i < rows; i++, to += cols) {
        v128 wide = wasm_i16x8_narrow_i32x4(v[2 * i], v[2 * i + 1]);
        v128 bytes = wasm_i8x16_max(wasm_i8x16_narrow_i16x8(wide, wide), wasm_i8x16_const_splat(-127));
        wasm_v128_store64_lane(to, bytes, 0);
      }
      break;
    case IVIT_I16:
      for (int32_t i = 0; i < rows; i++, to += 2 * cols) {
        v128 wide = wasm_i16x8_narrow_i32x4(v[2 * i], v[2 * i + 1]);
        store(to, wasm_i16x8_max(wide, wasm_i16x8_const_splat(-32767)));
      }
      break;
    default: {
      const v128 lo = wasm_i32x4_splat(out->lo), hi = wasm_i32x4_splat(out->hi);
      for (int32_t i = 0; i < rows; i++, to += 4 * cols) {
        store(to, clamp_words(v[2 * i], lo, hi));
        store(to + 16, clamp_words(v[2 * i + 1], lo, hi));
      }
    }
  }
}

#include "linear.h"
#include "rows.h"
#include "algebra.h"
#include "attention.h"
#include "depthwise.h"

#define rescale_sums rescale
#include "../lanes/maps.h"

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
    .paper_gelu = paper_gelu_rows,
    .ibert_gelu = ibert_gelu_rows,
    .rescale = rescale,
    .multiply = multiply_rows,
    .divide = divide_rows,
    .lookup = look_up_rows,
    .softmax = softmax_rows,
    .rotate = rotate_rows,
    .matmul_scratch = matmul_scratch,
    .matmul = matmul,
    .quantize_rows = quantize_rows,
    .add = add_wide,
    .depthwise_pack_size = depthwise_pack_size,
    .depthwise_pack = depthwise_pack,
    .depthwise_scratch = depthwise_scratch,
    .depthwise = depthwise,
    .mix_rows = mix_rows,
    .max_pool = pool_rows,
    .group_sums = sum_groups,
    .group_norm = group_norm_rows,
    .attention_pack_size = attention_pack_size,
    .attention_pack = attention_pack,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .published_pack_size = published_pack_size,
    .published_pack = published_pack,
    .published_scratch = published_scratch_size,
    .published = published_attention,
};
