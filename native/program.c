#include "program.h"

#include <stdatomic.h>

#include "arith.h"

typedef struct {
  int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, out_w;
  int32_t height, width, channels;
} patches;

typedef struct {
  int32_t group;
  ivit_output out;
} mean_rows;

typedef struct {
  int32_t piece, fill, source_count;
  const int32_t *sources;
  const int32_t *index;
} gather;

typedef struct {
  int32_t kind, out, in[3], rows, cols;
  union {
    patches patches;
    ivit_linear linear;
    ivit_layer_norm layer_norm;
    ivit_activation activation;
    ivit_paper_norm paper_norm;
    ivit_paper_gelu paper_gelu;
    ivit_attention attention;
    ivit_rescale rescale;
    mean_rows mean_rows;
    gather gather;
    const void *constant;
  } as;
} step;

typedef struct {
  int32_t place;
  size_t offset, scale_offset; /* bytes */
  ivit_type type;
  int32_t rows, cols;
  const void *constant;
} value;

/* One step of a stage: its columns, and the rows anybody reads. */
typedef struct {
  int32_t step, n0, n1, run_count;
  const int32_t *runs;
} use;

typedef struct {
  int32_t is_attention, block_rows, run_count, use_count;
  const int32_t *runs;
  use *uses;
} stage;

/* Memory of a program or a context, freed together. */
typedef struct chunk {
  struct chunk *next;
} chunk;
typedef struct {
  chunk *first;
} heap;

struct ivit_program {
  heap heap;
  const ivit_isa *isa;
  int32_t value_count, step_count, stage_count;
  value *values;
  step *steps;
  stage *stages;
  size_t arena_bytes, local_bytes, scratch_bytes, packed_bytes;
};

/* Rows [r0, r1) of a row stage; of an attention, queries [r0, r1) of a window and head. */
typedef struct {
  int32_t r0, r1, window, head;
} block;

typedef struct {
  block *blocks;
  int32_t block_count;
  /* Attention: windows with a query to answer. */
  int32_t *windows;
  int32_t window_count;
  atomic_int next_block, next_pack;
} schedule;

struct ivit_context {
  heap heap;
  const ivit_program *program;
  int32_t threads;
  uint8_t *arena;
  uint8_t *packed;
  uint8_t **local, **scratch; /* [threads] */
  schedule *schedules;        /* [stages] */
  int64_t *times;             /* [threads][steps], or NULL: no profile is taken */
  atomic_int arrived, generation;
};

static void *heap_allocate(heap *h, size_t bytes) {
  chunk *c = ivit_allocate(IVIT_ALIGN + bytes);
  c->next = h->first;
  h->first = c;
  return (uint8_t *)c + IVIT_ALIGN;
}

static void heap_free(heap *h) {
  while (h->first) {
    chunk *c = h->first;
    h->first = c->next;
    ivit_release(c);
  }
}

static void copy_bytes(void *to, const void *from, size_t bytes) { __builtin_memcpy(to, from, bytes); }

/* A copy of a constant, followed by zeros as ivit.h promises. */
static const void *keep(ivit_program *program, const void *from, size_t count, size_t size) {
  if (!from) return NULL;
  void *to = heap_allocate(&program->heap, round_up(count, 64) * size);
  copy_bytes(to, from, count * size);
  return to;
}

static size_t size_of(ivit_type type) {
  switch (type) {
    case IVIT_I16: return 2;
    case IVIT_I32: return 4;
    default: return 1;
  }
}

ivit_program *ivit_program_create(const ivit_isa *isa, const int32_t *words) {
  heap h = {NULL};
  ivit_program *program = heap_allocate(&h, sizeof *program);
  program->heap = h;
  program->isa = isa;
  program->value_count = words[0];
  program->step_count = words[1];
  program->stage_count = words[2];
  program->values = heap_allocate(&program->heap, (size_t)words[0] * sizeof(value));
  program->steps = heap_allocate(&program->heap, (size_t)words[1] * sizeof(step));
  program->stages = heap_allocate(&program->heap, (size_t)words[2] * sizeof(stage));
  return program;
}

