/*
 * Compares every primitive of an instruction set's table with plain C on random operands: shapes off the tile, every
 * output type, multipliers and shifts that lead to each path. compare.mjs builds and runs it; test/engine compares
 * whole backends with src/kernels.
 *
 * A case is one element of a result. Each primitive is compared for so many rounds, one op each, and for so many cases.
 *
 *   compare <isa> [rounds] [cases] [seed]
 */
#include "compare.h"

static void fill_scales(int32_t *scale, int32_t rows) {
  for (int32_t r = 0; r < rows; r++) scale[r] = ivit_row_scale((int32_t)(pick_bits(pick(1, 22)) & IVIT_ROW_LIMIT) | 1);
}

static size_t compare_linear(const ivit_isa *isa) {
  ivit_linear op = {.cols = pick(1, chance(30) ? 300 : 80)};
  op.in_features = pick(1, chance(30) ? 700 : chance(20) ? 6 : 90);
  op.x_type = chance(40) ? IVIT_U8 : chance(50) ? IVIT_ROWS : IVIT_I16;
  op.x_zero = op.x_type == IVIT_U8 ? pick(0, 255) : op.x_type == IVIT_ROWS ? 128 : 0;
  op.row_shift = op.x_type == IVIT_ROWS ? (chance(80) ? pick(14, 24) : pick(0, 31)) : 0;
  int32_t weight_limit = chance(50) ? 127 : pick(1, 20), extreme = chance(30);
  if (op.x_type == IVIT_I16 && chance(20)) { /* beyond 32 bits */
    op.in_features = pick(516, 1000);
    weight_limit = 127;
    extreme = 1;
  }
  size_t N = (size_t)op.cols, K = (size_t)op.in_features;
  int8_t *weight = buffer(N * K);
  for (size_t n = 0; n < N; n++) {
    int constant = chance(50);
    for (size_t k = 0; k < K; k++) {
      int32_t end = pick_end(-weight_limit, weight_limit, constant);
      weight[n * K + k] = (int8_t)(extreme ? end : pick(-weight_limit, weight_limit));
    }
  }
  int32_t bits = 7 + ivit_bits((uint64_t)op.in_features) + (chance(50) ? 7 : ivit_bits((uint64_t)weight_limit));
  int32_t *bias = buffer(padded(op.cols) * sizeof *bias);
  fill_i32(bias, N, bits);
  op.weight = weight;
  op.bias = bias;
  op.out = pick_output(op.cols, op.x_type == IVIT_I16 ? bits + 8 : ivit_min(bits + 2, 31), 0);

  int32_t rows = pick(1, chance(10) ? 110 : 20);
  size_t M = (size_t)rows;
  int32_t *scale = buffer(M * sizeof *scale);
  fill_scales(scale, rows);
  /* The program proves |acc| < 2^31 for dynamic rows: keep M' so small that it holds. */
  int64_t bound = 1;
  for (int32_t n = 0; n < op.cols; n++) {
    int64_t b = sum_bound(&op, sums_of(weight + (size_t)n * K, op.in_features));
    bound = b > bound ? b : bound;
  }
  for (int32_t r = 0; op.x_type == IVIT_ROWS && r < rows; r++) {
    while ((scale[r] * bound >> op.row_shift) >= (int64_t)1 << 30) scale[r] = ivit_row_scale(ivit_max(1, scale[r] / 2));
    if (op.row_shift < 8 && bound >> 20) scale[r] = 1;
  }
  void *x = buffer(M * K * 2);
  int extreme_x = chance(30);
  if (op.x_type == IVIT_I16) {
    for (size_t i = 0; i < M; i++) {
      int constant = chance(50);
      for (size_t k = 0; k < K; k++) {
        int32_t end = pick_end(INT16_MIN, INT16_MAX, constant);
        ((int16_t *)x)[i * K + k] = (int16_t)(extreme_x ? end : pick(INT16_MIN, INT16_MAX));
      }
    }
  } else
    for (size_t i = 0; i < M * K; i++)
      ((uint8_t *)x)[i] = (uint8_t)(op.x_type == IVIT_ROWS ? pick(1, 255) : pick(0, 255));
  int with_residual = op.out.type == IVIT_I32 && chance(60);
  int32_t *residual = buffer(M * N * sizeof *residual);
  fill_i32(residual, M * N, 24);

  ivit_linear tied = op;
  if (op.x_type == IVIT_I16 && chance(60)) {
    int32_t *tied_bias = buffer(padded(op.cols) * sizeof *tied_bias);
    fill_i32(tied_bias, N, bits);
    tied.x_type = chance(30) ? IVIT_I16 : chance(50) ? IVIT_U8 : IVIT_ROWS;
    tied.x_zero = tied.x_type == IVIT_U8 ? pick(0, 255) : tied.x_type == IVIT_ROWS ? 128 : 0;
    tied.bias = tied_bias;
    op.weights_of = &tied;
  }

  size_t bytes = M * N * wide_size_of(op.out.type);
  uint8_t *out[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    out[t] = buffer(bytes);
    memset(out[t], 0x55, bytes);
    if (op.weights_of) {
      tied.packed = buffer(tables[t]->linear_pack_size(&tied));
      tables[t]->linear_pack(&tied, tied.packed);
      op.weight = NULL;
    }
    op.packed = buffer(tables[t]->linear_pack_size(&op));
    tables[t]->linear_pack(&op, op.packed);
    op.weight = NULL;
    void *scratch = buffer(tables[t]->linear_scratch(&op));
    const int32_t *from = with_residual ? residual : NULL;
    if (with_residual && t == 1 && chance(50)) from = memcpy(out[t], residual, bytes); /* in place */
    int32_t middle = chance(50) ? op.cols : ivit_min(op.cols, pick(0, 3) * isa->tile_cols);
    const int32_t *x_scale = op.x_type == IVIT_ROWS ? scale : NULL;
    if (middle > 0) tables[t]->linear(&op, rows, 0, middle, x, x_scale, from, out[t], scratch);
    if (middle < op.cols) tables[t]->linear(&op, rows, middle, op.cols, x, x_scale, from, out[t], scratch);
    op.weight = weight;
  }
  char detail[200];
  snprintf(detail, sizeof detail, "rows %d cols %d features %d x %d tied %d out %d shift %d row shift %d residual %d",
           rows, op.cols, op.in_features, op.x_type, op.weights_of != NULL, op.out.type, op.out.shift, op.row_shift,
           with_residual);
  check("linear", out[0], out[1], bytes, detail);
  return M * N;
}

