/* Reads the steps on feature maps. */
#include "internal.h"

static ivit_geometry read_geometry(const int32_t *w) {
  return (ivit_geometry){.height = w[IVIT_GEOMETRY_SIZE],
                         .width = w[IVIT_GEOMETRY_SIZE + 1],
                         .kernel_h = w[IVIT_GEOMETRY_KERNEL],
                         .kernel_w = w[IVIT_GEOMETRY_KERNEL + 1],
                         .stride_h = w[IVIT_GEOMETRY_STRIDE],
                         .stride_w = w[IVIT_GEOMETRY_STRIDE + 1],
                         .pad_top = w[IVIT_GEOMETRY_PAD],
                         .pad_left = w[IVIT_GEOMETRY_PAD + 1],
                         .dilation_h = w[IVIT_GEOMETRY_DILATION],
                         .dilation_w = w[IVIT_GEOMETRY_DILATION + 1],
                         .out_w = w[IVIT_GEOMETRY_OUT_WIDTH],
                         .channels = w[IVIT_GEOMETRY_CHANNELS]};
}

/* Any bound of |v| but what output_pack knows an activation by. */
static int64_t other_limit(int64_t bound) { return bound > IVIT_ACTIVATION_LIMIT ? bound : IVIT_ACTIVATION_LIMIT + 1; }

/* A bound of |v|. */
static int64_t largest_sum(const ivit_depthwise *op, size_t count) {
  const size_t channels = (size_t)op->map.channels;
  int64_t most = 0;
  for (size_t n = 0; n < channels; n++) {
    int64_t sum = 0;
    for (size_t i = n; i < count; i += channels) sum += ivit_abs(op->weight[i]);
    if (sum * 32767 > most) most = sum * 32767;
  }
  return most;
}

static void read_depthwise(ivit_program *program, ivit_depthwise *op, const int32_t *w, const void *const *constants) {
  op->map = read_geometry(w + IVIT_DEPTHWISE_GEOMETRY);
  int32_t channels = op->map.channels;
  require_elements(((int64_t)op->map.kernel_h + 1) * op->map.kernel_w, channels);
  op->out = read_output(program, w + IVIT_DEPTHWISE_OUT, channels, constants[IVIT_DEPTHWISE_CONSTANT_MULTIPLIER],
                        constants[IVIT_DEPTHWISE_CONSTANT_OFFSET]);
  size_t count = (size_t)op->map.kernel_h * (size_t)op->map.kernel_w * (size_t)channels;
  op->weight = keep(program, constants[IVIT_DEPTHWISE_CONSTANT_WEIGHT], count, sizeof(int16_t));
  pack_output(program, &op->out, channels, other_limit(largest_sum(op, count)));
  const ivit_isa *isa = program->isa;
  need_scratch(program, isa->depthwise_scratch(op));
  if (!isa->depthwise_pack) return;
  op->packed = heap_allocate(&program->heap, isa->depthwise_pack_size(op));
  isa->depthwise_pack(op, op->packed);
}

static void read_mix_rows(ivit_program *program, ivit_mix_rows *op, const step *s, const int32_t *w,
                          const void *const *constants) {
  op->cols = s->cols;
  op->taps = w[IVIT_MIX_ROWS_TAPS];
  op->out = read_output(program, w + IVIT_MIX_ROWS_OUT, s->cols, constants[IVIT_MIX_ROWS_CONSTANT_MULTIPLIER],
                        constants[IVIT_MIX_ROWS_CONSTANT_OFFSET]);
  size_t count = (size_t)s->rows * (size_t)op->taps;
  op->index = keep(program, constants[IVIT_MIX_ROWS_CONSTANT_INDEX], count, sizeof(int32_t));
  op->weight = keep(program, constants[IVIT_MIX_ROWS_CONSTANT_WEIGHT], count, sizeof(int16_t));
  int64_t bound = ivit_mix_rows_bound(op, s->rows);
  op->fits = bound <= INT32_MAX;
  if (op->fits) pack_output(program, &op->out, s->cols, other_limit(bound));
}

static void read_group_norm(ivit_program *program, ivit_group_norm *op, const step *s, const int32_t *w,
                            const void *const *constants) {
  op->rows = s->rows;
  op->cols = s->cols;
  op->groups = w[IVIT_GROUP_NORM_GROUPS];
  op->epsilon = read_wide(w + IVIT_GROUP_NORM_EPSILON);
  op->out = read_output(program, w + IVIT_GROUP_NORM_OUT, s->cols, constants[IVIT_GROUP_NORM_CONSTANT_MULTIPLIER],
                        constants[IVIT_GROUP_NORM_CONSTANT_OFFSET]);
  pack_output(program, &op->out, s->cols, IVIT_NORM_LIMIT);
  program->most_groups = ivit_max(program->most_groups, op->groups);
}

int read_map_op(ivit_program *program, step *s, const int32_t *w, const void *const *constants) {
  switch (s->kind) {
    case IVIT_STEP_WINDOWS:
      s->as.windows = (ivit_windows){.map = read_geometry(w + IVIT_WINDOWS_GEOMETRY), .fill = w[IVIT_WINDOWS_FILL]};
      return 1;
    case IVIT_STEP_MAX_POOL: s->as.max_pool = read_geometry(w + IVIT_MAX_POOL_GEOMETRY); return 1;
    case IVIT_STEP_DEPTHWISE: read_depthwise(program, &s->as.depthwise, w, constants); return 1;
    case IVIT_STEP_MIX_ROWS: read_mix_rows(program, &s->as.mix_rows, s, w, constants); return 1;
    case IVIT_STEP_GROUP_NORM: read_group_norm(program, &s->as.group_norm, s, w, constants); return 1;
    default: return 0;
  }
}