void ivit_program_free(ivit_program *program) {
  heap h = program->heap;
  heap_free(&h);
}

static void need_scratch(ivit_program *program, size_t bytes) {
  if (bytes > program->scratch_bytes) program->scratch_bytes = bytes;
}

/* type, lo, hi, zero, shift */
static ivit_output read_output(ivit_program *program, const int32_t **w, int32_t cols, const void *multiplier,
                               const void *offset) {
  ivit_output out = {.type = (ivit_type)(*w)[0],
                     .lo = (*w)[1],
                     .hi = (*w)[2],
                     .zero = (*w)[3],
                     .shift = (*w)[4],
                     .multiplier = keep(program, multiplier, (size_t)cols, sizeof(int32_t)),
                     .offset = keep(program, offset, (size_t)cols, sizeof(int64_t))};
  *w += 5;
  return out;
}

/* For row primitives: values up to `limit`. */
static void pack_output(ivit_program *program, ivit_output *out, int32_t cols, int64_t limit) {
  const ivit_isa *isa = program->isa;
  if (!isa->output_pack) return;
  out->packed = heap_allocate(&program->heap, isa->output_pack_size(cols));
  isa->output_pack(out, cols, limit, out->packed);
}

/* stride, offset, head stride, count of rows (0: none given) */
static ivit_view read_view(ivit_program *program, const int32_t **w, const void *rows) {
  ivit_view view = {.stride = (*w)[0],
                    .offset = (*w)[1],
                    .head_stride = (*w)[2],
                    .rows = keep(program, rows, (size_t)(*w)[3], sizeof(int32_t))};
  *w += 4;
  return view;
}

static void read_linear(ivit_program *program, ivit_linear *op, int32_t cols, const int32_t *w,
                        const void *const *constants) {
  op->cols = cols;
  op->out = read_output(program, &w, cols, constants[2], NULL);
  op->in_features = w[0];
  op->x_type = (ivit_type)w[1];
  op->x_zero = w[2];
  op->row_shift = w[3];
  op->twin = w[4] < 0 ? NULL : &program->steps[w[4]].as.linear;
  op->weight = constants[0];
  op->bias = keep(program, constants[1], (size_t)cols, sizeof(int32_t));
  op->packed = heap_allocate(&program->heap, program->isa->linear_pack_size(op));
  program->isa->linear_pack(op, op->packed);
  op->weight = NULL;
  need_scratch(program, program->isa->linear_scratch(op));
}

/* The table whose attention runs an op. */
static const ivit_isa *attention_isa(const ivit_program *program, const ivit_attention *op) {
  return op->softmax == IVIT_SOFTMAX_PAPER ? &ivit_isa_portable : program->isa;
}

static void read_attention(ivit_program *program, ivit_attention *op, int32_t cols, const int32_t *w,
                           const void *const *constants) {
  op->out = read_output(program, &w, cols, constants[5], NULL);
  op->batch = w[0];
  op->heads = w[1];
  op->queries = w[2];
  op->keys = w[3];
  op->dim = w[4];
  op->value_dim = w[5];
  op->softmax = (ivit_softmax)w[6];
  op->fraction_bits = w[7];
  op->score_shift = w[8];
  op->bias_batch = w[9];
  op->bias_heads = w[10];
  op->x0 = w[11];
  op->softmax_bits = w[12];
  w += 13;
  op->q = read_view(program, &w, constants[0]);
  op->k = read_view(program, &w, constants[1]);
  op->v = read_view(program, &w, constants[2]);
  op->score_multiplier = keep(program, constants[3], (size_t)op->heads, sizeof(int32_t));
  size_t tables = (size_t)op->bias_batch * (size_t)op->bias_heads;
  op->bias = keep(program, constants[4], tables * (size_t)op->queries * (size_t)op->keys, sizeof(int32_t));
  const ivit_isa *isa = attention_isa(program, op);
  size_t packed = round_up(isa->attention_pack_size(op), IVIT_ALIGN) + IVIT_ALIGN;
  packed *= (size_t)op->batch * (size_t)op->heads;
  if (packed > program->packed_bytes) program->packed_bytes = packed;
  need_scratch(program, isa->attention_scratch(op));
}