static void call_layer_norm(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                            void *scratch) {
  isa->layer_norm(op, rows, x, out, scale, scratch);
}
static void call_activation(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                            void *scratch) {
  isa->activation(op, rows, x, out, scale, scratch);
}
static void call_rescale(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                         void *scratch) {
  isa->rescale(op, rows, x, out, scale, scratch);
}

size_t compare_rows(const ivit_isa *isa, const char *name, row_primitive *call, const void *op, int32_t rows,
                         int32_t cols, ivit_output *output, int64_t limit, const void *x) {
  size_t bytes = (size_t)rows * (size_t)cols * ivit_size_of(output->type);
  uint8_t *out[2];
  int32_t *scale[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    out[t] = buffer(bytes);
    scale[t] = buffer((size_t)rows * sizeof(int32_t));
    if (tables[t]->output_pack) {
      output->packed = buffer(tables[t]->output_pack_size(cols));
      tables[t]->output_pack(output, cols, limit, output->packed);
    }
    call(tables[t], op, rows, x, out[t], scale[t], buffer(ivit_row_scratch(cols)));
  }
  char detail[120];
  snprintf(detail, sizeof detail, "rows %d cols %d out %d shift %d", rows, cols, output->type, output->shift);
  check(name, out[0], out[1], bytes, detail);
  if (output->type == IVIT_ROWS) check(name, scale[0], scale[1], (size_t)rows * sizeof(int32_t), detail);
  return (size_t)rows * (size_t)cols;
}

