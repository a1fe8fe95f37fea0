/* Runs a program on one image: contexts, and the share of each thread. */
#include "internal.h"

ivit_context *ivit_context_begin_create(const ivit_program *program, int32_t threads) {
  heap h = {NULL, program->max_bytes};
  ivit_context *context = heap_allocate(&h, sizeof *context);
  context->heap = h;
  context->program = program;
  context->threads = threads;
  return context;
}

void ivit_context_finish_create(ivit_context *context) {
  const ivit_program *program = context->program;
  heap *h = &context->heap;
  size_t threads = (size_t)context->threads;
  context->arena = heap_allocate(h, program->arena_bytes);
  context->packed = heap_allocate(h, program->packed_bytes);
  context->local = heap_array(h, threads, sizeof(uint8_t *));
  context->scratch = heap_array(h, threads, sizeof(uint8_t *));
  context->sums = heap_array(h, threads, sizeof *context->sums);
  context->factors = heap_array(h, threads, sizeof *context->factors);
  for (size_t t = 0; t < threads; t++) {
    context->local[t] = heap_allocate(h, program->local_bytes);
    context->scratch[t] = heap_allocate(h, program->scratch_bytes);
    context->sums[t] = heap_array(h, (size_t)program->most_groups, sizeof(ivit_group_sums));
    context->factors[t] = heap_array(h, (size_t)program->most_groups, sizeof(ivit_group_factor));
  }
  make_schedules(context);
}

ivit_context *ivit_context_create(const ivit_program *program, int32_t threads) {
  ivit_context *context = ivit_context_begin_create(program, threads);
  ivit_context_finish_create(context);
  return context;
}

void ivit_context_free(ivit_context *context) {
  heap h = context->heap;
  heap_free(&h);
}

void ivit_context_profile(ivit_context *context, int64_t *times) { context->times = times; }

void *ivit_context_data(const ivit_context *context, int32_t v) {
  const value *d = &context->program->values[v];
  return d->place == IVIT_PLACE_CONSTANT ? (void *)(uintptr_t)d->constant : context->arena + d->offset;
}

int32_t *ivit_context_scale(const ivit_context *context, int32_t v) {
  return (int32_t *)(context->arena + context->program->values[v].scale_offset);
}

/* A profile's clock; costs nothing where none is taken. */
static int64_t start_clock(const worker *w) { return w->times ? ivit_clock() : 0; }
static void stop_clock(const worker *w, int32_t step, int64_t start) {
  if (w->times) w->times[step] += ivit_clock() - start;
}

static void run_linear(const worker *w, const step *s, int32_t n0, int32_t n1, int32_t s0, int32_t s1) {
  const ivit_linear *op = &s->as.linear;
  const void *x = element_data(w, s->in[0], (size_t)s0 * (size_t)op->in_features);
  const int32_t *residual = s->in[1] < 0 ? NULL : element_data(w, s->in[1], (size_t)s0 * (size_t)s->cols);
  w->context->program->isa->linear(op, s1 - s0, n0, n1, x, row_scale(w, s->in[0], s0), residual,
                                   row_data(w, s->out, s0), w->scratch);
}

/* Rows s0 to s1 of an activation or a rescale, several side by side where they are narrow. */
static void run_elements(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_isa *isa = w->context->program->isa;
  const void *x = element_data(w, s->in[0], (size_t)s0 * (size_t)s->cols);
  uint8_t *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  const int is_activation = s->kind == IVIT_STEP_ACTIVATION;
  const int32_t cols = is_activation ? s->as.activation.cols : s->as.rescale.cols;
  const size_t count = (size_t)(s1 - s0) * (size_t)s->cols;
  const int32_t rows = (int32_t)(count / (size_t)cols), rest = (int32_t)(count % (size_t)cols);
  const size_t done = (size_t)rows * (size_t)cols;
  if (is_activation) {
    isa->activation(&s->as.activation, rows, x, out, scale, w->scratch);
    if (rest == 0) return;
    ivit_activation activation = s->as.activation;
    activation.cols = rest;
    isa->activation(&activation, 1, (const int16_t *)x + done, out + done * ivit_size_of(activation.out.type), NULL,
                    w->scratch);
  } else {
    isa->rescale(&s->as.rescale, rows, x, out, scale, w->scratch);
    if (rest == 0) return;
    ivit_rescale rescale = s->as.rescale;
    rescale.cols = rest;
    isa->rescale(&rescale, 1, (const int32_t *)x + done, out + done * ivit_size_of(rescale.out.type), NULL,
                 w->scratch);
  }
}

