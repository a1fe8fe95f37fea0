#define FLOAT_ROWS ivit_float_plain
#include "rows.h"

/* The rows that are compiled for a table's instructions. */
static const ivit_float_rows *rows_of(const ivit_isa *isa) {
#if defined(__x86_64__)
#ifdef IVIT_AMX
  if (isa == &ivit_isa_amx) return &ivit_float_avx512;
#endif
  if (isa == &ivit_isa_avx512vnni) return &ivit_float_avx512;
  if (isa == &ivit_isa_avxvnni || isa == &ivit_isa_avx2) return &ivit_float_avx2;
#endif
  (void)isa;
  return &ivit_float_plain;
}

ivit_weigh *ivit_float_weigh(const ivit_isa *isa) { return rows_of(isa)->weigh; }

/* Behind the rows that requantization takes. */
static int32_t *row_in(void *scratch, int32_t cols) {
  return (int32_t *)((int8_t *)scratch + ivit_row_scratch(cols) / 4 * 3);
}

void ivit_float_gelu(const ivit_isa *isa, const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out,
                     int32_t *scale, void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *row = row_in(scratch, op->cols);
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    rows_of(isa)->gelu(op, x, row);
    isa->rescale(&rest, 1, row, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}

void ivit_float_norm(const ivit_isa *isa, const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out,
                     int32_t *scale, void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *row = row_in(scratch, op->cols);
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    rows_of(isa)->norm(op, x, row);
    isa->rescale(&rest, 1, row, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}
