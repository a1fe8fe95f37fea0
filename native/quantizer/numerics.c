/*
 * The quantizer's own numerics, in floating point: nothing of inference. Compiled to dist/quantizer.wasm, called by
 * src/calibrate/numerics.ts. Each function gives the same bits wherever it runs: elements are added in the order that
 * is told, and nothing is fused.
 */
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

/* What numerics.ts lays out by itself starts here. */
extern uint8_t __heap_base;
#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("heapBase") uint32_t heap_base(void) { return (uint32_t)(uintptr_t)&__heap_base; }

static double first(v128_t v) { return wasm_f64x2_extract_lane(v, 0); }
static double second(v128_t v) { return wasm_f64x2_extract_lane(v, 1); }

/* Channels that are observed together: their ranges and sums stay in registers. */
#define TOGETHER 8

static void observe_together(const float *x, uint32_t rows, uint32_t channels, float *low, float *high, double *sum,
                             double *squares) {
  v128_t least[2], most[2], sums[4], squared[4];
  for (int i = 0; i < 2; i++) least[i] = wasm_v128_load(low + 4 * i), most[i] = wasm_v128_load(high + 4 * i);
  for (int i = 0; i < 4; i++) sums[i] = wasm_v128_load(sum + 2 * i), squared[i] = wasm_v128_load(squares + 2 * i);
  for (uint32_t r = 0; r < rows; r++, x += channels) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++) {
      v128_t v = wasm_v128_load(x + 4 * i);
      least[i] = wasm_f32x4_pmin(least[i], v); /* v where v < least: a NaN changes nothing */
      most[i] = wasm_f32x4_pmax(most[i], v);
      v128_t first = wasm_f64x2_promote_low_f32x4(v);
      v128_t second = wasm_f64x2_promote_low_f32x4(wasm_i64x2_shuffle(v, v, 1, 0));
      sums[2 * i] = wasm_f64x2_add(sums[2 * i], first);
      sums[2 * i + 1] = wasm_f64x2_add(sums[2 * i + 1], second);
      squared[2 * i] = wasm_f64x2_add(squared[2 * i], wasm_f64x2_mul(first, first));
      squared[2 * i + 1] = wasm_f64x2_add(squared[2 * i + 1], wasm_f64x2_mul(second, second));
    }
  }
  for (int i = 0; i < 2; i++) wasm_v128_store(low + 4 * i, least[i]), wasm_v128_store(high + 4 * i, most[i]);
  for (int i = 0; i < 4; i++) wasm_v128_store(sum + 2 * i, sums[i]), wasm_v128_store(squares + 2 * i, squared[i]);
}

/*
 * Ranges and moments of x [rows, channels], channel by channel, rows in order: low and high [channels] are narrowed,
 * sum and squares [channels] added to.
 */
EXPORT("observe")
void observe(const float *x, uint32_t rows, uint32_t channels, float *low, float *high, double *sum, double *squares) {
  uint32_t c = 0;
  for (; c + TOGETHER <= channels; c += TOGETHER)
    observe_together(x + c, rows, channels, low + c, high + c, sum + c, squares + c);
  for (; c < channels; c++) {
    for (uint32_t r = 0; r < rows; r++) {
      float v = x[(size_t)r * channels + c];
      if (v < low[c]) low[c] = v;
      if (v > high[c]) high[c] = v;
      sum[c] += (double)v;
      squares[c] += (double)v * (double)v;
    }
  }
}

/*
 * Counts the values of x [rows, channels] in bins of each channel: x*to_bin + bins/2, its fraction cut off, which is
 * the caller's to keep within 0 to bins - 1.
 *
 * @param to_bin [channels]
 * @param counts [channels, bins], added to
 */
EXPORT("countInBins")
void count_in_bins(const float *x, uint32_t rows, uint32_t channels, const double *to_bin, uint32_t bins,
                   uint32_t *counts) {
  for (uint32_t r = 0; r < rows; r++, x += channels)
    for (uint32_t c = 0; c < channels; c++)
      counts[(size_t)c * bins + (uint32_t)((double)x[c] * to_bin[c] + bins / 2)]++;
}

