/*
 * What is packed once for kernels whose register tile has CHUNK columns: weights with their constants, and how sums are
 * requantized. Whoever includes this defines first:
 *
 *   CHUNK             columns of a panel
 *   LANES             lanes of 32 bits of a vector
 *   OFFSET_SLOT(i)    the place of lane i among the 64-bit numbers of a vector's lanes
 *   GROUP             elements of a row that one 32-bit element of the product takes: 4 of 8 bits or 2 of 16
 *   GROUP_STEP        groups that the product takes at a time
 *   weight_t          what weights are multiplied as; CODE_OFFSET is taken from codes when they are multiplied
 */
#ifndef IVIT_PACKING_H
#define IVIT_PACKING_H

#include "../requantize.h"

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Of what linear layers and attention write: IVIT_ROWS as u-hat. */
static size_t element_size(ivit_type type) {
  return type == IVIT_U8 || type == IVIT_I8 ? 1 : type == IVIT_I16 ? 2 : 4;
}

/* --- linear layers --- */

/* Packed weights: a header, then for every CHUNK columns their constants and weights [groups][CHUNK][GROUP]. */
typedef struct {
  requantize_plan plan;
  int32_t groups;
  int32_t bias_bound; /* max |bias| */
  int64_t sum_bound;  /* max over n of |sum x*w|, before row scale and bias */
} linear_header;

typedef struct {
  int32_t start[CHUNK]; /* (CODE_OFFSET - zero)*sum w; for u8 inputs the bias as well */
  int32_t multiplier[CHUNK];
  int32_t bias[CHUNK];
} panel;

static int32_t groups_of(int32_t elements) {
  return (int32_t)round_up((size_t)elements, GROUP * GROUP_STEP) / GROUP;
}

static size_t weights_size(int32_t groups) { return (size_t)groups * CHUNK * GROUP * sizeof(weight_t); }

static size_t panel_size(int32_t groups) { return round_up(sizeof(panel) + weights_size(groups), IVIT_ALIGN); }

static panel *panel_at(const linear_header *h, int32_t n) {
  int8_t *first = (int8_t *)h + round_up(sizeof *h, IVIT_ALIGN);
  return (panel *)(first + (size_t)(n / CHUNK) * panel_size(h->groups));
}

/*
 * 16-bit inputs are multiplied as two rows of codes: x = 256*(high - 128) + low. With the sums H and L of the rows, which
 * panels of zero point 128 give as sum (code - 128)*w + beta (beta: the bias that the panel's own layer starts with),
 * acc = 256*H + L + constant[n], where constant[n] = bias[n] - 257*beta + 128*sum w.
 */
typedef struct {
  const linear_header *panels; /* the layer's own, behind the constants, or its twin's */
  int64_t constant[];
} wide_header;

static size_t panels_size(const ivit_linear *op) {
  size_t panels = (size_t)(op->cols + CHUNK - 1) / CHUNK;
  return round_up(sizeof(linear_header), IVIT_ALIGN) + panels * panel_size(groups_of(op->in_features));
}

static size_t constants_size(const ivit_linear *op) {
  return round_up(sizeof(wide_header) + (size_t)op->cols * sizeof(int64_t), IVIT_ALIGN);
}

static size_t linear_pack_size(const ivit_linear *op) {
  return (op->x_type == IVIT_I16 ? constants_size(op) : 0) + (op->twin ? 0 : panels_size(op));
}

static void plan_linear(const ivit_linear *op, linear_header *h) {
  *h = (linear_header){.groups = groups_of(op->in_features)};
  h->plan = plan_sums(op, &h->sum_bound, &h->bias_bound);
}

static void pack_panels(const ivit_linear *op, void *packed) {
  linear_header *h = packed;
  plan_linear(op, h);
  const int32_t zero = op->x_type == IVIT_I16 ? 128 : op->x_zero;
  size_t features = (size_t)op->in_features;
  for (int32_t n = 0; n < op->cols; n++) {
    panel *to = panel_at(h, n);
    size_t c = (size_t)n % CHUNK;
    if (c == 0) __builtin_memset(to, 0, panel_size(h->groups));
    weight_t *weight = (weight_t *)(to + 1);
    const int8_t *w = op->weight + (size_t)n * features;
    int32_t sum = 0;
    for (size_t k = 0; k < features; k++) {
      sum += w[k];
      weight[((k / GROUP) * CHUNK + c) * GROUP + k % GROUP] = w[k];
    }
    to->bias[c] = op->bias[n];
    to->start[c] = (CODE_OFFSET - zero) * sum + (op->x_type == IVIT_U8 ? op->bias[n] : 0);
    to->multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[n] << h->plan.scale);
  }
}

