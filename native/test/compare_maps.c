/*
 * Depthwise convolution on plain C and on an instruction set; and what is plain C on all of them, beside loops that say
 * what src/kernels/windows.ts, mix-rows.ts, rotate.ts, group-norm.ts and the mean of rows do, in 128 bits.
 */
#include "compare.h"

typedef __int128 wide;

static ivit_geometry pick_geometry(void) {
  ivit_geometry map = {.height = pick(1, 12),
                       .width = pick(1, chance(20) ? 200 : 20),
                       .kernel_h = pick(1, 7),
                       .kernel_w = pick(1, 7),
                       .stride_h = pick(1, 3),
                       .stride_w = pick(1, 3),
                       .pad_top = pick(0, 4),
                       .pad_left = pick(0, 4),
                       .dilation_h = chance(70) ? 1 : pick(1, 3),
                       .dilation_w = chance(70) ? 1 : pick(1, 3),
                       .channels = pick(1, 100)};
  map.out_w = chance(70) ? (map.width + map.stride_w - 1) / map.stride_w : pick(1, 30);
  if (chance(2)) map.kernel_w = pick(1, 30), map.dilation_w = pick(100, 9000);
  return map;
}

/* Multipliers that are powers of 2, and offsets about as far as sums go: what tables shift instead. */
static void pick_powers(ivit_output *out, int32_t channels) {
  int32_t *multiplier = buffer(round_up((size_t)channels, 64) * sizeof *multiplier);
  int64_t *offset = buffer(round_up((size_t)channels, 64) * sizeof *offset);
  out->shift = pick(1, 45);
  const int32_t reach = pick(0, chance(20) ? 31 : 20);
  for (int32_t n = 0; n < channels; n++) {
    int32_t power = pick(ivit_max(0, out->shift - 31), ivit_min(30, out->shift));
    multiplier[n] = 1 << power;
    offset[n] = pick_bits(reach) * multiplier[n] + pick(0, multiplier[n] - 1);
  }
  out->multiplier = multiplier;
  out->offset = offset;
}

size_t compare_depthwise(const ivit_isa *isa) {
  ivit_depthwise op = {.map = pick_geometry()};
  const int32_t channels = op.map.channels, taps = op.map.kernel_h * op.map.kernel_w;
  const int32_t limit = chance(60) ? 65535 / taps : pick(1, ivit_min(32767, 65535 / taps));
  const int32_t rows = op.map.out_w * pick(1, 8), r0 = pick(0, rows - 1), r1 = pick(r0 + 1, rows);
  op.out = pick_output(channels, 31, 1);
  if (chance(60)) pick_powers(&op.out, channels);
  int16_t *weight = buffer((size_t)(taps * channels) * sizeof *weight + 128);
  size_t count = (size_t)op.map.height * (size_t)op.map.width * (size_t)channels;
  int16_t *x = buffer(count * sizeof *x);
  int extreme = chance(30);
  for (int32_t i = 0; i < taps * channels; i++)
    weight[i] = (int16_t)(extreme ? pick_end(-limit, limit, 0) : pick(-limit, limit));
  for (size_t i = 0; i < count; i++) x[i] = (int16_t)(extreme ? pick_end(-32767, 32767, 1) : pick(-32767, 32767));
  op.weight = weight;

  size_t elements = (size_t)(r1 - r0) * (size_t)channels, bytes = elements * ivit_size_of(op.out.type);
  uint8_t *out[2];
  int32_t *scale[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    out[t] = buffer(bytes);
    scale[t] = buffer((size_t)(r1 - r0) * sizeof(int32_t));
    if (tables[t]->output_pack) {
      op.out.packed = buffer(tables[t]->output_pack_size(channels));
      tables[t]->output_pack(&op.out, channels, INT32_MAX, op.out.packed);
    }
    if (tables[t]->depthwise_pack) {
      op.packed = buffer(tables[t]->depthwise_pack_size(&op));
      tables[t]->depthwise_pack(&op, op.packed);
    }
    tables[t]->depthwise(&op, r0, r1, x, out[t], scale[t], buffer(tables[t]->depthwise_scratch(&op)));
  }
  char detail[200];
  snprintf(detail, sizeof detail, "map %dx%d kernel %dx%d channels %d rows %d to %d out %d shift %d", op.map.height,
           op.map.width, op.map.kernel_h, op.map.kernel_w, channels, r0, r1, op.out.type, op.out.shift);
  check("depthwise", out[0], out[1], bytes, detail);
  if (op.out.type == IVIT_ROWS) check("depthwise scales", scale[0], scale[1], (size_t)(r1 - r0) * 4, detail);
  return elements;
}

