/* How instruction sets with 32-bit lanes may requantize, decided from proven bounds when constants are packed. */
#ifndef IVIT_REQUANTIZE_H
#define IVIT_REQUANTIZE_H

#include "arith.h"

/*
 * How (v*b[n] + 2^(c-1) + offset[n]) >> c is computed.
 * - NARROW: everything is proven to fit 32 bits;
 * - HIGH: b, c and offset are brought to c >= 32, so that the result lies in the high half of a 64-bit sum; without an
 *   offset c >= 33, 2^(c-1) is a multiple of 2^32, floors nest and it is (high32(v*b) + 2^(c-33)) >> (c - 32);
 * - LIFTED: the same without an offset, where that takes a shift of v as well as of b;
 * - WIDE: none of these: 64-bit shifts, or plain C.
 */
typedef enum { NARROW, HIGH, LIFTED, WIDE } requantize_path;

typedef struct {
  requantize_path path;
  int32_t scale; /* b is multiplied by 2^scale */
  int32_t lift;  /* LIFTED: v by 2^lift */
  int32_t shift; /* of 32-bit lanes, after `round` is added */
  int32_t round;
} requantize_plan;

/* Without an offset. `limit`: max |v|; `bound`: max over n of |v|*|b[n]|; `largest`: max |b[n]|. */
static inline requantize_plan plan_requantize(int64_t limit, int64_t bound, int64_t largest, int32_t shift) {
  if (shift >= 1 && shift <= 31 && bound + ivit_half(shift) < (int64_t)1 << 31) {
    return (requantize_plan){.path = NARROW, .shift = shift, .round = (int32_t)ivit_half(shift)};
  }
  requantize_plan plan = {.path = WIDE};
  if (shift < 1) return plan;
  int32_t missing = ivit_max(0, 33 - shift), scale = ivit_min(missing, 31 - ivit_bits((uint64_t)largest));
  int32_t lift = missing - scale, c = shift + missing;
  if (limit >= ((int64_t)1 << 31) >> lift) return plan;
  return (requantize_plan){
      .path = lift == 0 ? HIGH : LIFTED, .scale = scale, .lift = lift, .shift = c - 32, .round = 1 << (c - 33)};
}

static inline int64_t largest_multiplier(const int32_t *multiplier, int32_t n) {
  int64_t largest = 0;
  for (int32_t i = 0; i < n; i++) {
    int64_t b = multiplier[i];
    largest = b > largest ? b : -b > largest ? -b : largest;
  }
  return largest;
}

/*
 * The plan of a linear layer's sums that is right for every input; with row scales, for rows whose accumulators the
 * caller checks. Writes max over n of |sum x*w|, before row scale and bias, and max |bias|.
 */
static inline requantize_plan plan_sums(const ivit_linear *op, int64_t *sum_bound, int32_t *bias_bound) {
  int64_t product = 0, limit = 0;
  *sum_bound = 0;
  *bias_bound = 0;
  for (int32_t n = 0; n < op->cols; n++) {
    int64_t sum = ivit_linear_bound(op, n);
    *sum_bound = sum > *sum_bound ? sum : *sum_bound;
    *bias_bound = ivit_max(*bias_bound, ivit_abs(op->bias[n]));
    if (op->x_type == IVIT_ROWS) sum = ivit_shift_round(sum * ((int64_t)IVIT_ROW_LIMIT + 1), op->row_shift);
    int64_t acc = sum + ivit_abs(op->bias[n]);
    if (acc > INT32_MAX) acc = INT32_MAX;
    limit = acc > limit ? acc : limit;
    int64_t bound = acc * ivit_abs(op->out.multiplier[n]);
    product = bound > product ? bound : product;
  }
  if (op->x_type == IVIT_ROWS) limit = 0;
  return plan_requantize(limit, product, largest_multiplier(op->out.multiplier, op->cols), op->out.shift);
}

#endif
