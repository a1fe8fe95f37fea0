/* Reads a plan: steps with their constants packed, then where every value lies, and the stages. */
#include "internal.h"

const void *keep(ivit_program *program, const void *from, size_t count, size_t size) {
  if (!from) return NULL;
  if (count > SIZE_MAX / 2) ivit_out_of_memory();
  void *to = heap_array(&program->heap, round_up(count, 64), size);
  ivit_copy(to, from, count * size);
  return to;
}

void require_elements(int64_t rows, int64_t cols) {
  const uint64_t a = round_up((size_t)rows, 64), b = round_up((size_t)cols, 64);
  if (a > SIZE_MAX / 16 / b) ivit_out_of_memory();
}

ivit_program *ivit_program_create(const ivit_isa *isa, const int32_t *words) {
  uint64_t max_bytes = (uint64_t)read_wide(words + IVIT_HEADER_MAX_BYTES);
  heap h = {NULL, max_bytes};
  ivit_program *program = heap_allocate(&h, sizeof *program);
  program->heap = h;
  program->max_bytes = max_bytes;
  program->isa = isa;
  program->value_count = words[IVIT_HEADER_VALUES];
  program->step_count = words[IVIT_HEADER_STEPS];
  program->stage_count = words[IVIT_HEADER_STAGES];
  program->values = heap_array(&program->heap, (size_t)program->value_count, sizeof(value));
  program->steps = heap_array(&program->heap, (size_t)program->step_count, sizeof(step));
  program->stages = heap_array(&program->heap, (size_t)program->stage_count, sizeof(stage));
  return program;
}

void ivit_program_free(ivit_program *program) {
  heap h = program->heap;
  heap_free(&h);
}

void need_scratch(ivit_program *program, size_t bytes) {
  if (bytes > program->scratch_bytes) program->scratch_bytes = bytes;
}

ivit_output read_output(ivit_program *program, const int32_t *w, int32_t cols, const void *multiplier,
                        const void *offset) {
  return (ivit_output){.type = (ivit_type)w[IVIT_OUTPUT_TYPE],
                       .lo = w[IVIT_OUTPUT_LO],
                       .hi = w[IVIT_OUTPUT_HI],
                       .zero = w[IVIT_OUTPUT_ZERO],
                       .shift = w[IVIT_OUTPUT_SHIFT],
                       .multiplier = keep(program, multiplier, (size_t)cols, sizeof(int32_t)),
                       .offset = keep(program, offset, (size_t)cols, sizeof(int64_t))};
}

/*
 * Narrow rows lie side by side as one wide row, whose constants are repeated: an op on elements computes as many of
 * them at once as vectors hold. Constants have room for 64 columns anyway.
 */
enum { WIDE_ROW = 64 };
static int32_t widened(const int32_t *out, int32_t cols) {
  return out[IVIT_OUTPUT_TYPE] == IVIT_ROWS || cols > WIDE_ROW ? cols : WIDE_ROW / cols * cols;
}

static ivit_output read_wide_output(ivit_program *program, const int32_t *w, int32_t cols, const int32_t *multiplier,
                                    const int64_t *offset) {
  int32_t wide = widened(w, cols), multipliers[WIDE_ROW];
  int64_t offsets[WIDE_ROW];
  if (wide == cols) return read_output(program, w, cols, multiplier, offset);
  for (int32_t n = 0; n < wide; n++) {
    multipliers[n] = multiplier[n % cols];
    if (offset) offsets[n] = offset[n % cols];
  }
  return read_output(program, w, wide, multipliers, offset ? offsets : NULL);
}

void pack_output(ivit_program *program, ivit_output *out, int32_t cols, int64_t limit) {
  const ivit_isa *isa = program->isa;
  if (!isa->output_pack) return;
  out->packed = heap_allocate(&program->heap, isa->output_pack_size(cols));
  isa->output_pack(out, cols, limit, out->packed);
}