/*
 * Adds rows of x [rows, width], times their weight, to sum [width].
 *
 * @param weight [rows]
 */
EXPORT("addWeighted")
void add_weighted(const float *x, uint32_t rows, uint32_t width, const float *weight, double *sum) {
  for (uint32_t r = 0; r < rows; r++) {
    const float *row = x + (size_t)r * width;
    double w = (double)weight[r];
    for (uint32_t c = 0; c < width; c++) sum[c] += w * (double)row[c];
  }
}

/*
 * Makes of rows x [rows, width] rows less a mean [width], times the root of their weight.
 *
 * @param weight [rows]
 */
EXPORT("centre")
void centre(float *x, uint32_t rows, uint32_t width, const float *weight, const double *mean) {
  for (uint32_t r = 0; r < rows; r++) {
    float *row = x + (size_t)r * width;
    double root = __builtin_sqrt((double)weight[r]);
    for (uint32_t c = 0; c < width; c++) row[c] = (float)(((double)row[c] - mean[c]) * root);
  }
}

/* Columns of the factor that are worked out together. */
#define COLUMNS 4

/*
 * Sums of row[k]*column_c[k], k < to, for each of the COLUMNS rows of length n from `columns` on: four running sums
 * each, as lanes of two vectors. `to` is a multiple of 4.
 */
static void add_products(const double *row, const double *columns, size_t n, uint32_t to, v128_t even[COLUMNS],
                         v128_t odd[COLUMNS]) {
  for (int c = 0; c < COLUMNS; c++) even[c] = odd[c] = wasm_f64x2_const(0, 0);
  for (uint32_t k = 0; k < to; k += 4) {
    v128_t a = wasm_v128_load(row + k), b = wasm_v128_load(row + k + 2);
#pragma clang loop unroll(full)
    for (int c = 0; c < COLUMNS; c++) {
      const double *column = columns + (size_t)c * n + k;
      even[c] = wasm_f64x2_add(even[c], wasm_f64x2_mul(a, wasm_v128_load(column)));
      odd[c] = wasm_f64x2_add(odd[c], wasm_f64x2_mul(b, wasm_v128_load(column + 2)));
    }
  }
}

/*
 * Cholesky factor L (lower, A = L*L^T) of a symmetric positive definite a [n, n], in place of its lower triangle; the
 * upper one becomes 0. Four columns at a time, row by row.
 *
 * @return 0 where a is not positive definite to working precision
 */
EXPORT("cholesky") int32_t cholesky(double *a, uint32_t n) {
  for (uint32_t j = 0; j < n; j += COLUMNS) {
    uint32_t width = n - j < COLUMNS ? n - j : COLUMNS;
    for (uint32_t i = j; i < n; i++) {
      double *row = a + (size_t)i * n;
      v128_t even[COLUMNS], odd[COLUMNS];
      /* The last columns may be fewer than four: what lies behind the matrix is read, and not used. */
      add_products(row, a + (size_t)j * n, n, j, even, odd);
#pragma clang loop unroll(full)
      for (uint32_t c = 0; c < COLUMNS; c++) {
        if (c >= width || i < j + c) continue;
        const double *column = a + (size_t)(j + c) * n;
        double s0 = first(even[c]);
        for (uint32_t k = j; k < j + c; k++) s0 += row[k] * column[k];
        double rest = row[j + c] - (s0 + second(even[c]) + (first(odd[c]) + second(odd[c])));
        if (i > j + c) {
          row[j + c] = rest / column[j + c];
        } else {
          if (!(rest > 0)) return 0;
          row[j + c] = __builtin_sqrt(rest);
        }
      }
    }
  }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = i + 1; k < n; k++) a[(size_t)i * n + k] = 0;
  return 1;
}

/* to[k] += factor*x[k] for k < n. */
static void add_scaled(double *to, double factor, const double *x, uint32_t n) {
  v128_t f = wasm_f64x2_splat(factor);
  uint32_t k = 0;
  for (; k + 2 <= n; k += 2)
    wasm_v128_store(to + k, wasm_f64x2_add(wasm_v128_load(to + k), wasm_f64x2_mul(f, wasm_v128_load(x + k))));
  for (; k < n; k++) to[k] += factor * x[k];
}