static size_t compare_layer_norm(const ivit_isa *isa) {
  ivit_layer_norm op = {.cols = pick(1, chance(10) ? 3000 : 300), .center = chance(80)};
  op.epsilon = chance(20) ? 0 : pick_bits(pick(1, 53));
  if (op.epsilon < 0) op.epsilon = -op.epsilon;
  op.out = pick_output(op.cols, 30, 1);
  int32_t rows = pick(1, 20), bits = chance(30) ? 24 : pick(0, 24);
  size_t count = (size_t)rows * (size_t)op.cols;
  int32_t *x = buffer(count * sizeof *x);
  fill_i32(x, count, bits);
  if (chance(30))
    for (size_t i = 0; i < count; i++) x[i] = x[0];
  return compare_rows(isa, "layer norm", call_layer_norm, &op, rows, op.cols, &op.out, IVIT_NORM_LIMIT, x);
}

static size_t compare_activation(const ivit_isa *isa) {
  ivit_activation op = {.cols = pick(1, 300), .spacing = pick(4, 15)};
  int wild = chance(20);
  for (int32_t i = 0; i < IVIT_KNOTS; i++) {
    int32_t most = (int32_t)ivit_clamp((int64_t)i << op.spacing, 0, 32767);
    op.knots[i] = (int16_t)(wild ? pick(-32767, 32767) : pick(0, most));
  }
  op.out = pick_output(op.cols, 16, 1);
  int32_t rows = pick(1, 20);
  size_t count = (size_t)rows * (size_t)op.cols;
  int16_t *x = buffer(count * sizeof *x);
  for (size_t i = 0; i < count; i++)
    x[i] = (int16_t)(chance(2) ? (chance(50) ? 32767 : -32767) : (int32_t)pick_bits(pick(1, 15)));
  return compare_rows(isa, "activation", call_activation, &op, rows, op.cols, &op.out, IVIT_ACTIVATION_LIMIT, x);
}

static size_t compare_rescale(const ivit_isa *isa) {
  ivit_rescale op = {.cols = pick(1, 300)};
  op.out = pick_output(op.cols, 24, 1);
  int32_t rows = pick(1, 20);
  size_t count = (size_t)rows * (size_t)op.cols;
  int32_t *x = buffer(count * sizeof *x);
  fill_i32(x, count, pick(1, 24));
  return compare_rows(isa, "rescale", call_rescale, &op, rows, op.cols, &op.out, IVIT_WIDE_LIMIT, x);
}

static void call_lookup(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                        void *scratch) {
  isa->lookup(op, rows, x, out, scale, scratch);
}
static void call_softmax(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                         void *scratch) {
  isa->softmax(op, rows, x, out, scale, scratch);
}

/* The second operand of a product or quotient, beside the first. */
typedef struct {
  ivit_binary op;
  const void *b;
  size_t b_stride;
} pair;
static void call_multiply(const ivit_isa *isa, const void *p, int32_t rows, const void *x, void *out, int32_t *scale,
                          void *scratch) {
  const pair *q = p;
  isa->multiply(&q->op, rows, x, q->b, q->b_stride, out, scale, scratch);
}
static void call_divide(const ivit_isa *isa, const void *p, int32_t rows, const void *x, void *out, int32_t *scale,
                        void *scratch) {
  const pair *q = p;
  isa->divide(&q->op, rows, x, q->b, q->b_stride, out, scale, scratch);
}

/* What both have: rows of b, or one that serves all. */
static pair pick_pair(int32_t *rows, size_t *length) {
  *rows = pick(1, 20);
  pair p = {.op = {.cols = pick(1, 300), .is_column = chance(30)}};
  *length = p.op.is_column ? 1 : (size_t)p.op.cols;
  p.b_stride = chance(30) ? 0 : *length;
  return p;
}