/* A view; rows: as many as it counts, or NULL. */
static ivit_view read_view(ivit_program *program, const int32_t *w, const void *rows) {
  return (ivit_view){.stride = w[IVIT_VIEW_STRIDE],
                     .offset = w[IVIT_VIEW_OFFSET],
                     .head_stride = w[IVIT_VIEW_HEAD_STRIDE],
                     .rows = keep(program, rows, (size_t)w[IVIT_VIEW_ROW_COUNT], sizeof(int32_t))};
}

static ivit_geometry read_patches(const int32_t *w) {
  return (ivit_geometry){.height = w[IVIT_PATCHES_HEIGHT],
                         .width = w[IVIT_PATCHES_WIDTH],
                         .kernel_h = w[IVIT_PATCHES_KERNEL],
                         .kernel_w = w[IVIT_PATCHES_KERNEL + 1],
                         .stride_h = w[IVIT_PATCHES_STRIDE],
                         .stride_w = w[IVIT_PATCHES_STRIDE + 1],
                         .pad_top = w[IVIT_PATCHES_PAD],
                         .pad_left = w[IVIT_PATCHES_PAD + 1],
                         .dilation_h = w[IVIT_PATCHES_DILATION],
                         .dilation_w = w[IVIT_PATCHES_DILATION + 1],
                         .out_w = w[IVIT_PATCHES_OUT_WIDTH],
                         .channels = w[IVIT_PATCHES_CHANNELS]};
}

static void read_linear(ivit_program *program, ivit_linear *op, int32_t cols, const int32_t *w,
                        const void *const *constants) {
  op->cols = cols;
  op->out = read_output(program, w + IVIT_LINEAR_OUT, cols, constants[IVIT_LINEAR_CONSTANT_MULTIPLIER], NULL);
  op->in_features = w[IVIT_LINEAR_IN_FEATURES];
  op->x_type = (ivit_type)w[IVIT_LINEAR_X_TYPE];
  op->x_zero = w[IVIT_LINEAR_X_ZERO];
  op->row_shift = w[IVIT_LINEAR_ROW_SHIFT];
  int32_t owner = w[IVIT_LINEAR_WEIGHTS_OF];
  op->weights_of = owner < 0 ? NULL : &program->steps[owner].as.linear;
  op->weight = constants[IVIT_LINEAR_CONSTANT_WEIGHT];
  op->bias = keep(program, constants[IVIT_LINEAR_CONSTANT_BIAS], (size_t)cols, sizeof(int32_t));
  require_elements(cols, op->in_features);
  op->packed = heap_allocate(&program->heap, program->isa->linear_pack_size(op));
  program->isa->linear_pack(op, op->packed);
  op->weight = NULL;
  need_scratch(program, program->isa->linear_scratch(op));
}