/* The same with four factors and rows of length n, one after the other: to[k] is loaded and stored once. */
static void add_four(double *to, const double *factors, const double *x, size_t stride, uint32_t n) {
  v128_t f0 = wasm_f64x2_splat(factors[0]), f1 = wasm_f64x2_splat(factors[1]);
  v128_t f2 = wasm_f64x2_splat(factors[2]), f3 = wasm_f64x2_splat(factors[3]);
  const double *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride;
  for (uint32_t k = 0; k < n; k += 2) {
    v128_t sum = wasm_v128_load(to + k);
    sum = wasm_f64x2_add(sum, wasm_f64x2_mul(f0, wasm_v128_load(x + k)));
    sum = wasm_f64x2_add(sum, wasm_f64x2_mul(f1, wasm_v128_load(x1 + k)));
    sum = wasm_f64x2_add(sum, wasm_f64x2_mul(f2, wasm_v128_load(x2 + k)));
    sum = wasm_f64x2_add(sum, wasm_f64x2_mul(f3, wasm_v128_load(x3 + k)));
    wasm_v128_store(to + k, sum);
  }
}

/*
 * L^-1 of a lower triangular a [n, n], in place. Row i of the inverse is (e_i - sum_{j<i} L[i][j]*row j)/L[i][i].
 *
 * @param row [n]: scratch
 */
EXPORT("invertLower") void invert_lower(double *a, uint32_t n, double *row) {
  for (uint32_t i = 0; i < n; i++) {
    const double *factors = a + (size_t)i * n;
    for (uint32_t k = 0; k < i; k++) row[k] = 0;
    uint32_t j = 0;
    for (; j + 4 <= i; j += 4) {
      /* Rows j to j + 3 all have their first j elements; j is even. */
      add_four(row, factors + j, a + (size_t)j * n, n, j);
      for (uint32_t c = 0; c < 4; c++)
        for (uint32_t k = j; k <= j + c; k++) row[k] += factors[j + c] * a[(size_t)(j + c) * n + k];
    }
    for (; j < i; j++) add_scaled(row, factors[j], a + (size_t)j * n, j + 1);
    double scale = 1 / factors[i];
    double *to = a + (size_t)i * n;
    for (uint32_t k = 0; k < i; k++) to[k] = -scale * row[k];
    to[i] = scale;
  }
}

/* Bins of half a step, from -128 on. */
#define BINS 512

static uint32_t bin_of(double x) {
  double bin = __builtin_floor(2 * x) + BINS / 2;
  return bin < 0 ? 0 : bin > BINS - 1 ? BINS - 1 : (uint32_t)bin;
}

/*
 * Rounds weights [rows, n], in steps of their row, whose channels are in the order of `factor` [n, n], the last first:
 * q_k = round(w_k + sum_{i>k} (w_i - q_i)*L[i][k]/L[k][k]), to the nearest of the levels that the weight may take.
 *
 * @param levels [tables, BINS]: the level nearest to what lies in a bin
 * @param table [rows, n]: which of the tables each weight takes
 * @param pending [rows, n], zeros
 */
EXPORT("roundInOrder")
void round_in_order(const double *weight, uint32_t rows, uint32_t n, const double *factor, const int8_t *levels,
                    const uint8_t *table, double *pending, int8_t *quantized) {
  for (uint32_t k = n; k-- > 0;) {
    const double *column = factor + (size_t)k * n;
    for (uint32_t r = 0; r < rows; r++) {
      size_t at = (size_t)r * n + k;
      double w = weight[at];
      double *later = pending + (size_t)r * n;
      int8_t q = levels[(size_t)table[at] * BINS + bin_of(w + later[k] / column[k])];
      quantized[at] = q;
      add_scaled(later, w - q, column, k);
    }
  }
}

/* Tables that a group of weights chooses among, at most. */
#define TABLES 16