static size_t compare_multiply(const ivit_isa *isa) {
  int32_t rows;
  size_t length;
  pair p = pick_pair(&rows, &length);
  p.op.out = pick_output(p.op.cols, 30, 1);
  p.b = pick_words((size_t)rows * length);
  const int16_t *a = pick_words((size_t)rows * (size_t)p.op.cols);
  return compare_rows(isa, "multiply", call_multiply, &p, rows, p.op.cols, &p.op.out, IVIT_PRODUCT_LIMIT, a);
}

static size_t compare_divide(const ivit_isa *isa) {
  int32_t rows;
  size_t length;
  pair p = pick_pair(&rows, &length);
  p.op.bits = pick(0, 28);
  int64_t limit = ivit_clamp((int64_t)IVIT_WIDE_LIMIT << p.op.bits, 0, INT32_MAX);
  size_t count = (size_t)rows * (size_t)p.op.cols;
  int32_t *a = buffer(count * sizeof *a), *b = buffer((size_t)rows * length * sizeof *b);
  fill_i32(a, count, 24);
  fill_i32(b, (size_t)rows * length, pick(1, 24));
  if (chance(20)) b[0] = chance(50) ? 0 : chance(50) ? -IVIT_WIDE_LIMIT : 1;
  p.b = b;
  p.op.out = pick_output(p.op.cols, ivit_bits((uint64_t)limit), 1);
  return compare_rows(isa, "divide", call_divide, &p, rows, p.op.cols, &p.op.out, limit, a);
}

static size_t compare_lookup(const ivit_isa *isa) {
  ivit_lookup op = {.cols = pick(1, 300)};
  int32_t bits = chance(50) ? 21 : pick(1, 21);
  for (int32_t i = 0; i < IVIT_TABLE_ENTRIES; i++)
    op.table[i] = chance(20) ? (chance(50) ? IVIT_TABLE_LIMIT : -IVIT_TABLE_LIMIT) : (int32_t)pick_bits(bits);
  op.out = pick_output(op.cols, 22, 1);
  int32_t rows = pick(1, 20);
  return compare_rows(isa, "lookup", call_lookup, &op, rows, op.cols, &op.out, IVIT_TABLE_LIMIT,
               pick_words((size_t)rows * (size_t)op.cols));
}

static size_t compare_softmax(const ivit_isa *isa) {
  ivit_row_softmax op = {.cols = pick(1, chance(10) ? 9000 : 300),
                         .kind = (ivit_softmax)pick(0, 1),
                         .fraction_bits = pick(8, 11)};
  int32_t rows = pick(1, 9), bits = chance(30) ? 24 : pick(1, 24), multiplier_bits = pick(1, 31);
  size_t count = (size_t)rows * (size_t)op.cols;
  int32_t *x = buffer(count * sizeof *x);
  fill_i32(x, count, bits);
  if (chance(20))
    for (size_t i = 0; i < count; i++) x[i] = x[0];
  op.score_multiplier = (int32_t)pick_bits(multiplier_bits);
  /* Scores of some 16 log2 units; now and then far beyond. */
  int32_t fitting = bits + multiplier_bits - op.fraction_bits - (chance(90) ? pick(1, 6) : pick(7, 30));
  op.score_shift = ivit_min(62, ivit_max(1, fitting));
  op.out = pick_output(op.cols, 17, 1);
  return compare_rows(isa, "softmax", call_softmax, &op, rows, op.cols, &op.out, IVIT_SOFTMAX_LIMIT, x);
}

static size_t compare_quantize_rows(const ivit_isa *isa) {
  int32_t rows = pick(1, 20), cols = pick(1, 300), bits = pick(0, 22);
  size_t count = (size_t)rows * (size_t)cols;
  int32_t *u = buffer(count * sizeof *u);
  fill_i32(u, count, bits);
  uint8_t *codes[2];
  int32_t *scale[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    codes[t] = buffer(count);
    scale[t] = buffer((size_t)rows * sizeof(int32_t));
    tables[t]->quantize_rows(rows, cols, u, codes[t], scale[t]);
  }
  char detail[80];
  snprintf(detail, sizeof detail, "rows %d cols %d bits %d", rows, cols, bits);
  check("quantize_rows codes", codes[0], codes[1], count, detail);
  check("quantize_rows scales", scale[0], scale[1], (size_t)rows * sizeof(int32_t), detail);
  return count;
}