void ivit_program_step(ivit_program *program, int32_t index, const int32_t *words, const void *const *constants) {
  step *s = &program->steps[index];
  const int32_t *w = words + 7;
  s->kind = words[0];
  s->out = words[1];
  for (int32_t i = 0; i < 3; i++) s->in[i] = words[2 + i];
  s->rows = words[5];
  s->cols = words[6];
  need_scratch(program, ivit_row_scratch(s->cols));

  switch (s->kind) {
    case IVIT_STEP_PATCHES: copy_bytes(&s->as.patches, w, sizeof(patches)); break;
    case IVIT_STEP_CONSTANT: {
      size_t size = size_of((ivit_type)w[0]);
      s->as.constant = keep(program, constants[0], (size_t)s->rows * (size_t)s->cols, size);
      break;
    }
    case IVIT_STEP_LINEAR: read_linear(program, &s->as.linear, s->cols, w, constants); break;
    case IVIT_STEP_LAYER_NORM:
      s->as.layer_norm.cols = s->cols;
      s->as.layer_norm.out = read_output(program, &w, s->cols, constants[0], constants[1]);
      pack_output(program, &s->as.layer_norm.out, s->cols, IVIT_NORM_LIMIT);
      s->as.layer_norm.center = w[0];
      s->as.layer_norm.epsilon = (int64_t)(((uint64_t)(uint32_t)w[2] << 32) | (uint32_t)w[1]);
      break;
    case IVIT_STEP_ACTIVATION:
      s->as.activation.cols = s->cols;
      s->as.activation.out = read_output(program, &w, s->cols, constants[0], constants[1]);
      pack_output(program, &s->as.activation.out, s->cols, IVIT_ACTIVATION_LIMIT);
      s->as.activation.spacing = w[0];
      copy_bytes(s->as.activation.knots, constants[2], IVIT_KNOTS * sizeof(int16_t));
      break;
    case IVIT_STEP_PAPER_NORM:
      s->as.paper_norm.cols = s->cols;
      s->as.paper_norm.out = read_output(program, &w, s->cols, constants[0], constants[1]);
      break;
    case IVIT_STEP_PAPER_GELU:
      s->as.paper_gelu.cols = s->cols;
      s->as.paper_gelu.out = read_output(program, &w, s->cols, constants[0], constants[1]);
      s->as.paper_gelu.x0 = w[0];
      break;
    case IVIT_STEP_ATTENTION: read_attention(program, &s->as.attention, s->cols, w, constants); break;
    case IVIT_STEP_RESCALE:
      s->as.rescale.cols = s->cols;
      s->as.rescale.out = read_output(program, &w, s->cols, constants[0], constants[1]);
      pack_output(program, &s->as.rescale.out, s->cols, IVIT_WIDE_LIMIT);
      break;
    case IVIT_STEP_MEAN_ROWS:
      s->as.mean_rows.out = read_output(program, &w, s->cols, constants[0], NULL);
      s->as.mean_rows.group = w[0];
      break;
    case IVIT_STEP_GATHER: {
      gather *g = &s->as.gather;
      g->piece = w[0];
      g->fill = w[1];
      g->source_count = w[2];
      g->sources = keep(program, w + 3, (size_t)g->source_count, sizeof(int32_t));
      g->index = keep(program, constants[0], (size_t)s->rows * (size_t)s->cols / (size_t)g->piece, sizeof(int32_t));
      break;
    }
    default: break;
  }
}

static const int32_t *read_runs(ivit_program *program, const int32_t **w, int32_t *count) {
  *count = **w;
  const int32_t *runs = keep(program, *w + 1, 2 * (size_t)*count, sizeof(int32_t));
  *w += 1 + 2 * (size_t)*count;
  return runs;
}

