/* The ops that combine several values row by row, of which all but the first may have rows of their own. */
#include "internal.h"

/* Products and quotients of rows s0 to s1, which all read row b_row of b and those after it, or that row alone. */
static void combine(const worker *w, const step *s, int32_t s0, int32_t s1, const void *b, size_t b_stride) {
  const ivit_isa *isa = w->context->program->isa;
  const ivit_binary *op = &s->as.binary.op;
  const void *a = element_data(w, s->in[0], (size_t)s0 * (size_t)s->cols);
  void *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  if (s->kind == IVIT_STEP_MULTIPLY)
    isa->multiply(op, s1 - s0, a, b, b_stride, out, scale, w->scratch);
  else
    isa->divide(op, s1 - s0, a, b, b_stride, out, scale, w->scratch);
}

void run_binary(const worker *w, const step *s, int32_t s0, int32_t s1) {
  int32_t group = s->as.binary.group;
  size_t length = s->as.binary.op.is_column ? 1 : (size_t)s->cols;
  if (group == 1) {
    combine(w, s, s0, s1, element_data(w, s->in[1], (size_t)s0 * length), length);
    return;
  }
  for (int32_t r = s0; r < s1;) {
    int32_t row = r / group, end = ivit_min((row + 1) * group, s1);
    combine(w, s, r, end, row_data(w, s->in[1], row), 0);
    r = end;
  }
}

/* The tables begin anew after their last row. */
void run_rotate(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const rotate *op = &s->as.rotate;
  for (int32_t r = s0; r < s1;) {
    int32_t t = r % op->table_rows, rows = ivit_min(op->table_rows - t, s1 - r);
    /* Tables that are made in this stage have a row for each of x. */
    const int16_t *x = (const int16_t *)row_data(w, s->in[0], r) + op->column;
    const int16_t *cos = row_data(w, s->in[1], t), *sin = row_data(w, s->in[2], t);
    w->context->program->isa->rotate(&op->op, rows, x, cos, sin, row_data(w, s->out, r), row_scale(w, s->out, r),
                                     w->scratch);
    r += rows;
  }
}

void run_matmul(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_isa *isa = w->context->program->isa;
  const ivit_matmul *op = &s->as.matmul;
  const int16_t *b = row_data(w, s->in[1], 0);
  for (int32_t r = s0; r < s1;) {
    int32_t end = ivit_min((r / op->m + 1) * op->m, s1);
    int is_plain = !op->a.rows && !op->a_transposed;
    size_t at = is_plain ? (size_t)r * (size_t)op->a.stride : 0;
    const int16_t *a = element_data(w, s->in[0], at);
    isa->matmul(op, r, end, a, b, row_data(w, s->out, r), w->scratch);
    r = end;
  }
}