static size_t compare_add(const ivit_isa *isa) {
  size_t count = (size_t)pick(1, 500);
  int32_t *a = buffer(count * sizeof *a), *b = buffer(count * sizeof *b), *out[2];
  fill_i32(a, count, 24);
  fill_i32(b, count, 24);
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) tables[t]->add(count, a, b, out[t] = buffer(count * sizeof *a));
  check("add", out[0], out[1], count * sizeof *a, "");
  return count;
}

static ivit_view pick_view(int32_t tokens, int32_t heads, int32_t dim, size_t *elements) {
  ivit_view view = {.offset = pick(0, 5), .head_stride = dim + pick(0, 3)};
  view.stride = view.offset + heads * view.head_stride + pick(0, 4);
  *elements = (size_t)tokens * (size_t)view.stride;
  if (chance(40)) {
    int32_t *rows = buffer((size_t)tokens * sizeof *rows);
    for (int32_t i = 0; i < tokens; i++) rows[i] = pick(0, tokens - 1);
    view.rows = rows;
  }
  return view;
}

int8_t *pick_codes(size_t count, int32_t limit) {
  int8_t *codes = buffer(count);
  for (size_t i = 0; i < count; i++) codes[i] = (int8_t)pick(-limit, limit);
  return codes;
}

ivit_attention pick_attention(void) {
  ivit_attention op = {.batch = pick(1, 2),
                       .heads = pick(1, 3),
                       .queries = pick(1, 20),
                       .keys = pick(1, chance(20) ? 400 : 90),
                       .dim = pick(1, 100),
                       .value_dim = pick(1, 100),
                       .softmax = (ivit_softmax)pick(0, 1),
                       .fraction_bits = pick(8, 11),
                       .softmax_bits = chance(50) ? 8 : 12};
  if (chance(30)) op.dim = op.value_dim = chance(50) ? 64 : 32;
  int32_t *multiplier = buffer(padded(op.heads) * sizeof *multiplier);
  /* Scores of some 16 log2 units; now and then far beyond. */
  int32_t bits = chance(50) ? 31 : pick(4, 12);
  int32_t score_bits = 13 + ivit_bits((uint64_t)op.dim) / 2;
  op.score_shift = ivit_max(1, bits + score_bits - op.fraction_bits - (chance(90) ? pick(2, 6) : pick(7, 30)));
  for (int32_t h = 0; h < op.heads; h++) multiplier[h] = (int32_t)pick_bits(bits);
  op.score_multiplier = multiplier;
  if (chance(40)) {
    op.bias_batch = chance(50) ? 1 : op.batch;
    op.bias_heads = chance(50) ? 1 : op.heads;
    size_t count = (size_t)(op.bias_batch * op.bias_heads) * (size_t)op.queries * (size_t)op.keys;
    int32_t *bias = buffer(count * sizeof *bias);
    for (size_t i = 0; i < count; i++) bias[i] = chance(10) ? -(1 << 28) : (int32_t)pick_bits(chance(5) ? 28 : 13);
    op.bias = bias;
  }
  op.out = pick_output(op.heads * op.value_dim, 30, 0);
  return op;
}

attention_codes pick_attention_codes(ivit_attention *op) {
  size_t nq, nk, nv;
  op->q = pick_view(op->batch * op->queries, op->heads, op->dim, &nq);
  op->k = pick_view(op->batch * op->keys, op->heads, op->dim, &nk);
  op->v = pick_view(op->batch * op->keys, op->heads, op->value_dim, &nv);
  return (attention_codes){pick_codes(nq, chance(80) ? 127 : 20), pick_codes(nk, 127), pick_codes(nv, 127)};
}

static void attend_queries(const ivit_isa *isa, const attention_kernels *kernels, const ivit_attention *op, int32_t b,
                           int32_t h, int32_t from, int32_t to, const int8_t *q, const void *packed, void *out,
                           void *scratch) {
  if (from == to) return;
  if (kernels->is_published)
    isa->published(op, kernels->weigh, b, h, from, to, q, packed, out, scratch);
  else
    isa->attention(op, b, h, from, to, q, packed, out, scratch);
}

