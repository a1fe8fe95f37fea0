#include "avx512.h"

const ivit_isa ivit_isa_avx512vnni = {
    .name = "avx512vnni",
    .tile_rows = TILE_ROWS,
    .tile_cols = TILE_COLS,
    .linear_pack_size = ivit_avx512_linear_pack_size,
    .linear_pack = ivit_avx512_linear_pack,
    .linear_scratch = ivit_avx512_linear_scratch,
    .linear = ivit_avx512_linear,
    .layer_norm = ivit_avx512_layer_norm,
    .activation = ivit_avx512_activation,
    .rescale = ivit_avx512_rescale,
    .quantize_rows = ivit_avx512_quantize_rows,
    .add = ivit_avx512_add,
    .attention_pack_size = ivit_avx512_attention_pack_size,
    .attention_pack = ivit_avx512_attention_pack,
    .attention_scratch = ivit_avx512_attention_scratch,
    .attention = ivit_avx512_attention,
};