/* Rows s0 to s1 of one step. */
static void run_step(const worker *w, const use *u, int32_t s0, int32_t s1) {
  const ivit_program *program = w->context->program;
  const ivit_isa *isa = program->isa;
  const step *s = &program->steps[u->step];
  int32_t rows = s1 - s0;
  size_t at = (size_t)s0 * (size_t)s->cols;
  void *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  switch (s->kind) {
    case IVIT_STEP_PATCHES: run_patches(w, s, s0, s1); break;
    case IVIT_STEP_LINEAR: run_linear(w, s, u->n0, u->n1, s0, s1); break;
    case IVIT_STEP_LAYER_NORM:
      isa->layer_norm(&s->as.layer_norm, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_ACTIVATION:
    case IVIT_STEP_RESCALE: run_elements(w, s, s0, s1); break;
    case IVIT_STEP_PAPER_NORM:
      ivit_portable_paper_norm(&s->as.paper_norm, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_PAPER_GELU:
      isa->paper_gelu(&s->as.paper_gelu, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_IBERT_GELU:
      isa->ibert_gelu(&s->as.ibert_gelu, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
#ifdef IVIT_FLOAT
    case IVIT_STEP_FLOAT_NORM:
      ivit_float_norm(isa, &s->as.layer_norm, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_FLOAT_GELU:
      ivit_float_gelu(isa, &s->as.ibert_gelu, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
#endif
    case IVIT_STEP_ADD:
      isa->add((size_t)rows * (size_t)s->cols, element_data(w, s->in[0], at), element_data(w, s->in[1], at), out);
      break;
    case IVIT_STEP_MULTIPLY:
    case IVIT_STEP_DIVIDE: run_binary(w, s, s0, s1); break;
    case IVIT_STEP_LOOKUP:
      isa->lookup(s->as.lookup, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_SOFTMAX:
      isa->softmax(&s->as.softmax, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_MATMUL: run_matmul(w, s, s0, s1); break;
    case IVIT_STEP_ROTATE: run_rotate(w, s, s0, s1); break;
    case IVIT_STEP_MEAN_ROWS: run_mean_rows(w, s, s0, s1); break;
    case IVIT_STEP_GATHER: run_gather(w, s, s0, s1); break;
    case IVIT_STEP_QUANTIZE: isa->quantize_rows(rows, s->cols, element_data(w, s->in[0], at), out, scale); break;
    case IVIT_STEP_WINDOWS:
    case IVIT_STEP_DEPTHWISE:
    case IVIT_STEP_MAX_POOL:
    case IVIT_STEP_MIX_ROWS:
    case IVIT_STEP_GROUP_NORM: run_map_op(w, s, s0, s1); break;
    default: break;
  }
}

/* The first of the runs from `from` on that ends after row r, or begins at it or after: all do so in order. */
static int32_t find_run(const use *u, int32_t from, int32_t r, int32_t edge) {
  int32_t low = from, high = u->run_count;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    if (u->runs[2 * middle + edge] >= r + edge)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* The rows of block [r0, r1) that a step must compute: from the first to the last that its runs touch. */
static int clip_to_runs(const use *u, int32_t r0, int32_t r1, int32_t *s0, int32_t *s1) {
  int32_t first = find_run(u, 0, r0, 1);   /* ends after r0 */
  int32_t after = find_run(u, first, r1, 0); /* begins at r1 or after */
  if (first >= after) return 0;
  *s0 = ivit_max(u->runs[2 * first], r0);
  *s1 = ivit_min(u->runs[2 * (after - 1) + 1], r1);
  return 1;
}

/* How long a thread waits awake: about as long as others take for the block that they are at. */
enum { AWAKE_NS = 100000, LOOKS = 64 };

/*
 * Adds what this thread has finished of `count` pieces of work, and waits until all are. Nobody waits for a thread that
 * took none: one that gets no core holds nobody up. A thread that waits for one that has lost its core in the middle of
 * a piece sleeps, so that its own core is free.
 */
static void finish(ivit_context *context, atomic_int *done, int32_t finished, int32_t count) {
  if (atomic_fetch_add(done, finished) + finished >= count) {
    if (atomic_load(&context->waiting) > 0) ivit_wake(done);
    return;
  }
  for (int64_t end = ivit_clock() + AWAKE_NS; ivit_clock() < end;) {
    for (int look = 0; look < LOOKS; look++) {
      if (atomic_load_explicit(done, memory_order_acquire) >= count) return;
      ivit_relax();
    }
  }
  atomic_fetch_add(&context->waiting, 1);
  for (int seen; (seen = atomic_load(done)) < count;) ivit_wait(done, seen);
  atomic_fetch_sub(&context->waiting, 1);
}

static uint8_t *packed_head(const ivit_context *context, const ivit_attention *op, int32_t window, int32_t head) {
  size_t at = (size_t)window * (size_t)op->heads + (size_t)head;
  return context->packed + at * packed_head_bytes(context->program, op);
}

/* The weights of a published softmax that are not of integers; else NULL. */
static ivit_weigh *weigh_of(const ivit_isa *isa, const ivit_attention *op) {
#ifdef IVIT_FLOAT
  if (op->softmax == IVIT_SOFTMAX_FLOAT) return ivit_float_weigh(isa);
#endif
  (void)isa, (void)op;
  return NULL;
}

static int32_t run_attention(ivit_context *context, const worker *w, const stage *g, schedule *schedule) {
  const step *s = &context->program->steps[g->uses[0].step];
  const ivit_attention *op = &s->as.attention;
  const ivit_isa *isa = context->program->isa;
  const int is_published = ivit_is_published(op);
  const int8_t *q = row_data(w, s->in[0], 0), *k = row_data(w, s->in[1], 0), *v = row_data(w, s->in[2], 0);
  void *out = row_data(w, s->out, 0);
  int64_t start = start_clock(w);
  int32_t packs = schedule->window_count * op->heads; /* at most 2^28: cols holds all heads */
  int32_t taken = 0;
  for (;; taken++) {
    int32_t item = atomic_fetch_add(&schedule->next_pack, 1);
    if (item >= packs) break;
    int32_t window = schedule->windows[item / op->heads], head = item % op->heads;
    (is_published ? isa->published_pack : isa->attention_pack)(op, window, head, k, v,
                                                               packed_head(context, op, window, head));
  }
  stop_clock(w, g->uses[0].step, start);
  finish(context, &schedule->done_packs, taken, packs);
  start = start_clock(w);
  for (taken = 0;; taken++) {
    int32_t item = atomic_fetch_add(&schedule->next_block, 1);
    if (item >= schedule->block_count) break;
    const block *b = &schedule->blocks[item];
    const void *packed = packed_head(context, op, b->window, b->head);
    if (is_published)
      isa->published(op, weigh_of(isa, op), b->window, b->head, b->r0, b->r1, q, packed, out, w->scratch);
    else
      isa->attention(op, b->window, b->head, b->r0, b->r1, q, packed, out, w->scratch);
  }
  stop_clock(w, g->uses[0].step, start);
  return taken;
}

/* A stage that begins with a group norm needs the sums of all of its rows first. */
static void prepare_group_norm(ivit_context *context, const worker *w, int32_t step_index, schedule *schedule) {
  const step *s = &context->program->steps[step_index];
  int64_t start = start_clock(w);
  int32_t taken = add_group_sums(w, s, schedule);
  stop_clock(w, step_index, start);
  finish(context, &schedule->done_packs, taken, summed_packs(&s->as.group_norm));
  start = start_clock(w);
  find_group_factors(w, s, schedule);
  stop_clock(w, step_index, start);
}

static int32_t run_rows(worker *w, const stage *g, schedule *schedule) {
  for (int32_t taken = 0;; taken++) {
    int32_t item = atomic_fetch_add(&schedule->next_block, 1);
    if (item >= schedule->block_count) return taken;
    const block *b = &schedule->blocks[item];
    w->r0 = b->r0;
    for (int32_t u = 0; u < g->use_count; u++) {
      int32_t s0, s1;
      if (!clip_to_runs(&g->uses[u], b->r0, b->r1, &s0, &s1)) continue;
      int64_t start = start_clock(w);
      run_step(w, &g->uses[u], s0, s1);
      stop_clock(w, g->uses[u].step, start);
    }
  }
}

void ivit_context_begin(ivit_context *context) {
  for (int32_t i = 0; i < context->program->stage_count; i++) {
    schedule *s = &context->schedules[i];
    atomic_store_explicit(&s->next_block, 0, memory_order_relaxed);
    atomic_store_explicit(&s->next_pack, 0, memory_order_relaxed);
    atomic_store_explicit(&s->done_blocks, 0, memory_order_relaxed);
    atomic_store_explicit(&s->done_packs, 0, memory_order_relaxed);
    for (int32_t g = 0; s->sums && g < context->program->most_groups; g++) {
      atomic_store_explicit(&s->sums[g].sum, 0, memory_order_relaxed);
      atomic_store_explicit(&s->sums[g].squares, 0, memory_order_relaxed);
    }
  }
}

void ivit_context_run(ivit_context *context, int32_t thread) {
  const ivit_program *program = context->program;
  worker w = {.context = context,
              .local = context->local[thread],
              .scratch = context->scratch[thread],
              .sums = context->sums[thread],
              .factors = context->factors[thread]};
  if (context->times) w.times = context->times + (size_t)thread * (size_t)program->step_count;
  for (int32_t i = 0; i < program->stage_count; i++) {
    const stage *g = &program->stages[i];
    schedule *schedule = &context->schedules[i];
    int32_t taken;
    w.r0 = 0;
    if (g->is_attention) {
      taken = run_attention(context, &w, g, schedule);
    } else {
      int32_t first = g->uses[0].step;
      if (program->steps[first].kind == IVIT_STEP_GROUP_NORM) prepare_group_norm(context, &w, first, schedule);
      taken = run_rows(&w, g, schedule);
    }
    finish(context, &schedule->done_blocks, taken, schedule->block_count);
  }
}