/* Tells each linear layer which weights come after its own. Those of a twin were just read. */
static void link_linears(ivit_program *program) {
  const ivit_linear *next = NULL;
  for (int32_t i = program->step_count - 1; i >= 0; i--) {
    ivit_linear *op = &program->steps[i].as.linear;
    if (program->steps[i].kind != IVIT_STEP_LINEAR || op->twin) continue;
    if (next) op->next = next->packed;
    next = op;
  }
}

void ivit_program_layout(ivit_program *program, const int32_t *w) {
  link_linears(program);
  program->arena_bytes = (size_t)w[0];
  program->local_bytes = (size_t)w[1];
  w += 2;
  for (int32_t i = 0; i < program->value_count; i++, w += 6) {
    program->values[i] = (value){.place = w[0],
                                 .offset = (size_t)w[1],
                                 .scale_offset = (size_t)w[2],
                                 .type = (ivit_type)w[3],
                                 .rows = w[4],
                                 .cols = w[5]};
  }
  for (int32_t i = 0; i < program->step_count; i++) {
    step *s = &program->steps[i];
    if (s->kind == IVIT_STEP_CONSTANT) program->values[s->out].constant = s->as.constant;
  }
  for (int32_t i = 0; i < program->stage_count; i++) {
    stage *g = &program->stages[i];
    g->is_attention = w[0];
    g->block_rows = w[1];
    w += 2;
    g->runs = read_runs(program, &w, &g->run_count);
    g->use_count = *w++;
    g->uses = heap_allocate(&program->heap, (size_t)g->use_count * sizeof(use));
    for (int32_t u = 0; u < g->use_count; u++) {
      g->uses[u].step = w[0];
      g->uses[u].n0 = w[1];
      g->uses[u].n1 = w[2];
      w += 3;
      g->uses[u].runs = read_runs(program, &w, &g->uses[u].run_count);
    }
  }
}

/* --- contexts: schedules of blocks --- */

/*
 * Cuts the runs into blocks, multiples of the register tile but for a run's end. For several threads the blocks shrink
 * toward the end, so that all threads are done at about the same time.
 */
static void schedule_rows(heap *h, schedule *s, const stage *g, int32_t tile, int32_t threads) {
  int32_t left = 0, most = 0;
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t rows = g->runs[2 * i + 1] - g->runs[2 * i];
    left += rows;
    most += rows / tile + 1;
  }
  s->blocks = heap_allocate(h, (size_t)most * sizeof(block));
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t size = g->block_rows;
      if (threads > 1) size = ivit_min(size, left / (2 * threads) / tile * tile);
      size = ivit_min(ivit_max(size, tile), end - r);
      s->blocks[s->block_count++] = (block){.r0 = r, .r1 = r + size};
      r += size;
      left -= size;
    }
  }
}

/* Queries per item when several threads share an attention: enough items for an even share, in whole register tiles. */
static int32_t query_block(const ivit_attention *op, int32_t tile, int32_t threads) {
  if (threads == 1) return op->queries;
  int32_t items = op->batch * op->heads;
  int32_t parts = (8 * threads + items - 1) / items;
  return (int32_t)round_up((size_t)((op->queries + parts - 1) / parts), (size_t)tile);
}

static void schedule_attention(heap *h, schedule *s, const stage *g, const ivit_attention *op, int32_t tile,
                               int32_t threads) {
  int32_t size = query_block(op, tile, threads), most = 0;
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t rows = g->runs[2 * i + 1] - g->runs[2 * i];
    most += rows / size + rows / op->queries + 4;
  }
  s->blocks = heap_allocate(h, (size_t)most * (size_t)op->heads * sizeof(block));
  s->windows = heap_allocate(h, (size_t)op->batch * sizeof(int32_t));
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t window = r / op->queries, start = window * op->queries;
      int32_t stop = ivit_min(end, start + op->queries);
      if (s->window_count == 0 || s->windows[s->window_count - 1] != window) s->windows[s->window_count++] = window;
      for (int32_t head = 0; head < op->heads; head++) {
        for (int32_t q = r; q < stop; q += size) {
          block b = {.r0 = q - start, .r1 = ivit_min(q + size, stop) - start, .window = window, .head = head};
          s->blocks[s->block_count++] = b;
        }
      }
      r = stop;
    }
  }
}

