/*
 * How linear layers are packed for every SIMD table. Whoever includes this defines first:
 *
 *   CHUNK             columns of a panel, those of the register tile
 *   GROUP             elements of a row that one 32-bit element of the product takes: 4 of 8 bits or 2 of 16
 *   GROUP_STEP        groups that the product takes at a time
 *   weight_t          what weights are multiplied as; codes have as many bits, and CODE_OFFSET is taken from them
 *   panel             the constants of CHUNK columns: int32_t start[CHUNK], multiplier[CHUNK], bias[CHUNK], what else
 * it likes
 *
 * 16-bit inputs are multiplied in one of two ways:
 * - as they are, where codes have 16 bits and the accumulator is proven to fit 32: pairs of products fit as well
 *   (2*2^15*127), and sums may pass 32 bits on their way;
 * - as two rows of codes, x = 256*(high - 128) + low. With H and L the rows' sums of (code - CODE_OFFSET)*w,
 *   acc = 256*H + L + split_constant(n). Where acc is proven to fit 32 bits, so may this be computed modulo 2^32.
 */
#ifndef IVIT_LINEAR_PACKING_H
#define IVIT_LINEAR_PACKING_H

#include "requantize.h"

/* A packed layer: this header, [its weights and their sums], its panels. */
typedef struct {
  requantize_plan plan;
  int32_t groups;
  int32_t bias_bound;      /* max |bias| */
  int64_t sum_bound;       /* max over n of |sum x*w|, before row scale and bias */
  const weight_t *weight;  /* [panels][groups][CHUNK][GROUP]; the layer's own or its twin's, as the sums */
  const column_sums *sums; /* [cols] */
  panel *panels;
} linear_header;

static int32_t groups_of(int32_t elements) { return (int32_t)round_up((size_t)elements, GROUP * GROUP_STEP) / GROUP; }

static size_t weights_size(int32_t groups) { return (size_t)groups * CHUNK * GROUP * sizeof(weight_t); }

static const panel *panel_at(const linear_header *h, int32_t n) { return h->panels + n / CHUNK; }

static const weight_t *weights_at(const linear_header *h, int32_t n) {
  return h->weight + (size_t)(n / CHUNK) * weights_size(h->groups) / sizeof(weight_t);
}

/* Bytes of the parts of a packed layer. */
typedef struct {
  size_t header, weights, sums, panels;
} linear_layout;

static linear_layout lay_out_linear(const ivit_linear *op) {
  size_t panels = round_up((size_t)op->cols, CHUNK) / CHUNK;
  linear_layout l = {.header = round_up(sizeof(linear_header), IVIT_ALIGN), .panels = panels * sizeof(panel)};
  if (op->weights_of) return l;
  l.weights = round_up(panels * weights_size(groups_of(op->in_features)), IVIT_ALIGN);
  l.sums = round_up((size_t)op->cols * sizeof(column_sums), IVIT_ALIGN);
  return l;
}

static size_t linear_pack_size(const ivit_linear *op) {
  linear_layout l = lay_out_linear(op);
  return l.header + l.weights + l.sums + l.panels;
}

static void pack_weights(const ivit_linear *op, int32_t groups, weight_t *weight, column_sums *sums) {
  size_t features = (size_t)op->in_features;
  for (int32_t n = 0; n < op->cols; n++, weight += GROUP) {
    if (n > 0 && n % CHUNK == 0) weight += ((size_t)groups - 1) * CHUNK * GROUP;
    const int8_t *w = op->weight + (size_t)n * features;
    for (size_t k = 0; k < features; k++) weight[k / GROUP * CHUNK * GROUP + k % GROUP] = w[k];
    sums[n] = sums_of(w, op->in_features);
  }
}

/* Whether 16-bit inputs are multiplied as they are. */
static int multiplies_words(const linear_header *h) { return sizeof(weight_t) == 2 && h->plan.path != WIDE; }

static int64_t split_constant(const ivit_linear *op, const linear_header *h, int32_t n) {
  return op->bias[n] + (257 * CODE_OFFSET - 256 * 128) * (int64_t)h->sums[n].sum;
}

/*
 * `start`: where accumulators begin. `bias`: what is added to them after a row's scale or, modulo 2^32, to the joined
 * sums of the two rows of a 16-bit input.
 */
static void pack_column(const ivit_linear *op, const linear_header *h, int32_t n) {
  panel *to = h->panels + n / CHUNK;
  int32_t c = n % CHUNK, bias = op->bias[n];
  int split = op->x_type == IVIT_I16 && !multiplies_words(h);
  to->bias[c] = split ? (int32_t)(uint32_t)split_constant(op, h, n) : bias;
  if (op->x_type == IVIT_I16)
    to->start[c] = split ? 0 : bias;
  else
    to->start[c] = (CODE_OFFSET - op->x_zero) * h->sums[n].sum + (op->x_type == IVIT_U8 ? bias : 0);
  to->multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[n] << h->plan.scale);
}

static void linear_pack(const ivit_linear *op, void *packed) {
  const linear_layout l = lay_out_linear(op);
  int8_t *weights = (int8_t *)packed + l.header, *sums = weights + l.weights;
  linear_header *h = packed;
  *h = (linear_header){.groups = groups_of(op->in_features), .panels = (panel *)(sums + l.sums)};
  __builtin_memset(weights, 0, l.weights + l.sums + l.panels);
  if (op->weights_of) {
    const linear_header *twin = op->weights_of->packed;
    h->weight = twin->weight;
    h->sums = twin->sums;
  } else {
    h->weight = (weight_t *)weights;
    h->sums = (column_sums *)sums;
    pack_weights(op, h->groups, (weight_t *)weights, (column_sums *)sums);
  }
  h->plan = plan_sums(op, h->sums, &h->sum_bound, &h->bias_bound);
  for (int32_t n = 0; n < op->cols; n++) pack_column(op, h, n);
}

/* Whether a row of scale M' keeps to 32 bits; with M' = mantissa*2^e the shift is row_shift - e. */
static int row_fits(const ivit_linear *op, const linear_header *h, int32_t scale, int32_t *mantissa, int32_t *shift) {
  int32_t e = ivit_max(0, ivit_bits((uint64_t)scale) - 8);
  *mantissa = scale >> e;
  *shift = op->row_shift - e;
  if (*shift < 1 || *mantissa << e != scale) return 0;
  if (h->sum_bound * *mantissa + ivit_half(*shift) >= (int64_t)1 << 31) return 0;
  int64_t acc = ivit_shift_round(h->sum_bound * scale, op->row_shift) + h->bias_bound;
  return h->plan.lift == 0 || acc < ((int64_t)1 << 31) >> h->plan.lift;
}

#endif
