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

/* Of the weights of one column. */
typedef struct {
  int32_t sum, magnitude; /* of w; of |w| */
} column_sums;

static inline column_sums sums_of(const int8_t *weights, int32_t count) {
  column_sums s = {0, 0};
  for (int32_t k = 0; k < count; k++) {
    s.sum += weights[k];
    s.magnitude += ivit_abs(weights[k]);
  }
  return s;
}

/* An upper bound of |sum_k (x[k] - zero)*w[k]| over all inputs; rows with a scale have codes 1 to 255. */
static inline int64_t sum_bound(const ivit_linear *op, column_sums w) {
  int32_t lo = -op->x_zero, hi = 255 - op->x_zero;
  if (op->x_type == IVIT_ROWS) lo = -127, hi = 127;
  if (op->x_type == IVIT_I16) lo = INT16_MIN, hi = INT16_MAX;
  int64_t positive = (w.magnitude + w.sum) / 2, negative = (w.magnitude - w.sum) / 2;
  int64_t most = positive * hi - negative * lo, least = positive * lo - negative * hi;
  return most > -least ? most : -least;
}

/*
 * The plan of a linear layer's sums that is right for every input; with row scales, for rows whose accumulators the
 * caller checks. Anything but WIDE means, other than with row scales, that no accumulator passes 32 bits, whatever its
 * parts do: they may be summed modulo 2^32. `sums`: of each column. Writes max over n of |sum x*w|, before row scale
 * and bias, and max |bias|.
 */
static inline requantize_plan plan_sums(const ivit_linear *op, const column_sums *sums, int64_t *most_sum,
                                        int32_t *most_bias) {
  int64_t product = 0, limit = 0;
  *most_sum = 0;
  *most_bias = 0;
  for (int32_t n = 0; n < op->cols; n++) {
    int64_t sum = sum_bound(op, sums[n]);
    *most_sum = sum > *most_sum ? sum : *most_sum;
    *most_bias = ivit_max(*most_bias, ivit_abs(op->bias[n]));
    if (op->x_type == IVIT_ROWS) sum = ivit_shift_round(sum * ((int64_t)IVIT_ROW_LIMIT + 1), op->row_shift);
    int64_t acc = sum + ivit_abs(op->bias[n]);
    if (acc > INT32_MAX) {
      if (op->x_type == IVIT_I16) return (requantize_plan){.path = WIDE};
      acc = INT32_MAX; /* the program proves it */
    }
    limit = acc > limit ? acc : limit;
    int64_t bound = acc * ivit_abs(op->out.multiplier[n]);
    product = bound > product ? bound : product;
  }
  if (op->x_type == IVIT_ROWS) limit = 0;
  return plan_requantize(limit, product, largest_multiplier(op->out.multiplier, op->cols), op->out.shift);
}

/* Of what linear layers and attention write: IVIT_ROWS as u-hat. */
static inline size_t element_size(ivit_type type) {
  return type == IVIT_U8 || type == IVIT_I8 ? 1 : type == IVIT_I16 ? 2 : 4;
}

#endif
