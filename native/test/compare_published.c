/* The published kernels on an instruction set, and on plain C. */
#include "compare.h"

static void call_paper_gelu(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                            void *scratch) {
  isa->paper_gelu(op, rows, x, out, scale, scratch);
}
static void call_ibert_gelu(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                            void *scratch) {
  isa->ibert_gelu(op, rows, x, out, scale, scratch);
}

size_t compare_paper_gelu(const ivit_isa *isa) {
  ivit_paper_gelu op = {.cols = pick(1, 300), .x0 = -pick(1, chance(50) ? 32768 : 200)};
  int64_t limit = 127 * (int64_t)ivit_max(127, -op.x0 >> 1);
  op.out = pick_output(op.cols, ivit_bits((uint64_t)limit), 1);
  int32_t rows = pick(1, 20);
  return compare_rows(isa, "paper gelu", call_paper_gelu, &op, rows, op.cols, &op.out, limit,
                      pick_codes((size_t)rows * (size_t)op.cols, chance(80) ? 127 : pick(0, 20)));
}

size_t compare_ibert_gelu(const ivit_isa *isa) {
  ivit_ibert_gelu op = {.cols = pick(1, 300), .fraction_bits = pick(6, 12)};
  op.out = pick_output(op.cols, 31, 1);
  int32_t rows = pick(1, 20);
  int16_t *x = pick_words((size_t)rows * (size_t)op.cols);
  for (size_t i = 0; i < (size_t)rows * (size_t)op.cols; i++) x[i] = (int16_t)ivit_max(x[i], -32767);
  return compare_rows(isa, "ibert gelu", call_ibert_gelu, &op, rows, op.cols, &op.out, IVIT_GELU_LIMIT, x);
}

/* Weights that the op does not say, as kernels that are not of integers have: of 16 bits. */
static void any_weights(const ivit_attention *op, int32_t max, int32_t *scores) {
  for (int32_t j = 0; j < op->keys; j++) {
    uint32_t d = (uint32_t)max - (uint32_t)scores[j];
    scores[j] = d == 0 ? 65535 : (int32_t)((d * 2654435761u) >> 24) / op->keys;
  }
}

size_t compare_published(const ivit_isa *isa) {
  ivit_attention op = pick_attention();
  ivit_weigh *weigh = chance(20) ? any_weights : NULL;
  op.softmax = chance(50) ? IVIT_SOFTMAX_PAPER : IVIT_SOFTMAX_IBERT;
  op.fraction_bits = 10;
  op.softmax_bits = chance(50) ? 8 : 16;
  op.x0 = -pick(1, chance(50) ? 32768 : 200);
  attention_codes codes = pick_attention_codes(&op);
  char detail[200];
  snprintf(detail, sizeof detail, "queries %d keys %d dim %d value dim %d softmax %d bits %d x0 %d out %d shift %d",
           op.queries, op.keys, op.dim, op.value_dim, weigh ? -1 : (int)op.softmax, op.softmax_bits, op.x0, op.out.type,
           op.out.shift);
  const attention_kernels kernels = {.name = "published attention", .is_published = 1, .weigh = weigh};
  return compare_heads(isa, &kernels, &op, codes, detail);
}
