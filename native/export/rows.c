/* Ops of an exported program whose operands have rows of their own: gathers, products by group, tables, windows. */
#include "export.h"

static void ivit_gather_rows(const ivit_gather *op, int32_t r0, int32_t r1, const ivit_source *sources, void *out,
                             int32_t *scale) {
  const size_t piece = (size_t)op->piece, cols = (size_t)op->cols, size = ivit_size_of(op->type);
  const size_t end = (size_t)r1 * cols;
  uint8_t *to = out;
  for (size_t at = (size_t)r0 * cols, count; at < end; at += count, to += count * size) {
    const size_t within = at % piece;
    count = piece - within < end - at ? piece - within : end - at;
    const int32_t from = op->index[at / piece];
    if (from < 0) {
      ivit_fill(to, op->fill, count, op->type);
      if (scale) *scale++ = 1;
      continue;
    }
    const ivit_source *source = sources;
    size_t position = (size_t)from * piece + within;
    for (; position >= (size_t)source->count; source++) position -= (size_t)source->count;
    const size_t first = (size_t)source->first_row * cols;
    ivit_copy(to, (const uint8_t *)source->data + (position - first) * size, count * size);
    if (scale) *scale++ = source->scale[position / cols - (size_t)source->first_row];
  }
}

/* `group` rows in turn take one row of b, of which all are there. */
static void ivit_multiply_groups(const ivit_binary *op, int32_t group, int32_t r0, int32_t r1, const int16_t *a,
                                 const int16_t *b, void *out, int32_t *scale, void *scratch) {
  const size_t cols = (size_t)op->cols, length = op->is_column ? 1 : cols;
  for (int32_t r = r0; r < r1; r++) {
    const size_t at = (size_t)(r - r0);
    ivit_portable_multiply(op, 1, a + at * cols, b + (size_t)(r / group) * length, 0,
                           (uint8_t *)out + at * cols * ivit_size_of(op->out.type), scale ? scale + at : NULL, scratch);
  }
}

static void ivit_divide_groups(const ivit_binary *op, int32_t group, int32_t r0, int32_t r1, const int32_t *a,
                               const int32_t *b, void *out, int32_t *scale, void *scratch) {
  const size_t cols = (size_t)op->cols, length = op->is_column ? 1 : cols;
  for (int32_t r = r0; r < r1; r++) {
    const size_t at = (size_t)(r - r0);
    ivit_portable_divide(op, 1, a + at * cols, b + (size_t)(r / group) * length, 0,
                         (uint8_t *)out + at * cols * ivit_size_of(op->out.type), scale ? scale + at : NULL, scratch);
  }
}

/* x: row r0; the tables, of `table_rows` rows, begin anew after their last. */
static void ivit_rotate_rows(const ivit_rotate *op, int32_t table_rows, int32_t r0, int32_t r1, const int16_t *x,
                             const int16_t *cos, const int16_t *sin, void *out, int32_t *scale, void *scratch) {
  const size_t cols = (size_t)op->cols;
  for (int32_t r = r0; r < r1; r++) {
    const size_t at = (size_t)(r - r0), table = (size_t)(r % table_rows) * (size_t)op->period;
    ivit_portable_rotate(op, 1, x + at * (size_t)op->stride, cos + table, sin + table,
                         (uint8_t *)out + at * cols * ivit_size_of(op->out.type), scale ? scale + at : NULL, scratch);
  }
}

/* a: row r0 of its source where its view is plain, else the source. */
static void ivit_matmul_rows(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b,
                             void *out, void *scratch) {
  const ivit_type type = op->out->type == IVIT_ROWS ? IVIT_I32 : op->out->type;
  const size_t bytes = (size_t)op->heads * (size_t)op->n * ivit_size_of(type);
  const size_t stride = !op->a.rows && !op->a_transposed ? (size_t)op->a.stride : 0;
  for (int32_t r = r0; r < r1;) {
    const int32_t end = ivit_min((r / op->m + 1) * op->m, r1);
    const size_t at = (size_t)(r - r0);
    ivit_portable_matmul(op, r, end, a + at * stride, b, (uint8_t *)out + at * bytes, scratch);
    r = end;
  }
}

/* Scratch: sums [groups]. */
static void ivit_find_group_factors(const ivit_group_norm *op, const int16_t *x, ivit_group_factor *factors,
                                    void *scratch) {
  ivit_group_sums *sums = scratch;
  for (int32_t g = 0; g < op->groups; g++) sums[g] = (ivit_group_sums){0, 0};
  ivit_portable_group_sums(op, op->rows, x, sums);
  const int32_t count = (int32_t)((int64_t)op->rows * op->cols / op->groups);
  for (int32_t g = 0; g < op->groups; g++)
    ivit_norm_factor(sums[g].sum, sums[g].squares, count, 1, op->epsilon, &factors[g].mean, &factors[g].f,
                     &factors[g].t);
}