ivit_context *ivit_context_create(const ivit_program *program, int32_t threads) {
  heap h = {NULL};
  ivit_context *context = heap_allocate(&h, sizeof *context);
  context->program = program;
  context->threads = threads;
  context->arena = heap_allocate(&h, program->arena_bytes);
  context->packed = heap_allocate(&h, program->packed_bytes);
  context->local = heap_allocate(&h, (size_t)threads * sizeof(uint8_t *));
  context->scratch = heap_allocate(&h, (size_t)threads * sizeof(uint8_t *));
  for (int32_t t = 0; t < threads; t++) {
    context->local[t] = heap_allocate(&h, program->local_bytes);
    context->scratch[t] = heap_allocate(&h, program->scratch_bytes);
  }
  context->schedules = heap_allocate(&h, (size_t)program->stage_count * sizeof(schedule));
  for (int32_t i = 0; i < program->stage_count; i++) {
    const stage *g = &program->stages[i];
    schedule *s = &context->schedules[i];
    int32_t tile = program->isa->tile_rows;
    if (g->is_attention) schedule_attention(&h, s, g, &program->steps[g->uses[0].step].as.attention, tile, threads);
    else schedule_rows(&h, s, g, tile, threads);
  }
  context->heap = h;
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

/* --- running --- */

/* A thread at work on rows r0, ... of a stage. */
typedef struct {
  const ivit_context *context;
  uint8_t *local, *scratch;
  int32_t r0;
  int64_t *times; /* [steps], or NULL */
} worker;

/* A profile's clock; costs nothing where none is taken. */
static int64_t start_clock(const worker *w) { return w->times ? ivit_clock() : 0; }
static void stop_clock(const worker *w, int32_t step, int64_t start) {
  if (w->times) w->times[step] += ivit_clock() - start;
}

static void *row_data(const worker *w, int32_t v, int32_t row) {
  const value *d = &w->context->program->values[v];
  size_t row_bytes = (size_t)d->cols * size_of(d->type);
  switch (d->place) {
    case IVIT_PLACE_LOCAL: return w->local + d->offset + (size_t)(row - w->r0) * row_bytes;
    case IVIT_PLACE_CONSTANT: return (uint8_t *)(uintptr_t)d->constant + (size_t)row * row_bytes;
    default: return w->context->arena + d->offset + (size_t)row * row_bytes;
  }
}

static int32_t *row_scale(const worker *w, int32_t v, int32_t row) {
  const value *d = &w->context->program->values[v];
  if (d->type != IVIT_ROWS) return NULL;
  if (d->place == IVIT_PLACE_LOCAL) return (int32_t *)(w->local + d->scale_offset) + (row - w->r0);
  return (int32_t *)(w->context->arena + d->scale_offset) + row;
}

/*
 * An operand's elements from `at` on, for readers with a row length of their own. An operand made in this stage has the
 * reader's rows (the plan sees to it), so `at` lies within the block.
 */
static void *element_data(const worker *w, int32_t v, size_t at) {
  const value *d = &w->context->program->values[v];
  size_t row = at / (size_t)d->cols;
  return (uint8_t *)row_data(w, v, (int32_t)row) + (at - row * (size_t)d->cols) * size_of(d->type);
}

static void run_patches(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const patches *p = &s->as.patches;
  const uint8_t *image = row_data(w, s->in[0], 0);
  uint8_t *out = row_data(w, s->out, s0);
  for (int32_t row = s0; row < s1; row++) {
    int32_t top = row / p->out_w * p->stride_h - p->pad_top;
    int32_t left = row % p->out_w * p->stride_w - p->pad_left;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
      int32_t y = top + ky * p->dilation_h;
      for (int32_t kx = 0; kx < p->kernel_w; kx++, out += p->channels) {
        int32_t x = left + kx * p->dilation_w;
        int inside = y >= 0 && y < p->height && x >= 0 && x < p->width;
        if (inside && p->dilation_w == 1 && left >= 0 && left + p->kernel_w <= p->width) {
          size_t bytes = (size_t)(p->kernel_w - kx) * (size_t)p->channels;
          copy_bytes(out, image + ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels, bytes);
          out += bytes;
          break;
        }
        const uint8_t *pixel = image + ((ptrdiff_t)y * p->width + x) * p->channels;
        for (int32_t c = 0; c < p->channels; c++) out[c] = inside ? pixel[c] : 0;
      }
    }
  }
}

