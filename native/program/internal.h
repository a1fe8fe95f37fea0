/* What the parts of a program's runtime share: the program, the memory to run it in, and a thread at work. */
#ifndef IVIT_PROGRAM_INTERNAL_H
#define IVIT_PROGRAM_INTERNAL_H

#include <stdatomic.h>

#include "../arith.h"
#ifdef IVIT_FLOAT
#include "../float/float.h"
#endif
#include "program.h"

/* `group` rows in turn read one row of b. */
typedef struct {
  int32_t group;
  ivit_binary op;
} binary;

typedef struct {
  int32_t column, table_rows;
  ivit_rotate op;
} rotate;

typedef struct {
  int32_t piece, fill, source_count;
  const int32_t *sources;
  const int32_t *index;
} gather;

typedef struct {
  int32_t kind, out, in[3], rows, cols;
  union {
    ivit_geometry patches;
    ivit_linear linear;
    ivit_layer_norm layer_norm;
    ivit_activation activation;
    ivit_paper_norm paper_norm;
    ivit_paper_gelu paper_gelu;
    ivit_ibert_gelu ibert_gelu;
    ivit_attention attention;
    ivit_rescale rescale;
    binary binary;
    ivit_lookup *lookup;
    ivit_row_softmax softmax;
    ivit_matmul matmul;
    rotate rotate;
    ivit_mean_rows mean_rows;
    gather gather;
    ivit_windows windows;
    ivit_geometry max_pool;
    ivit_depthwise depthwise;
    ivit_mix_rows mix_rows;
    ivit_group_norm group_norm;
    const void *constant;
  } as;
} step;

typedef struct {
  int32_t place;
  size_t offset, scale_offset; /* bytes */
  ivit_type type;
  int32_t rows, cols;
  const void *constant; /* [rows, cols], of a constant */
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
  uint64_t left; /* bytes that may still be allocated */
} heap;

struct ivit_program {
  heap heap;
  const ivit_isa *isa;
  int32_t value_count, step_count, stage_count;
  value *values;
  step *steps;
  stage *stages;
  size_t arena_bytes, local_bytes, scratch_bytes, packed_bytes;
  uint64_t max_bytes; /* that it, and each context of it, may allocate */
  int32_t most_groups; /* of a group norm */
};

/* Rows [r0, r1) of a row stage; of an attention, queries [r0, r1) of a window and head. */
typedef struct {
  int32_t r0, r1, window, head;
} block;

/* Of a group, over all rows: each thread adds those of the rows that it took. */
typedef struct {
  _Atomic int64_t sum;
  _Atomic uint64_t squares;
} shared_sums;

typedef struct {
  block *blocks;
  int32_t block_count;
  /* Attention: windows with a query to answer. */
  int32_t *windows;
  int32_t window_count;
  atomic_int next_block, next_pack;
  /* Blocks and packs that are finished: with all of them, whoever waits goes on. */
  atomic_int done_blocks, done_packs;
  shared_sums *sums; /* of a group norm: [groups]; else NULL */
} schedule;

struct ivit_context {
  heap heap;
  const ivit_program *program;
  int32_t threads;
  uint8_t *arena;
  uint8_t *packed;
  uint8_t **local, **scratch;  /* [threads] */
  ivit_group_sums **sums;      /* [threads][groups] */
  ivit_group_factor **factors; /* [threads][groups] */
  schedule *schedules;         /* [stages] */
  int64_t *times;              /* [threads][steps], or NULL: no profile is taken */
  atomic_int waiting; /* threads that sleep until others are done */
};

/* memory.c: zeroed memory that is freed with its heap. Does not return where there is none, or no more is allowed. */
void *heap_allocate(heap *h, size_t bytes);
/* The same for `count` elements of `size` bytes, whose product may be more than a size_t. */
void *heap_array(heap *h, size_t count, size_t size);
void heap_free(heap *h);

/* Bytes that the keys and values of one window and head take, packed. */
static inline size_t packed_head_bytes(const ivit_program *program, const ivit_attention *op) {
  const ivit_isa *isa = program->isa;
  size_t size = ivit_is_published(op) ? isa->published_pack_size(op) : isa->attention_pack_size(op);
  return round_up(size, IVIT_ALIGN) + IVIT_ALIGN;
}

