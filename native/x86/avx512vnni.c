#include "avx512.h"
#include "amx.h"

#define rescale_sums ivit_avx512_rescale
#include "../lanes/maps.h"

#define UNROLL_SUMS _Pragma("GCC unroll 24")

/* As many independent sums as the register tile has, one instruction after another. */
static int64_t multiply_in_registers(int32_t rounds) {
  enum { SUMS = 24 };
  __m512i sum[SUMS], a = _mm512_setzero_si512(), b = a;
  UNROLL_SUMS for (int i = 0; i < SUMS; i++) sum[i] = a;
  for (int32_t r = 0; r < rounds; r++) {
    UNROLL_SUMS for (int i = 0; i < SUMS; i++) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum[i]) : "v"(a), "v"(b));
  }
  return (int64_t)rounds * SUMS * 64;
}

/* What AMX takes as it is. */
#define ROWS_AND_MAPS \
  .output_pack_size = ivit_avx512_output_pack_size, \
  .output_pack = ivit_avx512_output_pack, \
  .layer_norm = ivit_avx512_layer_norm, \
  .activation = ivit_avx512_activation, \
  .paper_gelu = paper_gelu_rows, \
  .ibert_gelu = ibert_gelu_rows, \
  .rescale = ivit_avx512_rescale, \
  .multiply = ivit_avx512_multiply, \
  .divide = ivit_avx512_divide, \
  .lookup = ivit_avx512_lookup, \
  .softmax = ivit_avx512_softmax, \
  .rotate = rotate_rows, \
  .matmul_scratch = ivit_avx512_matmul_scratch, \
  .matmul = ivit_avx512_matmul, \
  .quantize_rows = ivit_avx512_quantize_rows, \
  .add = ivit_avx512_add, \
  .depthwise_pack_size = ivit_avx512_depthwise_pack_size, \
  .depthwise_pack = ivit_avx512_depthwise_pack, \
  .depthwise_scratch = ivit_avx512_depthwise_scratch, \
  .depthwise = ivit_avx512_depthwise, \
  .mix_rows = ivit_avx512_mix_rows, \
  .max_pool = pool_rows, \
  .group_sums = sum_groups, \
  .group_norm = group_norm_rows, \
  .attention_pack_size = ivit_avx512_attention_pack_size, \
  .attention_pack = ivit_avx512_attention_pack, \
  .attention_scratch = ivit_avx512_attention_scratch, \
  .attention = ivit_avx512_attention, \
  .published_pack_size = ivit_avx512_published_pack_size, \
  .published_pack = ivit_avx512_published_pack, \
  .published_scratch = ivit_avx512_published_scratch, \
  .published = ivit_avx512_published

const ivit_isa ivit_isa_avx512vnni = {
    .name = "avx512vnni",
    .tile_rows = TILE_ROWS,
    .tile_cols = TILE_COLS,
    .linear_pack_size = ivit_avx512_linear_pack_size,
    .linear_pack = ivit_avx512_linear_pack,
    .linear_scratch = ivit_avx512_linear_scratch,
    .linear = ivit_avx512_linear,
    .multiply_in_registers = multiply_in_registers,
    ROWS_AND_MAPS,
};

#ifdef IVIT_AMX
const ivit_isa ivit_isa_amx = {
    .name = "amx",
    .tile_rows = AMX_ROWS,
    .tile_cols = TILE_COLS,
    .block_bytes = 1 << 22, /* weights are read for each block again, and tiles multiply faster than they come */
    .linear_pack_size = ivit_amx_linear_pack_size,
    .linear_pack = ivit_amx_linear_pack,
    .linear_scratch = ivit_amx_linear_scratch,
    .linear = ivit_amx_linear,
    .multiply_in_registers = ivit_amx_multiply_in_registers,
    ROWS_AND_MAPS,
};
#endif

#if defined(__clang__)
#pragma clang attribute pop
#endif