/* A pixel's element, or whether the tap lies outside the map. */
static int tap_inside(const ivit_geometry *map, int32_t row, int32_t tap, size_t *pixel) {
  int32_t y = row / map->out_w * map->stride_h - map->pad_top + tap / map->kernel_w * map->dilation_h;
  int32_t x = row % map->out_w * map->stride_w - map->pad_left + tap % map->kernel_w * map->dilation_w;
  if (y < 0 || y >= map->height || x < 0 || x >= map->width) return 0;
  *pixel = (size_t)y * (size_t)map->width + (size_t)x;
  return 1;
}

static int64_t element(const void *x, ivit_type type, size_t at) {
  switch (type) {
    case IVIT_I8: return ((const int8_t *)x)[at];
    case IVIT_I16: return ((const int16_t *)x)[at];
    case IVIT_I32: return ((const int32_t *)x)[at];
    default: return ((const uint8_t *)x)[at];
  }
}

size_t compare_max_pool(const ivit_isa *isa) {
  ivit_geometry map = pick_geometry();
  const ivit_type type = (ivit_type)pick(0, 3);
  const int32_t rows = map.out_w * pick(1, 8), r0 = pick(0, rows - 1), r1 = pick(r0 + 1, rows);
  const size_t channels = (size_t)map.channels, count = (size_t)map.height * (size_t)map.width * channels;
  const size_t elements = (size_t)(r1 - r0) * channels;
  uint8_t *x = buffer(count * ivit_size_of(type));
  for (size_t i = 0; i < count * ivit_size_of(type); i++) x[i] = (uint8_t)(chance(20) ? 128 : pick(0, 255));
  uint8_t *out = buffer(elements * ivit_size_of(type)), *expected = buffer(elements * ivit_size_of(type));
  for (int32_t r = r0; r < r1; r++) {
    for (size_t n = 0; n < channels; n++) {
      int64_t most = INT64_MIN;
      for (int32_t tap = 0; tap < map.kernel_h * map.kernel_w; tap++) {
        size_t pixel;
        if (!tap_inside(&map, r, tap, &pixel)) continue;
        int64_t v = element(x, type, pixel * channels + n);
        most = v > most ? v : most;
      }
      /* Such a window is refused when a model is loaded: nothing is written. */
      if (most == INT64_MIN) most = 0;
      memcpy(expected + ((size_t)(r - r0) * channels + n) * ivit_size_of(type), &most, ivit_size_of(type));
    }
  }
  isa->max_pool(&map, type, r0, r1, x, out);
  check("max pool", expected, out, elements * ivit_size_of(type), "");
  return elements;
}

/* v of every element of rows, requantized and stored as src/kernels/dyadic.ts and output.ts say. */
static void store_rows(const ivit_output *out, int32_t rows, int32_t cols, const wide *v, void *data, int32_t *scale) {
  int32_t *row = buffer((size_t)cols * sizeof *row);
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t n = 0; n < cols; n++) {
      wide sum = v[(size_t)r * (size_t)cols + (size_t)n] * out->multiplier[n] + (out->offset ? out->offset[n] : 0);
      sum = (sum + (out->shift > 0 ? (wide)1 << (out->shift - 1) : 0)) >> out->shift;
      row[n] = (int32_t)(sum < out->lo ? out->lo : sum > out->hi ? out->hi : sum);
    }
    ivit_portable_store_row(out, r, cols, row, data, scale);
  }
}

static size_t check_rows(const char *name, const ivit_output *out, int32_t rows, int32_t cols, const wide *v,
                         const void *data, const int32_t *scale) {
  size_t count = (size_t)rows * (size_t)cols;
  void *expected = buffer(count * ivit_size_of(out->type));
  int32_t *scales = buffer((size_t)rows * sizeof *scales);
  store_rows(out, rows, cols, v, expected, scales);
  check(name, expected, data, count * ivit_size_of(out->type), "");
  if (out->type == IVIT_ROWS) check(name, scales, scale, (size_t)rows * sizeof *scales, "scales");
  return count;
}

