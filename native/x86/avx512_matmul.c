/* Products of two i16 values, and attention that is made of such. */
#include "avx512_output.h"

#define PAIR_ROWS TILE_ROWS
#define PAIR_COLS TILE_COLS
#define PAIR_WIDTH(n) (((n) + 15) & ~15)

static void multiply_pairs(int32_t sums[PAIR_ROWS][PAIR_COLS], const int16_t *const rows[PAIR_ROWS], int32_t pairs,
                           const int16_t *w, int32_t width) {
  static const int32_t start[TILE_COLS];
  tile_rows x;
  tile acc;
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) x.row[i] = (const uint8_t *)rows[i];
  tile_multiply_words(acc, start, &x, pairs, w, width / 16);
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
    UNROLL_VECTORS for (int j = 0; j < 4; j++) {
      if (16 * j < width) _mm512_storeu_si512(sums[i] + 16 * j, acc[i][j]);
    }
  }
}

static int is_wide(const ivit_output *out) { return ((const output_header *)out->packed)->path != OUTPUT_HIGH; }

static void write_sums(const ivit_output *out, int32_t n, int32_t j, const int32_t *sums, void *to, int32_t count) {
  (void)n;
  __m512i v[4];
  UNROLL_VECTORS for (int i = 0; i < 4; i++) {
    v[i] = _mm512_setzero_si512();
    if (16 * i < count) v[i] = requantize_channels(out->packed, j + 16 * i, _mm512_loadu_si512(sums + 16 * i));
  }
  store_values(out->type, v, _mm512_set1_epi16((int16_t)out->zero), to, count);
}

#include "../lanes/matmul.h"

size_t ivit_avx512_matmul_scratch(const ivit_matmul *op) { return matmul_scratch(op); }

void ivit_avx512_matmul(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                        void *scratch) {
  matmul(op, r0, r1, a, b, out, scratch);
}

#include "../lanes/published.h"

size_t ivit_avx512_published_pack_size(const ivit_attention *op) { return published_pack_size(op); }

void ivit_avx512_published_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                const int8_t *v, void *packed) {
  published_pack(op, window, head, k, v, packed);
}

size_t ivit_avx512_published_scratch(const ivit_attention *op) { return published_scratch_size(op); }

void ivit_avx512_published(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                           int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch) {
  published_attention(op, weigh, window, head, query0, query1, q, packed, out, scratch);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