/* load.c: a copy of a constant, followed by zeros as ivit.h promises; NULL of NULL. */
const void *keep(ivit_program *program, const void *from, size_t count, size_t size);
/* Refuses sizes that come of rows * cols elements, and would pass what a size_t holds. */
void require_elements(int64_t rows, int64_t cols);
/* An output; multiplier [cols], offset [cols] or NULL. */
ivit_output read_output(ivit_program *program, const int32_t *w, int32_t cols, const void *multiplier,
                        const void *offset);
void need_scratch(ivit_program *program, size_t bytes);
/* For row primitives: values up to `limit`. */
void pack_output(ivit_program *program, ivit_output *out, int32_t cols, int64_t limit);

/* 64 bits in two words, the low ones first. */
static inline int64_t read_wide(const int32_t *w) {
  return (int64_t)(((uint64_t)(uint32_t)w[1] << 32) | (uint32_t)w[0]);
}

/* load_maps.c: whether the step is one on a feature map, which it reads. */
int read_map_op(ivit_program *program, step *s, const int32_t *w, const void *const *constants);

/* schedule.c: cuts the stages into blocks for so many threads. */
void make_schedules(ivit_context *context);

/* A thread at work on rows r0, ... of a stage. */
typedef struct {
  const ivit_context *context;
  uint8_t *local, *scratch;
  ivit_group_sums *sums;
  ivit_group_factor *factors; /* of the group norm that its stage begins with */
  int32_t r0;
  int64_t *times; /* [steps], or NULL */
} worker;

/* Where row `row` of a value lies for a worker. */
static inline void *row_data(const worker *w, int32_t v, int32_t row) {
  const value *d = &w->context->program->values[v];
  size_t row_bytes = (size_t)d->cols * ivit_size_of(d->type);
  switch (d->place) {
    case IVIT_PLACE_LOCAL: return w->local + d->offset + (size_t)(row - w->r0) * row_bytes;
    case IVIT_PLACE_CONSTANT: return (uint8_t *)(uintptr_t)d->constant + (size_t)row * row_bytes;
    default: return w->context->arena + d->offset + (size_t)row * row_bytes;
  }
}

/* The scale of row `row`, where the value has dynamic rows; else NULL. */
static inline int32_t *row_scale(const worker *w, int32_t v, int32_t row) {
  const value *d = &w->context->program->values[v];
  if (d->type != IVIT_ROWS) return NULL;
  if (d->place == IVIT_PLACE_LOCAL) return (int32_t *)(w->local + d->scale_offset) + (row - w->r0);
  return (int32_t *)(w->context->arena + d->scale_offset) + row;
}

/*
 * An operand's elements from `at` on, for readers with a row length of their own. An operand made in this stage has the
 * reader's rows (the plan sees to it), so `at` lies within the block.
 */
static inline void *element_data(const worker *w, int32_t v, size_t at) {
  const value *d = &w->context->program->values[v];
  size_t row = at / (size_t)d->cols;
  return (uint8_t *)row_data(w, v, (int32_t)row) + (at - row * (size_t)d->cols) * ivit_size_of(d->type);
}

/* layout_ops.c: rows s0 to s1 of the ops that move, or add up, whole rows. */
void run_patches(const worker *w, const step *s, int32_t s0, int32_t s1);
void run_gather(const worker *w, const step *s, int32_t s0, int32_t s1);
void run_mean_rows(const worker *w, const step *s, int32_t s0, int32_t s1);
/* binary_ops.c: rows s0 to s1 of the ops that combine two values. */
void run_binary(const worker *w, const step *s, int32_t s0, int32_t s1);
void run_matmul(const worker *w, const step *s, int32_t s0, int32_t s1);
void run_rotate(const worker *w, const step *s, int32_t s0, int32_t s1);

/* map_ops.c: rows s0 to s1 of the ops on feature maps. */
void run_map_op(const worker *w, const step *s, int32_t s0, int32_t s1);
/* A group norm, before its stage: this thread's share of the sums; then, all threads being done, the factors. */
int32_t summed_packs(const ivit_group_norm *op);
/* @return how many of the packs it took */
int32_t add_group_sums(const worker *w, const step *s, schedule *schedule);
void find_group_factors(const worker *w, const step *s, schedule *schedule);

#endif