static int32_t column_sum(const panel *w, int32_t groups, size_t c) {
  const weight_t *weight = (const weight_t *)(w + 1);
  int32_t sum = 0;
  for (size_t g = 0; g < (size_t)groups; g++) {
    for (size_t i = 0; i < GROUP; i++) sum += weight[(g * CHUNK + c) * GROUP + i];
  }
  return sum;
}

static void linear_pack(const ivit_linear *op, void *packed) {
  if (op->x_type != IVIT_I16) {
    pack_panels(op, packed);
    return;
  }
  wide_header *h = packed;
  void *own = (int8_t *)packed + constants_size(op);
  if (!op->twin) pack_panels(op, own);
  h->panels = op->twin ? op->twin->packed : own;
  for (int32_t n = 0; n < op->cols; n++) {
    const panel *w = panel_at(h->panels, n);
    size_t c = (size_t)n % CHUNK;
    int64_t beta = op->twin && op->twin->x_type == IVIT_U8 ? w->bias[c] : 0;
    h->constant[n] = op->bias[n] - 257 * beta + 128 * (int64_t)column_sum(w, h->panels->groups, c);
  }
}

/* The two rows of codes of a 16-bit row. */
static void split_row(const int16_t *x, int32_t count, uint8_t *high, uint8_t *low) {
  for (int32_t k = 0; k < count; k++) {
    high[k] = (uint8_t)((x[k] >> 8) + 128);
    low[k] = (uint8_t)x[k];
  }
}

/* Columns n to n + count of a 16-bit row, from the sums of its two rows of codes. */
static void finish_split_row(const ivit_linear *op, const int32_t *high, const int32_t *low, const int32_t *residual,
                             void *out, int32_t n, int32_t count) {
  const int64_t *constant = ((const wide_header *)op->packed)->constant + n;
  for (int32_t c = 0; c < count; c++) {
    int32_t r = ivit_requantize(&op->out, (int64_t)high[c] * 256 + low[c] + constant[c], n + c);
    if (residual) r = ivit_clamp((int64_t)r + residual[c], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
    ivit_store(&op->out, out, (size_t)c, r);
  }
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

/* --- what row primitives requantize by --- */

/* What output_pack writes: a header, then for each channel its multiplier and its offset with 2^(c-1), of 64 bits or,
 * where the path is narrow, of 32. */
typedef struct {
  requantize_path path;
  int32_t shift;
} output_header;

static size_t channels_of(int32_t cols) { return round_up((size_t)cols, CHUNK); }

static size_t output_pack_size(int32_t cols) { return IVIT_ALIGN + channels_of(cols) * (sizeof(int32_t) + sizeof(int64_t)); }

static int32_t *multipliers_of(const output_header *h) { return (int32_t *)((int8_t *)h + IVIT_ALIGN); }

static void output_pack(const ivit_output *out, int32_t cols, int64_t limit, void *packed) {
  output_header *h = packed;
  int64_t largest = largest_multiplier(out->multiplier, cols), farthest = 0, half = ivit_half(out->shift);
  for (int32_t n = 0; out->offset && n < cols; n++) {
    int64_t o = out->offset[n];
    farthest = o > farthest ? o : -o > farthest ? -o : farthest;
  }
  int32_t scale = ivit_max(0, 32 - out->shift);
  const int64_t most = ((int64_t)1 << 61) >> scale;
  *h = (output_header){.path = WIDE, .shift = out->shift};
  if (out->shift >= 1 && out->shift <= 31 && farthest < INT32_MAX &&
      limit * largest + half + farthest < (int64_t)1 << 31) {
    h->path = NARROW;
    scale = 0;
  } else if (largest < ((int64_t)1 << 31) >> scale && farthest < most && limit * largest < most) {
    h->path = HIGH;
    h->shift = out->shift + scale - 32;
  } else {
    return;
  }
  int32_t *multiplier = multipliers_of(h);
  int64_t *offset = (int64_t *)(multiplier + channels_of(cols));
  __builtin_memset(multiplier, 0, channels_of(cols) * (sizeof *multiplier + sizeof *offset));
  for (int32_t n = 0; n < cols; n++) {
    int64_t o = half + (out->offset ? out->offset[n] : 0);
    multiplier[n] = (int32_t)((uint32_t)out->multiplier[n] << scale);
    if (h->path == NARROW) ((int32_t *)offset)[n] = (int32_t)o;
    else offset[n / LANES * LANES + OFFSET_SLOT(n % LANES)] = (int64_t)((uint64_t)o << scale);
  }
}

#endif