size_t compare_heads(const ivit_isa *isa, const attention_kernels *kernels, const ivit_attention *op,
                     attention_codes codes, const char *detail) {
  size_t bytes = (size_t)(op->batch * op->queries) * (size_t)(op->heads * op->value_dim) * wide_size_of(op->out.type);
  uint8_t *out[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    const ivit_isa *table = tables[t];
    out[t] = buffer(bytes);
    void *packed = buffer((kernels->is_published ? table->published_pack_size : table->attention_pack_size)(op));
    void *scratch = buffer((kernels->is_published ? table->published_scratch : table->attention_scratch)(op));
    for (int32_t b = 0; b < op->batch; b++) {
      for (int32_t h = 0; h < op->heads; h++) {
        (kernels->is_published ? table->published_pack : table->attention_pack)(op, b, h, codes.k, codes.v, packed);
        int32_t middle = chance(50) ? op->queries : pick(0, op->queries);
        attend_queries(table, kernels, op, b, h, 0, middle, codes.q, packed, out[t], scratch);
        attend_queries(table, kernels, op, b, h, middle, op->queries, codes.q, packed, out[t], scratch);
      }
    }
  }
  check(kernels->name, out[0], out[1], bytes, detail);
  return bytes / wide_size_of(op->out.type);
}

static size_t compare_attention(const ivit_isa *isa) {
  ivit_attention op = pick_attention();
  attention_codes codes = pick_attention_codes(&op);
  char detail[200];
  snprintf(detail, sizeof detail,
           "queries %d keys %d dim %d value dim %d softmax bits %d score shift %d bias %d out %d shift %d",
           op.queries, op.keys, op.dim, op.value_dim, op.softmax_bits, op.score_shift, op.bias != NULL,
           op.out.type, op.out.shift);
  return compare_heads(isa, &(attention_kernels){.name = "attention"}, &op, codes, detail);
}

/* Words of a matrix, often all at one end, so that sums grow as they can. */
static int16_t *pick_matrix(size_t count, int32_t k) {
  int16_t *x = buffer(count * sizeof *x);
  for (size_t at = 0; at < count; at += (size_t)k) {
    int32_t limit = chance(40) ? 32767 : pick(1, 32767), extreme = chance(30), constant = chance(50);
    for (size_t i = at; i < count && i < at + (size_t)k; i++)
      x[i] = (int16_t)(extreme ? pick_end(-limit, limit, constant) : pick(-limit, limit));
  }
  return x;
}

