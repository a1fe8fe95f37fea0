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

/* Sources, where they lie in memory: that of element `first` and those after it begins at `at`. */
enum { MOST_SOURCES = 16 };
typedef struct {
  int32_t count;
  size_t first[MOST_SOURCES];
  uintptr_t at[MOST_SOURCES];
} source_table;

static void find_sources(const worker *w, const gather *g, source_table *sources) {
  size_t first = 0;
  sources->count = g->source_count;
  for (int32_t i = 0; i < g->source_count; i++) {
    const value *d = &w->context->program->values[g->sources[i]];
    sources->first[i] = first;
    sources->at[i] = (uintptr_t)row_data(w, g->sources[i], 0);
    first += (size_t)d->rows * (size_t)d->cols;
  }
}

/* Which source an element lies in, without a branch: neighbours may lie in different ones. */
static inline int32_t source_of(const source_table *sources, size_t from) {
  int32_t i = 0;
  for (int32_t k = 1; k < sources->count; k++) i += from >= sources->first[k];
  return i;
}

/* Single elements of one type: what transposes and slices of columns are made of. */
#define GATHER_ELEMENTS(type)                                                          \
  do {                                                                                 \
    type *to = out;                                                                    \
    const type *only = (const type *)sources->at[0];                                   \
    const int32_t is_single = sources->count == 1;                                     \
    for (size_t i = 0; i < count; i++) {                                               \
      if (index[i] < 0) {                                                              \
        to[i] = (type)fill;                                                            \
      } else if (is_single) {                                                          \
        to[i] = only[index[i]];                                                        \
      } else {                                                                         \
        size_t from = (size_t)index[i];                                                \
        int32_t k = source_of(sources, from);                                          \
        to[i] = ((const type *)sources->at[k])[from - sources->first[k]];              \
      }                                                                                \
    }                                                                                  \
  } while (0)

static void gather_elements(const source_table *sources, ivit_type type, const int32_t *index, size_t count,
                            int32_t fill, void *out) {
  switch (ivit_size_of(type)) {
    case 1: GATHER_ELEMENTS(uint8_t); break;
    case 2: GATHER_ELEMENTS(int16_t); break;
    default: GATHER_ELEMENTS(int32_t); break;
  }
}

/* Whole rows of dynamic scales, rows of this stage, and blocks that begin within a piece. */
static void gather_any(const worker *w, const step *s, int32_t s0, int32_t s1) {
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

void run_gather(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const gather *g = &s->as.gather;
  ivit_type type = w->context->program->values[s->out].type;
  /* A piece of one element is a whole row of this stage only where there is one column. */
  if (g->piece > 1 || s->cols == 1 || type == IVIT_ROWS || g->source_count > MOST_SOURCES) {
    gather_any(w, s, s0, s1);
    return;
  }
  size_t at = (size_t)s0 * (size_t)s->cols, count = (size_t)(s1 - s0) * (size_t)s->cols;
  source_table sources;
  find_sources(w, g, &sources);
  gather_elements(&sources, type, g->index + at, count, g->fill, row_data(w, s->out, s0));
}

void run_mean_rows(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_mean_rows *op = &s->as.mean_rows;
  const int32_t *x = element_data(w, s->in[0], (size_t)s0 * (size_t)op->group * (size_t)s->cols);
  ivit_portable_mean_rows(op, s1 - s0, x, row_data(w, s->out, s0), row_scale(w, s->out, s0), w->scratch);
}