size_t compare_windows(const ivit_isa *isa) {
  (void)isa;
  ivit_windows op = {.map = pick_geometry()};
  op.map.channels = pick(1, 20);
  const ivit_type type = (ivit_type)pick(0, 3);
  op.fill = type == IVIT_U8 ? pick(0, 255) : 0;
  const int32_t taps = op.map.kernel_h * op.map.kernel_w;
  const int32_t rows = op.map.out_w * pick(1, 8), r0 = pick(0, rows - 1), r1 = pick(r0 + 1, rows);
  const size_t channels = (size_t)op.map.channels, size = ivit_size_of(type);
  const size_t count = (size_t)op.map.height * (size_t)op.map.width * channels;
  const size_t elements = (size_t)(r1 - r0) * (size_t)taps * channels;
  uint8_t *x = buffer(count * size), *out = buffer(elements * size), *expected = buffer(elements * size);
  for (size_t i = 0; i < count * size; i++) x[i] = (uint8_t)pick(0, 255);
  for (size_t i = 0; i < elements; i++) {
    size_t pixel, tap = i / channels % (size_t)taps, row = (size_t)r0 + i / channels / (size_t)taps;
    int inside = tap_inside(&op.map, (int32_t)row, (int32_t)tap, &pixel);
    int64_t v = inside ? element(x, type, pixel * channels + i % channels) : op.fill;
    memcpy(expected + i * size, &v, size);
  }
  ivit_portable_windows(&op, type, r0, r1, x, out);
  check("windows", expected, out, elements * size, "");
  return elements;
}

size_t compare_mean_rows(const ivit_isa *isa) {
  (void)isa;
  ivit_mean_rows op = {.cols = pick(1, 200), .group = pick(1, 30)};
  const int32_t rows = pick(1, 12);
  const size_t cols = (size_t)op.cols, count = (size_t)rows * cols, read = (size_t)op.group * cols;
  int32_t *x = buffer((size_t)rows * read * sizeof *x);
  fill_i32(x, (size_t)rows * read, chance(50) ? 24 : pick(1, 24));
  op.out = pick_output(op.cols, 24 + ivit_bits((uint64_t)op.group), 0);
  wide *v = buffer(count * sizeof *v);
  for (size_t i = 0; i < (size_t)rows * read; i++) v[i / read * cols + i % cols] += x[i];
  void *out = buffer(count * ivit_size_of(op.out.type));
  int32_t *scale = buffer((size_t)rows * sizeof *scale);
  ivit_portable_mean_rows(&op, rows, x, out, scale, buffer(ivit_row_scratch(op.cols)));
  return check_rows("mean rows", &op.out, rows, op.cols, v, out, scale);
}

size_t compare_mix_rows(const ivit_isa *isa) {
  ivit_mix_rows op = {.cols = pick(1, 200), .taps = pick(1, 16)};
  const int32_t rows = pick(1, 20), sources = pick(1, 20);
  const size_t cols = (size_t)op.cols, taps = (size_t)op.taps;
  int32_t *index = buffer((size_t)rows * taps * sizeof *index), *x = buffer((size_t)sources * cols * sizeof *x);
  for (size_t i = 0; i < (size_t)rows * taps; i++) index[i] = pick(-1, sources - 1);
  fill_i32(x, (size_t)sources * cols, 24);
  op.index = index;
  int16_t *weight = pick_words((size_t)rows * taps);
  const int shared = chance(30);
  if (shared || chance(50)) {
    for (size_t i = 0; i < (size_t)rows * taps; i++)
      weight[i] = shared && i % taps > 0 ? weight[i - 1] : (int16_t)pick(-128 / op.taps, 128 / op.taps);
  }
  op.weight = weight;
  const int64_t bound = ivit_mix_rows_bound(&op, rows);
  op.fits = bound <= INT32_MAX;
  op.out = pick_output(op.cols, ivit_bits((uint64_t)bound), 1);
  if (op.fits && isa->output_pack) {
    op.out.packed = buffer(isa->output_pack_size(op.cols));
    isa->output_pack(&op.out, op.cols, bound > IVIT_ACTIVATION_LIMIT ? bound : INT32_MAX, op.out.packed);
  }
  wide *v = buffer((size_t)rows * cols * sizeof *v);
  for (size_t i = 0; i < (size_t)rows * cols; i++) {
    for (size_t t = i / cols * taps; t < (i / cols + 1) * taps; t++)
      if (index[t] >= 0) v[i] += (wide)op.weight[t] * x[(size_t)index[t] * cols + i % cols];
  }
  void *out = buffer((size_t)rows * cols * ivit_size_of(op.out.type));
  int32_t *scale = buffer((size_t)rows * sizeof *scale);
  isa->mix_rows(&op, 0, rows, x, out, scale, buffer(ivit_row_scratch(op.cols)));
  return check_rows("mix rows", &op.out, rows, op.cols, v, out, scale);
}

/* Prepares an output for values up to `limit`. */
static void pack(const ivit_isa *isa, ivit_output *out, int32_t cols, int64_t limit) {
  if (!isa->output_pack) return;
  out->packed = buffer(isa->output_pack_size(cols));
  isa->output_pack(out, cols, limit, out->packed);
}