static size_t compare_matmul(const ivit_isa *isa) {
  ivit_matmul op = {.heads = pick(1, 3), .m = pick(1, chance(10) ? 250 : 20), .n = pick(1, chance(20) ? 200 : 40)};
  op.k = pick(1, chance(20) ? 1500 : 90);
  op.a_transposed = chance(40);
  op.b_transposed = chance(40);
  int32_t batch = pick(1, 2);
  size_t na, nb;
  op.a = pick_view(batch * (op.a_transposed ? op.k : op.m), op.heads, op.a_transposed ? op.m : op.k, &na);
  op.b = pick_view(batch * (op.b_transposed ? op.k : op.n), op.heads, op.b_transposed ? op.n : op.k, &nb);
  const int16_t *a = pick_matrix(na, op.k), *b = pick_matrix(nb, op.k);
  int64_t bound = (int64_t)op.k * IVIT_PRODUCT_LIMIT;
  ivit_output outs[3];
  for (int32_t h = 0; h < op.heads; h++) {
    outs[h] = pick_output(op.n, ivit_bits((uint64_t)bound), 1);
    outs[h].type = outs[0].type;
    outs[h].lo = outs[0].lo;
    outs[h].hi = outs[0].hi;
    outs[h].zero = outs[0].zero;
  }
  op.out = outs;
  size_t cols = (size_t)op.heads * (size_t)op.n, row = cols * wide_size_of(outs[0].type);
  uint8_t *out[2];
  const ivit_isa *tables[2] = {&ivit_isa_portable, isa};
  for (int t = 0; t < 2; t++) {
    out[t] = buffer((size_t)(batch * op.m) * row);
    for (int32_t h = 0; tables[t]->output_pack && h < op.heads; h++) {
      outs[h].packed = buffer(tables[t]->output_pack_size(op.n));
      tables[t]->output_pack(&outs[h], op.n, INT32_MAX, outs[h].packed);
    }
    void *scratch = buffer(tables[t]->matmul_scratch(&op));
    for (int32_t r = 0; r < batch * op.m;) {
      int32_t end = ivit_min((r / op.m + 1) * op.m, r + pick(1, 2 * op.m));
      int is_plain = !op.a.rows && !op.a_transposed;
      tables[t]->matmul(&op, r, end, is_plain ? a + (size_t)r * (size_t)op.a.stride : a, b, out[t] + (size_t)r * row,
                        scratch);
      r = end;
    }
  }
  char detail[160];
  snprintf(detail, sizeof detail, "heads %d m %d n %d k %d transposed %d %d out %d shift %d", op.heads, op.m, op.n,
           op.k, op.a_transposed, op.b_transposed, outs[0].type, outs[0].shift);
  check("matmul", out[0], out[1], (size_t)(batch * op.m) * row, detail);
  return (size_t)(batch * op.m) * cols;
}

typedef struct {
  const char *name;
  size_t (*compare)(const ivit_isa *isa);
} comparison;

/* What is plain C on every instruction set is compared with plain loops. */
static const comparison comparisons[] = {{"linear", compare_linear},
                                         {"layer norm", compare_layer_norm},
                                         {"activation", compare_activation},
                                         {"rescale", compare_rescale},
                                         {"quantize rows", compare_quantize_rows},
                                         {"add", compare_add},
                                         {"attention", compare_attention},
                                         {"published attention", compare_published},
                                         {"paper gelu", compare_paper_gelu},
                                         {"ibert gelu", compare_ibert_gelu},
                                         {"multiply", compare_multiply},
                                         {"divide", compare_divide},
                                         {"lookup", compare_lookup},
                                         {"softmax", compare_softmax},
                                         {"rotate", compare_rotate},
                                         {"matmul", compare_matmul},
                                         {"depthwise", compare_depthwise},
                                         {"windows", compare_windows},
                                         {"max pool", compare_max_pool},
                                         {"mean rows", compare_mean_rows},
                                         {"mix rows", compare_mix_rows},
                                         {"group norm", compare_group_norm}};
enum { COMPARISONS = sizeof comparisons / sizeof *comparisons };

int main(int argc, char **argv) {
  const ivit_isa *isa = argc > 1 ? ivit_find_isa(argv[1]) : NULL;
  if (!isa) {
    printf("usage: compare <isa> [rounds] [cases] [seed]; this machine runs %s at best\n", ivit_find_isa(NULL)->name);
    return 2;
  }
  int rounds = argc > 2 ? atoi(argv[2]) : 500;
  size_t cases = argc > 3 ? (size_t)atoll(argv[3]) : 0, counts[COMPARISONS] = {0}, least = SIZE_MAX;
  seed_random(argc > 4 ? (uint64_t)atoll(argv[4]) : 1);
  for (int i = 0; i < COMPARISONS; i++) {
    for (int round = 0; (round < rounds || counts[i] < cases) && failures < 10; round++) {
      counts[i] += comparisons[i].compare(isa);
      free_buffers();
    }
    if (counts[i] < least) least = counts[i];
  }
  printf("%s: %d primitives, at least %zu cases each, %d differences\n ", isa->name, COMPARISONS, least, failures);
  for (int i = 0; i < COMPARISONS; i++) {
    printf(" %s %zu%s", comparisons[i].name, counts[i], i + 1 < COMPARISONS ? "," : "\n");
  }
  return failures > 0;
}