static void read_attention(ivit_program *program, ivit_attention *op, int32_t cols, const int32_t *w,
                           const void *const *constants) {
  op->out = read_output(program, w + IVIT_ATTENTION_OUT, cols, constants[IVIT_ATTENTION_CONSTANT_MULTIPLIER], NULL);
  op->batch = w[IVIT_ATTENTION_BATCH];
  op->heads = w[IVIT_ATTENTION_HEADS];
  op->queries = w[IVIT_ATTENTION_QUERIES];
  op->keys = w[IVIT_ATTENTION_KEYS];
  op->dim = w[IVIT_ATTENTION_DIM];
  op->value_dim = w[IVIT_ATTENTION_VALUE_DIM];
  op->softmax = (ivit_softmax)w[IVIT_ATTENTION_SOFTMAX];
  op->fraction_bits = w[IVIT_ATTENTION_FRACTION_BITS];
  op->score_shift = w[IVIT_ATTENTION_SCORE_SHIFT];
  op->bias_batch = w[IVIT_ATTENTION_BIAS_BATCH];
  op->bias_heads = w[IVIT_ATTENTION_BIAS_HEADS];
  op->x0 = w[IVIT_ATTENTION_X0];
  op->softmax_bits = w[IVIT_ATTENTION_SOFTMAX_BITS];
  op->q = read_view(program, w + IVIT_ATTENTION_Q, constants[IVIT_ATTENTION_CONSTANT_Q_ROWS]);
  op->k = read_view(program, w + IVIT_ATTENTION_K, constants[IVIT_ATTENTION_CONSTANT_K_ROWS]);
  op->v = read_view(program, w + IVIT_ATTENTION_V, constants[IVIT_ATTENTION_CONSTANT_V_ROWS]);
  op->score_multiplier =
      keep(program, constants[IVIT_ATTENTION_CONSTANT_SCORE_MULTIPLIER], (size_t)op->heads, sizeof(int32_t));
  size_t tables = (size_t)op->bias_batch * (size_t)op->bias_heads;
  op->bias = keep(program, constants[IVIT_ATTENTION_CONSTANT_BIAS], tables * (size_t)op->queries * (size_t)op->keys,
                  sizeof(int32_t));
  require_elements(op->keys, (int64_t)op->dim + op->value_dim);
  require_elements(op->keys, 64);
  size_t packed = packed_head_bytes(program, op);
  size_t heads = (size_t)op->batch * (size_t)op->heads;
  /* More than memory can have: the allocation fails, where the product would wrap. */
  packed = packed > SIZE_MAX / 2 / heads ? SIZE_MAX / 2 : packed * heads;
  if (packed > program->packed_bytes) program->packed_bytes = packed;
  const ivit_isa *isa = program->isa;
  need_scratch(program, ivit_is_published(op) ? isa->published_scratch(op) : isa->attention_scratch(op));
}

static void read_matmul(ivit_program *program, ivit_matmul *op, const int32_t *w, const void *const *constants) {
  op->heads = w[IVIT_MATMUL_HEADS];
  op->m = w[IVIT_MATMUL_M];
  op->n = w[IVIT_MATMUL_N];
  op->k = w[IVIT_MATMUL_K];
  op->a_transposed = w[IVIT_MATMUL_A_TRANSPOSED];
  op->b_transposed = w[IVIT_MATMUL_B_TRANSPOSED];
  op->a = read_view(program, w + IVIT_MATMUL_A, constants[IVIT_MATMUL_CONSTANT_A_ROWS]);
  op->b = read_view(program, w + IVIT_MATMUL_B, constants[IVIT_MATMUL_CONSTANT_B_ROWS]);
  const int32_t *multiplier = constants[IVIT_MATMUL_CONSTANT_MULTIPLIER];
  const int64_t *offset = constants[IVIT_MATMUL_CONSTANT_OFFSET];
  require_elements(op->m, op->k);
  require_elements(op->n, 64);
  ivit_output *outs = heap_array(&program->heap, (size_t)op->heads, sizeof *outs);
  for (int32_t h = 0; h < op->heads; h++, multiplier += op->n, offset += op->n) {
    outs[h] = read_output(program, w + IVIT_MATMUL_OUT, op->n, multiplier, offset);
    /* Wider sums are requantized one by one. */
    pack_output(program, &outs[h], op->n, INT32_MAX);
  }
  op->out = outs;
  need_scratch(program, program->isa->matmul_scratch(op));
}

static void read_gather(ivit_program *program, gather *op, const step *s, const int32_t *w, const void *index) {
  op->piece = w[IVIT_GATHER_PIECE];
  op->fill = w[IVIT_GATHER_FILL];
  op->source_count = w[IVIT_GATHER_SOURCE_COUNT];
  op->sources = keep(program, w + IVIT_GATHER_SOURCES, (size_t)op->source_count, sizeof(int32_t));
  op->index = keep(program, index, (size_t)s->rows * (size_t)s->cols / (size_t)op->piece, sizeof(int32_t));
}