static void fill_elements(void *out, int32_t fill, size_t count, ivit_type type) {
  for (size_t i = 0; i < count; i++) {
    if (type == IVIT_I32) ((int32_t *)out)[i] = fill;
    else if (type == IVIT_I16) ((int16_t *)out)[i] = (int16_t)fill;
    else ((uint8_t *)out)[i] = (uint8_t)fill;
  }
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

static void run_gather(const worker *w, const step *s, int32_t s0, int32_t s1) {
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
      fill_elements(out, g->fill, count, type);
      if (scale) *scale++ = 1;
    } else {
      size_t position = (size_t)from * piece + within;
      int32_t source = find_source(program, g, &position);
      copy_bytes(out, element_data(w, source, position), count * size_of(type));
      if (scale) *scale++ = *row_scale(w, source, (int32_t)(position / (size_t)s->cols));
    }
    out += count * size_of(type);
    at += count;
  }
}

static void run_mean_rows(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const mean_rows *m = &s->as.mean_rows;
  int32_t *wide = (int32_t *)w->scratch;
  for (int32_t row = s0; row < s1; row++) {
    const int32_t *x = element_data(w, s->in[0], (size_t)row * (size_t)m->group * (size_t)s->cols);
    void *out = row_data(w, s->out, row);
    for (int32_t n = 0; n < s->cols; n++) {
      int64_t sum = 0;
      for (int32_t i = 0; i < m->group; i++) sum += x[(size_t)i * (size_t)s->cols + (size_t)n];
      int32_t r = ivit_requantize(&m->out, sum, n);
      if (m->out.type == IVIT_ROWS) wide[n] = r;
      else ivit_store(&m->out, out, (size_t)n, r);
    }
    if (m->out.type == IVIT_ROWS) {
      w->context->program->isa->quantize_rows(1, s->cols, wide, out, row_scale(w, s->out, row));
    }
  }
}