size_t compare_rotate(const ivit_isa *isa) {
  ivit_rotate op = {.period = pick(1, 130)};
  op.cols = op.period * pick(1, 4);
  op.stride = op.cols + pick(0, 20);
  const size_t cols = (size_t)op.cols, period = (size_t)op.period;
  int32_t rows = pick(1, 20), *partner = buffer(padded(op.cols) * sizeof *partner);
  int usual = chance(60) && op.cols % 2 == 0;
  for (int32_t n = 0; n < op.cols; n++) partner[n] = usual ? n ^ 1 : pick(0, op.cols - 1);
  op.partner = partner;
  op.out = pick_output(op.cols, 31, 1);
  pack(isa, &op.out, op.cols, IVIT_ROTATE_LIMIT);
  const int16_t *cos = pick_words((size_t)rows * period), *sin = pick_words((size_t)rows * period);
  const int16_t *x = pick_words((size_t)rows * (size_t)op.stride);
  wide *v = buffer((size_t)rows * cols * sizeof *v);
  for (size_t i = 0; i < (size_t)rows * cols; i++) {
    const size_t r = i / cols, n = i % cols, t = r * period + n % period;
    const int16_t *row = x + r * (size_t)op.stride;
    v[i] = (wide)row[n] * cos[t] + (wide)row[partner[n]] * sin[t];
  }
  void *out = buffer((size_t)rows * cols * ivit_size_of(op.out.type));
  int32_t *scale = buffer((size_t)rows * sizeof *scale);
  isa->rotate(&op, rows, x, cos, sin, out, scale, buffer(ivit_row_scratch(op.cols)));
  return check_rows("rotate", &op.out, rows, op.cols, v, out, scale);
}

static wide floor_divide(wide a, wide b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* The largest root whose square is no more than v. */
static wide root(wide v) {
  wide low = 0;
  for (wide bit = (wide)1 << 33; bit > 0; bit >>= 1)
    if ((low + bit) * (low + bit) <= v) low += bit;
  return low;
}

/* y-hat of the group that begins with channel `first`. */
static void normalize_group(const ivit_group_norm *op, const int16_t *x, int32_t first, wide *v) {
  const int32_t width = op->cols / op->groups;
  const wide D = (wide)op->rows * width;
  wide sum = 0, squares = op->epsilon;
  for (int32_t i = 0; i < op->rows * width; i++) sum += x[i / width * op->cols + first + i % width];
  const wide mean = floor_divide(2 * sum + D, 2 * D);
  for (int32_t i = 0; i < op->rows * width; i++) {
    wide y = x[i / width * op->cols + first + i % width] - mean;
    squares += y * y;
  }
  const wide std = root(squares > 1 ? squares : 1);
  int t = 0;
  while (std >> t) t++;
  wide f = ((wide)1 << (30 + t)) / std;
  if (f > INT32_MAX) f = INT32_MAX;
  for (int32_t i = 0; i < op->rows * width; i++) {
    int32_t at = i / width * op->cols + first + i % width;
    v[at] = ((x[at] - mean) * f) >> t;
  }
}

size_t compare_group_norm(const ivit_isa *isa) {
  ivit_group_norm op = {.rows = pick(1, chance(10) ? 300 : 30), .groups = pick(1, 6)};
  op.cols = op.groups * pick(1, 40);
  op.epsilon = chance(20) ? 0 : pick_bits(pick(1, 53));
  if (op.epsilon < 0) op.epsilon = -op.epsilon;
  op.out = pick_output(op.cols, 30, 1);
  pack(isa, &op.out, op.cols, IVIT_NORM_LIMIT);
  const size_t count = (size_t)op.rows * (size_t)op.cols;
  const int16_t *x = pick_words(count);
  if (chance(20)) memset((void *)(uintptr_t)x, chance(50) ? 0 : 0x7f, count * sizeof *x);
  wide *v = buffer(count * sizeof *v);
  for (int32_t g = 0; g < op.groups; g++) normalize_group(&op, x, g * (op.cols / op.groups), v);

  ivit_group_sums sums[6] = {0};
  ivit_group_factor factors[6];
  int32_t middle = pick(0, op.rows);
  isa->group_sums(&op, middle, x, sums);
  isa->group_sums(&op, op.rows - middle, x + (size_t)middle * (size_t)op.cols, sums);
  for (int32_t g = 0; g < op.groups; g++) {
    ivit_group_factor *k = &factors[g];
    ivit_norm_factor(sums[g].sum, sums[g].squares, op.rows * (op.cols / op.groups), 1, op.epsilon, &k->mean, &k->f,
                     &k->t);
  }
  void *out = buffer(count * ivit_size_of(op.out.type));
  int32_t *scale = buffer((size_t)op.rows * sizeof *scale);
  isa->group_norm(&op, factors, op.rows, x, out, scale, buffer(ivit_row_scratch(op.cols)));
  return check_rows("group norm", &op.out, op.rows, op.cols, v, out, scale);
}