/*
 * Of each group of `group` successive weights of a row, the table whose levels leave the least squared error, errors
 * weighed by the importance of their channels; of several the first. Weights are added one after the other.
 *
 * @param weight [rows, n]
 * @param importance [n]
 * @param step [rows]: real value of one step
 * @param levels [BINS, TABLES]: by bin, the nearest level of each table
 * @param tables how many of them there are
 * @param chosen [rows, groups]
 */
EXPORT("chooseTables")
void choose_tables(const double *weight, uint32_t rows, uint32_t n, const double *importance, const double *step,
                   const int8_t *levels, uint32_t tables, uint32_t group, uint8_t *chosen) {
  for (uint32_t r = 0; r < rows; r++) {
    const double *row = weight + (size_t)r * n;
    for (uint32_t from = 0; from < n; from += group) {
      uint32_t to = n - from < group ? n : from + group;
      v128_t error[TABLES / 2];
#pragma clang loop unroll(full)
      for (int t = 0; t < TABLES / 2; t++) error[t] = wasm_f64x2_const(0, 0);
      for (uint32_t k = from; k < to; k++) {
        double w = row[k] / step[r];
        v128_t all = wasm_v128_load(levels + (size_t)bin_of(w) * TABLES);
        v128_t value = wasm_f64x2_splat(w), cost = wasm_f64x2_splat(importance[k]);
        v128_t words[2] = {wasm_i16x8_extend_low_i8x16(all), wasm_i16x8_extend_high_i8x16(all)};
#pragma clang loop unroll(full)
        for (int t = 0; t < TABLES / 2; t += 2) {
          v128_t word = words[t / 4];
          v128_t four = t % 4 == 0 ? wasm_i32x4_extend_low_i16x8(word) : wasm_i32x4_extend_high_i16x8(word);
          v128_t low = wasm_f64x2_sub(value, wasm_f64x2_convert_low_i32x4(four));
          v128_t high =
              wasm_f64x2_sub(value, wasm_f64x2_convert_low_i32x4(wasm_i64x2_shuffle(four, four, 1, 0)));
          error[t] = wasm_f64x2_add(error[t], wasm_f64x2_mul(wasm_f64x2_mul(cost, low), low));
          error[t + 1] = wasm_f64x2_add(error[t + 1], wasm_f64x2_mul(wasm_f64x2_mul(cost, high), high));
        }
      }
      double errors[TABLES];
      for (int t = 0; t < TABLES / 2; t++) wasm_v128_store(errors + 2 * t, error[t]);
      uint32_t best = 0;
      for (uint32_t t = 1; t < tables; t++)
        if (errors[t] < errors[best]) best = t;
      *chosen++ = (uint8_t)best;
    }
  }
}

/*
 * A step of Lloyd's algorithm: adds the weights nearest to each level, in steps of their groups, to `sum`, weighed by
 * what their errors cost, and these costs to `cost`. Weights are added one after the other.
 *
 * @param weight [rows, n]
 * @param importance [n]
 * @param unit [rows, groups]: real value of one step of a group
 * @param edges [count], ascending: between the levels
 * @param sum, cost [count + 1]
 */
EXPORT("addToLevels")
void add_to_levels(const double *weight, uint32_t rows, uint32_t n, const double *importance, const double *unit,
                   uint32_t group, const double *edges, uint32_t count, double *sum, double *cost) {
  /* How many edges lie at or below the least of each bin: the rest are looked for from there. */
  uint32_t first_of[BINS];
  for (uint32_t bin = 0, e = 0; bin < BINS; bin++) {
    while (bin > 0 && e < count && edges[e] <= ((double)bin - BINS / 2) / 2) e++;
    first_of[bin] = e;
  }
  for (uint32_t r = 0; r < rows; r++) {
    const double *row = weight + (size_t)r * n;
    for (uint32_t from = 0; from < n; from += group, unit++) {
      uint32_t to = n - from < group ? n : from + group;
      for (uint32_t k = from; k < to; k++) {
        double u = row[k] / *unit;
        uint32_t level = first_of[bin_of(u)];
        while (level < count && edges[level] <= u) level++;
        double c = importance[k] * *unit * *unit;
        sum[level] += c * u;
        cost[level] += c;
      }
    }
  }
}