static void run_linear(const worker *w, const step *s, int32_t n0, int32_t n1, int32_t s0, int32_t s1) {
  const ivit_linear *op = &s->as.linear;
  const void *x = element_data(w, s->in[0], (size_t)s0 * (size_t)op->in_features);
  const int32_t *residual = s->in[1] < 0 ? NULL : element_data(w, s->in[1], (size_t)s0 * (size_t)s->cols);
  w->context->program->isa->linear(op, s1 - s0, n0, n1, x, row_scale(w, s->in[0], s0), residual,
                                   row_data(w, s->out, s0), w->scratch);
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
      isa->activation(&s->as.activation, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_PAPER_NORM:
      ivit_portable_paper_norm(&s->as.paper_norm, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_PAPER_GELU:
      ivit_portable_paper_gelu(&s->as.paper_gelu, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_ADD:
      isa->add((size_t)rows * (size_t)s->cols, element_data(w, s->in[0], at), element_data(w, s->in[1], at), out);
      break;
    case IVIT_STEP_RESCALE:
      isa->rescale(&s->as.rescale, rows, element_data(w, s->in[0], at), out, scale, w->scratch);
      break;
    case IVIT_STEP_MEAN_ROWS: run_mean_rows(w, s, s0, s1); break;
    case IVIT_STEP_GATHER: run_gather(w, s, s0, s1); break;
    case IVIT_STEP_QUANTIZE:
      isa->quantize_rows(rows, s->cols, element_data(w, s->in[0], at), out, scale);
      break;
    default: break;
  }
}

/* The rows of block [r0, r1) that a step must compute: from the first to the last that its runs touch. */
static int clip_to_runs(const use *u, int32_t r0, int32_t r1, int32_t *s0, int32_t *s1) {
  *s0 = r1;
  *s1 = r0;
  for (int32_t i = 0; i < u->run_count; i++) {
    int32_t a = ivit_max(u->runs[2 * i], r0), b = ivit_min(u->runs[2 * i + 1], r1);
    if (a >= b) continue;
    *s0 = ivit_min(*s0, a);
    *s1 = ivit_max(*s1, b);
  }
  return *s0 < *s1;
}

static void barrier(ivit_context *context) {
  if (context->threads == 1) return;
  int generation = atomic_load_explicit(&context->generation, memory_order_relaxed);
  if (atomic_fetch_add(&context->arrived, 1) == context->threads - 1) {
    atomic_store_explicit(&context->arrived, 0, memory_order_relaxed);
    atomic_fetch_add(&context->generation, 1);
    return;
  }
  for (int spins = 0; atomic_load_explicit(&context->generation, memory_order_acquire) == generation; spins++) {
    if (spins > 1000) ivit_yield();
  }
}

static uint8_t *packed_head(const ivit_context *context, const ivit_attention *op, int32_t window, int32_t head) {
  size_t bytes = round_up(attention_isa(context->program, op)->attention_pack_size(op), IVIT_ALIGN) + IVIT_ALIGN;
  return context->packed + (size_t)(window * op->heads + head) * bytes;
}

static void run_attention(ivit_context *context, const worker *w, const stage *g, schedule *schedule) {
  const step *s = &context->program->steps[g->uses[0].step];
  const ivit_attention *op = &s->as.attention;
  const ivit_isa *isa = attention_isa(context->program, op);
  const int8_t *q = row_data(w, s->in[0], 0), *k = row_data(w, s->in[1], 0), *v = row_data(w, s->in[2], 0);
  void *out = row_data(w, s->out, 0);
  int64_t start = start_clock(w);
  for (;;) {
    int32_t item = atomic_fetch_add(&schedule->next_pack, 1);
    if (item >= schedule->window_count * op->heads) break;
    int32_t window = schedule->windows[item / op->heads], head = item % op->heads;
    isa->attention_pack(op, window, head, k, v, packed_head(context, op, window, head));
  }
  stop_clock(w, g->uses[0].step, start);
  barrier(context);
  start = start_clock(w);
  for (;;) {
    int32_t item = atomic_fetch_add(&schedule->next_block, 1);
    if (item >= schedule->block_count) break;
    const block *b = &schedule->blocks[item];
    isa->attention(op, b->window, b->head, b->r0, b->r1, q, packed_head(context, op, b->window, b->head), out,
                   w->scratch);
  }
  stop_clock(w, g->uses[0].step, start);
}

void ivit_context_begin(ivit_context *context) {
  for (int32_t i = 0; i < context->program->stage_count; i++) {
    atomic_store_explicit(&context->schedules[i].next_block, 0, memory_order_relaxed);
    atomic_store_explicit(&context->schedules[i].next_pack, 0, memory_order_relaxed);
  }
}

void ivit_context_run(ivit_context *context, int32_t thread) {
  const ivit_program *program = context->program;
  worker w = {.context = context, .local = context->local[thread], .scratch = context->scratch[thread]};
  if (context->times) w.times = context->times + (size_t)thread * (size_t)program->step_count;
  for (int32_t i = 0; i < program->stage_count; i++) {
    const stage *g = &program->stages[i];
    schedule *schedule = &context->schedules[i];
    if (g->is_attention) {
      w.r0 = 0;
      run_attention(context, &w, g, schedule);
    } else {
      for (;;) {
        int32_t item = atomic_fetch_add(&schedule->next_block, 1);
        if (item >= schedule->block_count) break;
        const block *b = &schedule->blocks[item];
        w.r0 = b->r0;
        for (int32_t u = 0; u < g->use_count; u++) {
          int32_t s0, s1;
          if (!clip_to_runs(&g->uses[u], b->r0, b->r1, &s0, &s1)) continue;
          int64_t start = start_clock(&w);
          run_step(&w, &g->uses[u], s0, s1);
          stop_clock(&w, g->uses[u].step, start);
        }
      }
    }
    barrier(context);
  }
}