/* A product or quotient: w and constants of its output, then how b lies. */
static void read_binary(ivit_program *program, step *s, const int32_t *w, const void *const *constants) {
  ivit_binary *op = &s->as.binary.op;
  int32_t is_product = s->kind == IVIT_STEP_MULTIPLY;
  op->cols = s->cols;
  op->out = read_output(program, w + IVIT_DIVIDE_OUT, s->cols, constants[IVIT_DIVIDE_CONSTANT_MULTIPLIER],
                        constants[IVIT_DIVIDE_CONSTANT_OFFSET]);
  s->as.binary.group = w[IVIT_DIVIDE_GROUP];
  op->is_column = w[IVIT_DIVIDE_IS_COLUMN];
  if (!is_product) op->bits = w[IVIT_DIVIDE_BITS];
  int64_t quotient = (int64_t)IVIT_WIDE_LIMIT << op->bits;
  pack_output(program, &op->out, s->cols,
              is_product              ? IVIT_PRODUCT_LIMIT
              : quotient > INT32_MAX ? INT32_MAX
                                     : quotient);
}

static ivit_lookup *read_lookup(ivit_program *program, int32_t cols, const int32_t *w, const void *const *constants) {
  ivit_lookup *op = heap_allocate(&program->heap, sizeof *op);
  op->cols = cols;
  op->out = read_output(program, w + IVIT_LOOKUP_OUT, cols, constants[IVIT_LOOKUP_CONSTANT_MULTIPLIER],
                        constants[IVIT_LOOKUP_CONSTANT_OFFSET]);
  ivit_copy(op->table, constants[IVIT_LOOKUP_CONSTANT_TABLE], sizeof op->table);
  pack_output(program, &op->out, cols, IVIT_TABLE_LIMIT);
  return op;
}

static void read_rotate(ivit_program *program, step *s, const int32_t *w, const void *const *constants) {
  ivit_rotate *op = &s->as.rotate.op;
  s->as.rotate.column = w[IVIT_ROTATE_COLUMN];
  s->as.rotate.table_rows = w[IVIT_ROTATE_TABLE_ROWS];
  op->cols = s->cols;
  op->period = w[IVIT_ROTATE_PERIOD];
  op->stride = w[IVIT_ROTATE_STRIDE];
  op->partner = keep(program, constants[IVIT_ROTATE_CONSTANT_PARTNER], (size_t)s->cols, sizeof(int32_t));
  op->out = read_output(program, w + IVIT_ROTATE_OUT, s->cols, constants[IVIT_ROTATE_CONSTANT_MULTIPLIER],
                        constants[IVIT_ROTATE_CONSTANT_OFFSET]);
  pack_output(program, &op->out, s->cols, IVIT_ROTATE_LIMIT);
}

