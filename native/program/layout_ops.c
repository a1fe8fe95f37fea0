/* The ops that move, or add up, whole rows: src/kernels/patches.ts, gather.ts, and the mean of rows. */
#include "internal.h"

void run_patches(const worker *w, const step *s, int32_t s0, int32_t s1) {
  ivit_portable_patches(&s->as.patches, s0, s1, row_data(w, s->in[0], 0), row_data(w, s->out, s0));
}

/* The source that holds element `*at` of the sources laid end to end; `*at` becomes its place there. */
static int32_t find_source(const ivit_program *program, const gather *g, size_t *at) {
  int32_t i = 0;
  for (; i < g->source_count - 1; i++) {
    const value *d = &program->values[g->sources[i]];
    size_t count = (size_t)d->rows * (size_t)d->cols;
    if (*at < count) break;
    *at -= count;
  }
  return g->sources[i];
}

void run_gather(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_program *program = w->context->program;
  const gather *g = &s->as.gather;
  ivit_type type = program->values[s->out].type;
  size_t piece = (size_t)g->piece;
  size_t at = (size_t)s0 * (size_t)s->cols, end = (size_t)s1 * (size_t)s->cols;
  uint8_t *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  while (at < end) {
    size_t within = at % piece;
    size_t count = piece - within < end - at ? piece - within : end - at;
    int32_t from = g->index[at / piece];
    if (from < 0) {
      ivit_fill(out, g->fill, count, type);
      if (scale) *scale++ = 1;
    } else {
      size_t position = (size_t)from * piece + within;
      int32_t source = find_source(program, g, &position);
      ivit_copy(out, element_data(w, source, position), count * ivit_size_of(type));
      if (scale) *scale++ = *row_scale(w, source, (int32_t)(position / (size_t)s->cols));
    }
    out += count * ivit_size_of(type);
    at += count;
  }
}

void run_mean_rows(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_mean_rows *op = &s->as.mean_rows;
  const int32_t *x = element_data(w, s->in[0], (size_t)s0 * (size_t)op->group * (size_t)s->cols);
  ivit_portable_mean_rows(op, s1 - s0, x, row_data(w, s->out, s0), row_scale(w, s->out, s0), w->scratch);
}
