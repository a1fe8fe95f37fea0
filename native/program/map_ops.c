/* The ops on feature maps: windows, and the sums of a group norm, which threads share. */
#include "internal.h"

/* Where the map of a step lies: it was finished before this stage. */
static const void *map_data(const worker *w, const step *s) { return row_data(w, s->in[0], 0); }

void run_map_op(const worker *w, const step *s, int32_t s0, int32_t s1) {
  void *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  const void *x = map_data(w, s);
  const ivit_isa *isa = w->context->program->isa;
  ivit_type type = w->context->program->values[s->out].type;
  switch (s->kind) {
    case IVIT_STEP_WINDOWS: ivit_portable_windows(&s->as.windows, type, s0, s1, x, out); break;
    case IVIT_STEP_DEPTHWISE: isa->depthwise(&s->as.depthwise, s0, s1, x, out, scale, w->scratch); break;
    case IVIT_STEP_MAX_POOL: isa->max_pool(&s->as.max_pool, type, s0, s1, x, out); break;
    case IVIT_STEP_MIX_ROWS: isa->mix_rows(&s->as.mix_rows, s0, s1, x, out, scale, w->scratch); break;
    default: {
      const int16_t *from = (const int16_t *)x + (size_t)s0 * (size_t)s->cols;
      isa->group_norm(&s->as.group_norm, w->factors, s1 - s0, from, out, scale, w->scratch);
      break;
    }
  }
}

enum { SUMMED_ROWS = 64 };

int32_t summed_packs(const ivit_group_norm *op) { return (op->rows - 1) / SUMMED_ROWS + 1; }

int32_t add_group_sums(const worker *w, const step *s, schedule *schedule) {
  const ivit_group_norm *op = &s->as.group_norm;
  const int16_t *x = map_data(w, s);
  __builtin_memset(w->sums, 0, (size_t)op->groups * sizeof *w->sums);
  int32_t taken = 0;
  for (;; taken++) {
    int32_t item = atomic_fetch_add(&schedule->next_pack, 1);
    if (item >= summed_packs(op)) break;
    int32_t first = item * SUMMED_ROWS;
    w->context->program->isa->group_sums(op, ivit_min(SUMMED_ROWS, op->rows - first),
                                         x + (size_t)first * (size_t)op->cols, w->sums);
  }
  for (int32_t g = 0; taken > 0 && g < op->groups; g++) {
    atomic_fetch_add_explicit(&schedule->sums[g].sum, w->sums[g].sum, memory_order_relaxed);
    atomic_fetch_add_explicit(&schedule->sums[g].squares, w->sums[g].squares, memory_order_relaxed);
  }
  return taken;
}

void find_group_factors(const worker *w, const step *s, schedule *schedule) {
  const ivit_group_norm *op = &s->as.group_norm;
  int32_t count = (int32_t)((int64_t)op->rows * op->cols / op->groups);
  for (int32_t g = 0; g < op->groups; g++) {
    int64_t sum = atomic_load_explicit(&schedule->sums[g].sum, memory_order_relaxed);
    uint64_t squares = atomic_load_explicit(&schedule->sums[g].squares, memory_order_relaxed);
    ivit_group_factor *k = w->factors + g;
    ivit_norm_factor(sum, squares, count, 1, op->epsilon, &k->mean, &k->f, &k->t);
  }
}