/* The ops that requantize rows: output first, then what is their own. w: the op's words. */
static void read_row_op(ivit_program *program, step *s, const int32_t *w, const void *const *constants) {
  int32_t cols = s->cols;
  switch (s->kind) {
    case IVIT_STEP_FLOAT_NORM:
    case IVIT_STEP_LAYER_NORM: {
      ivit_layer_norm *op = &s->as.layer_norm;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_LAYER_NORM_OUT, cols, constants[IVIT_LAYER_NORM_CONSTANT_MULTIPLIER],
                            constants[IVIT_LAYER_NORM_CONSTANT_OFFSET]);
      pack_output(program, &op->out, cols, IVIT_NORM_LIMIT);
      op->center = w[IVIT_LAYER_NORM_CENTER];
      op->epsilon = read_wide(w + IVIT_LAYER_NORM_EPSILON);
      break;
    }
    case IVIT_STEP_ACTIVATION: {
      ivit_activation *op = &s->as.activation;
      op->cols = widened(w + IVIT_ACTIVATION_OUT, cols);
      op->out = read_wide_output(program, w + IVIT_ACTIVATION_OUT, cols, constants[IVIT_ACTIVATION_CONSTANT_MULTIPLIER],
                                 constants[IVIT_ACTIVATION_CONSTANT_OFFSET]);
      pack_output(program, &op->out, op->cols, IVIT_ACTIVATION_LIMIT);
      op->spacing = w[IVIT_ACTIVATION_SPACING];
      ivit_copy(op->knots, constants[IVIT_ACTIVATION_CONSTANT_KNOTS], IVIT_KNOTS * sizeof(int16_t));
      break;
    }
    case IVIT_STEP_PAPER_NORM: {
      ivit_paper_norm *op = &s->as.paper_norm;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_PAPER_NORM_OUT, cols, constants[IVIT_PAPER_NORM_CONSTANT_MULTIPLIER],
                            constants[IVIT_PAPER_NORM_CONSTANT_OFFSET]);
      break;
    }
    case IVIT_STEP_PAPER_GELU: {
      ivit_paper_gelu *op = &s->as.paper_gelu;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_PAPER_GELU_OUT, cols, constants[IVIT_PAPER_GELU_CONSTANT_MULTIPLIER],
                            constants[IVIT_PAPER_GELU_CONSTANT_OFFSET]);
      op->x0 = w[IVIT_PAPER_GELU_X0];
      /* |x| <= 127, and the sigmoid beside it: src/program/ops/paper-gelu.ts. */
      pack_output(program, &op->out, cols, 127 * (int64_t)ivit_max(127, -op->x0 >> 1));
      break;
    }
    case IVIT_STEP_FLOAT_GELU:
    case IVIT_STEP_IBERT_GELU: {
      ivit_ibert_gelu *op = &s->as.ibert_gelu;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_IBERT_GELU_OUT, cols, constants[IVIT_IBERT_GELU_CONSTANT_MULTIPLIER],
                            constants[IVIT_IBERT_GELU_CONSTANT_OFFSET]);
      op->fraction_bits = w[IVIT_IBERT_GELU_FRACTION_BITS];
      pack_output(program, &op->out, cols, s->kind == IVIT_STEP_FLOAT_GELU ? IVIT_NORM_LIMIT : IVIT_GELU_LIMIT);
      break;
    }
    case IVIT_STEP_RESCALE: {
      ivit_rescale *op = &s->as.rescale;
      op->cols = widened(w + IVIT_RESCALE_OUT, cols);
      op->out = read_wide_output(program, w + IVIT_RESCALE_OUT, cols, constants[IVIT_RESCALE_CONSTANT_MULTIPLIER],
                                 constants[IVIT_RESCALE_CONSTANT_OFFSET]);
      pack_output(program, &op->out, op->cols, IVIT_WIDE_LIMIT);
      break;
    }
    case IVIT_STEP_SOFTMAX: {
      ivit_row_softmax *op = &s->as.softmax;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_SOFTMAX_OUT, cols, constants[IVIT_SOFTMAX_CONSTANT_MULTIPLIER],
                            constants[IVIT_SOFTMAX_CONSTANT_OFFSET]);
      pack_output(program, &op->out, cols, IVIT_SOFTMAX_LIMIT);
      op->kind = (ivit_softmax)w[IVIT_SOFTMAX_KIND];
      op->fraction_bits = w[IVIT_SOFTMAX_FRACTION_BITS];
      op->score_multiplier = w[IVIT_SOFTMAX_SCORE_MULTIPLIER];
      op->score_shift = w[IVIT_SOFTMAX_SCORE_SHIFT];
      break;
    }
    default: {
      ivit_mean_rows *op = &s->as.mean_rows;
      op->cols = cols;
      op->out = read_output(program, w + IVIT_MEAN_ROWS_OUT, cols, constants[IVIT_MEAN_ROWS_CONSTANT_MULTIPLIER], NULL);
      op->group = w[IVIT_MEAN_ROWS_GROUP];
      break;
    }
  }
}

void ivit_program_step(ivit_program *program, int32_t index, const int32_t *words, const void *const *constants) {
  step *s = &program->steps[index];
  const int32_t *w = words + IVIT_STEP_WORD_WORDS;
  s->kind = words[IVIT_STEP_WORD_KIND];
  s->out = words[IVIT_STEP_WORD_OUT];
  for (int32_t i = 0; i < 3; i++) s->in[i] = words[IVIT_STEP_WORD_IN + i];
  s->rows = words[IVIT_STEP_WORD_ROWS];
  s->cols = words[IVIT_STEP_WORD_COLS];
  require_elements(s->cols, 64);
  need_scratch(program, ivit_row_scratch(s->cols));

  switch (s->kind) {
    case IVIT_STEP_PATCHES: s->as.patches = read_patches(w); break;
    case IVIT_STEP_CONSTANT: {
      size_t size = ivit_size_of((ivit_type)w[IVIT_CONSTANT_TYPE]);
      s->as.constant = keep(program, constants[IVIT_CONSTANT_CONSTANT_DATA], (size_t)s->rows * (size_t)s->cols, size);
      break;
    }
    case IVIT_STEP_LINEAR: read_linear(program, &s->as.linear, s->cols, w, constants); break;
    case IVIT_STEP_ATTENTION: read_attention(program, &s->as.attention, s->cols, w, constants); break;
    case IVIT_STEP_MATMUL: read_matmul(program, &s->as.matmul, w, constants); break;
    case IVIT_STEP_ROTATE: read_rotate(program, s, w, constants); break;
    case IVIT_STEP_MULTIPLY:
    case IVIT_STEP_DIVIDE: read_binary(program, s, w, constants); break;
    case IVIT_STEP_LOOKUP: s->as.lookup = read_lookup(program, s->cols, w, constants); break;
    case IVIT_STEP_GATHER: read_gather(program, &s->as.gather, s, w, constants[IVIT_GATHER_CONSTANT_INDEX]); break;
    case IVIT_STEP_ADD:
    case IVIT_STEP_QUANTIZE: break;
    default:
      if (!read_map_op(program, s, w, constants)) read_row_op(program, s, w, constants);
      break;
  }
}

static const int32_t *read_runs(ivit_program *program, const int32_t **w, int32_t *count) {
  *count = **w;
  const int32_t *runs = keep(program, *w + 1, 2 * (size_t)*count, sizeof(int32_t));
  *w += 1 + 2 * (size_t)*count;
  return runs;
}

/* Tells each linear layer which weights come after its own. Tied weights were just read. */
static void link_linears(ivit_program *program) {
  const ivit_linear *next = NULL;
  for (int32_t i = program->step_count - 1; i >= 0; i--) {
    ivit_linear *op = &program->steps[i].as.linear;
    if (program->steps[i].kind != IVIT_STEP_LINEAR || op->weights_of) continue;
    if (next) op->next = next->packed;
    next = op;
  }
}

void ivit_program_layout(ivit_program *program, const int32_t *w) {
  link_linears(program);
  program->arena_bytes = (size_t)read_wide(w + IVIT_LAYOUT_ARENA_BYTES);
  program->local_bytes = (size_t)read_wide(w + IVIT_LAYOUT_LOCAL_BYTES);
  w += IVIT_LAYOUT_WORDS;
  for (int32_t i = 0; i < program->value_count; i++, w += IVIT_VALUE_WORDS) {
    program->values[i] = (value){.place = w[IVIT_VALUE_PLACE],
                                 .offset = (size_t)read_wide(w + IVIT_VALUE_OFFSET),
                                 .scale_offset = (size_t)read_wide(w + IVIT_VALUE_SCALE_OFFSET),
                                 .type = (ivit_type)w[IVIT_VALUE_TYPE],
                                 .rows = w[IVIT_VALUE_ROWS],
                                 .cols = w[IVIT_VALUE_COLS]};
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
    g->uses = heap_array(&program->heap, (size_t)g->use_count, sizeof(use));
    for (int32_t u = 0; u < g->use_count; u++) {
      g->uses[u].step = w[0];
      g->uses[u].n0 = w[1];
      g->uses[u].n1 = w[2];
      w += 3;
      g->uses[u].runs = read_runs(program, &w, &g->uses[u].run_count);
    }
  }
}
