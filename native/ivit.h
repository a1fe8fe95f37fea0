/*
 * ivit's C kernels: what src/kernels specifies, on integers alone (no floating point type anywhere below native/).
 * One source, compiled to a Node add-on and to WebAssembly.
 *
 * An instruction set ("isa") is a table of the primitives below; portable.c has every one in plain C, the others
 * replace what they do better. All must give the same bits. program.c plans nothing: it runs the stages that
 * src/engine/plan.ts laid out, block of rows by block of rows, through such a table.
 *
 * Memory that primitives may rely on:
 * - matrices are row-major without gaps: row r of [rows, cols] starts at r*cols elements;
 * - every buffer (values, scratch, packed weights, constants) starts on 64 bytes and has IVIT_SLACK readable bytes
 * after its last element. Nothing may be written beyond the rows and columns asked for: another thread owns them;
 * - per-channel constants (multiplier, offset, bias) are followed by zeros up to a multiple of 64 elements.
 */
#ifndef IVIT_H
#define IVIT_H

#include <stddef.h>
#include <stdint.h>

#include "generated.h"

/* Limits of what row primitives requantize: |y-hat| of a norm; |y| of an activation whose H is between 0 and |x|. */
#define IVIT_NORM_LIMIT (1 << 30)
#define IVIT_ACTIVATION_LIMIT 32767
/* |a*b| of a product of two i16, of two such products; of a softmax, which is in units of 2^-16. */
#define IVIT_PRODUCT_LIMIT (32767 * 32767)
#define IVIT_ROTATE_LIMIT (2 * IVIT_PRODUCT_LIMIT)
#define IVIT_SOFTMAX_LIMIT (1 << 16)

/*
 * requantize(v, n) = clamp((v*multiplier[n] + 2^(shift-1) + offset[n]) >> shift, lo, hi), then + zero where `type` is
 * u8. `shift` is 0 to 62 (0: no rounding term). |v*multiplier + offset| < 2^62 always. Where `type` is IVIT_ROWS the
 * result is u-hat, still to be quantized by its row's maximum (ivit_isa.quantize_rows).
 */
typedef struct {
  ivit_type type;
  int32_t lo, hi, zero;
  int32_t shift;
  const int32_t *multiplier; /* [cols] */
  const int64_t *offset;     /* [cols], or NULL */
  void *packed;              /* what output_pack wrote; NULL where the table has no such function */
} ivit_output;

/*
 * acc[n] = bias[n] + sum_k (x[k] - zero)*weight[n][k]; for IVIT_ROWS input
 * bias[n] + ((M'*sum_k (x[k] - 128)*weight[n][k] + 2^(row_shift-1)) >> row_shift); then requantize(acc[n], n); with a
 * residual clamp(residual + that, +-IVIT_WIDE_LIMIT).
 */
typedef struct ivit_linear {
  int32_t cols;         /* N, outputs */
  int32_t in_features;  /* K */
  ivit_type x_type;     /* IVIT_U8, IVIT_I16 or IVIT_ROWS */
  int32_t x_zero;       /* IVIT_U8: its zero point; IVIT_ROWS: 128; IVIT_I16: 0 */
  int32_t row_shift;    /* IVIT_ROWS only */
  ivit_output out;      /* `offset` is NULL */
  const int8_t *weight; /* [cols][in_features], only while packing */
  /* IVIT_I16: a layer with the same weights, which has weights of its own, which this one reads where that one packed
   * them; or NULL. */
  const struct ivit_linear *weights_of;
  const int32_t *bias; /* [cols] */
  void *packed;        /* what linear_pack wrote */
  const void
      *next; /* `packed` of the program's next linear layer, to be fetched towards the end of this one; or NULL */
} ivit_linear;

/* I-LayerNorm of each row of `cols` i32, |x| < 2^24: src/kernels/norm.ts. */
typedef struct {
  int32_t cols;
  int32_t center;
  int64_t epsilon;
  ivit_output out;
} ivit_layer_norm;

/* max(x, 0) - H(|x|) of i16, then requantize: src/kernels/activation.ts. */
typedef struct {
  int32_t cols;
  int32_t spacing;
  int16_t knots[IVIT_KNOTS + 2]; /* knots[64] = 0, knots[65] = 0 */
  ivit_output out;
} ivit_activation;

/* Requantization of i32 per channel. */
typedef struct {
  int32_t cols;
  ivit_output out;
} ivit_rescale;

/*
 * a*b of i16, or a/b of i32 in units of 2^-bits (src/kernels/divide.ts), then requantize. Rows of b may lie further
 * apart than those of a, or in one place; with `is_column` all channels of a row take its one number.
 */
typedef struct {
  int32_t cols;
  int32_t is_column;
  int32_t bits; /* of a quotient */
  ivit_output out;
} ivit_binary;

/* A function of i16 by its table, then requantize: src/kernels/lookup.ts. */
typedef struct {
  int32_t cols;
  int32_t table[IVIT_TABLE_ENTRIES];
  ivit_output out;
} ivit_lookup;

/* Softmax of each row of i32 in units of 2^-16, then requantize: src/kernels/softmax.ts. */
typedef struct {
  int32_t cols;
  ivit_softmax kind;     /* IVIT_SOFTMAX_SHIFT or IVIT_SOFTMAX_QUADRATIC */
  int32_t fraction_bits; /* 8 to 11 */
  int32_t score_multiplier, score_shift;
  ivit_output out;
} ivit_row_softmax;

/*
 * x*cos + partner*sin of i16, then requantize: src/kernels/rotate.ts. Column n of a row takes column n mod period of
 * the tables' row.
 */
typedef struct {
  int32_t cols;
  int32_t period;         /* divides cols */
  int32_t stride;         /* elements from a row of x to the next */
  const int32_t *partner; /* [cols]: the column of x, of those read, that is multiplied by the sine */
  ivit_output out;
} ivit_rotate;

/* Channels of head h of token t (counted over all windows): row (rows ? rows[t] : t), columns offset + h*head_stride.
 */
typedef struct {
  int32_t stride;
  int32_t offset;
  int32_t head_stride;
  const int32_t *rows;
} ivit_view;

/* The published kernels' ops. */
typedef struct {
  int32_t cols;
  ivit_output out;
} ivit_paper_norm;
typedef struct {
  int32_t cols;
  int32_t x0;
  ivit_output out;
} ivit_paper_gelu;
typedef struct {
  int32_t cols;
  int32_t fraction_bits; /* 6 to 12 */
  ivit_output out;
} ivit_ibert_gelu;

/*
 * Windows over a map [height*width, channels]: row (oy, ox) of `out_w` windows a line has kernel_h*kernel_w taps at
 * pixels (oy*stride_h - pad_top + ky*dilation_h, ...), which may lie outside the map.
 */
typedef struct {
  int32_t height, width, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  int32_t out_w, channels;
} ivit_geometry;

/* The windows themselves: the taps' channels side by side, `fill` for taps outside the map. */
typedef struct {
  ivit_geometry map;
  int32_t fill;
} ivit_windows;

/* v[n] = sum over taps of weight[tap][n]*x[tap][n], |v| < 2^31, then requantize: src/kernels/depthwise.ts. */
typedef struct {
  ivit_geometry map;
  const int16_t *weight; /* [taps][channels] */
  ivit_output out;
  void *packed; /* what depthwise_pack wrote; NULL where the table has no such function */
} ivit_depthwise;

/*
 * v[n] = sum_t weight[row][t]*x[index[row][t]][n], |v| < 2^53, then requantize: src/kernels/mix-rows.ts. `fits`: each
 * sum |weight|*IVIT_WIDE_LIMIT, and so |v|, is below 2^31; `out` is packed only then.
 */
typedef struct {
  int32_t cols, taps, fits;
  const int32_t *index;  /* [rows][taps]; -1: none */
  const int16_t *weight; /* [rows][taps] */
  ivit_output out;
} ivit_mix_rows;

/* The sum of each `group` successive rows, then requantize. */
typedef struct {
  int32_t cols, group;
  ivit_output out;
} ivit_mean_rows;

/* I-LayerNorm of all rows of each group of cols/groups channels: src/kernels/group-norm.ts. */
typedef struct {
  int32_t rows, cols, groups;
  int64_t epsilon;
  ivit_output out;
} ivit_group_norm;
/* Of one group: sum of x, of x^2; y-hat = ((x - mean)*f) >> t. */
typedef struct {
  int64_t sum;
  uint64_t squares;
} ivit_group_sums;
typedef struct {
  int32_t mean, f, t;
} ivit_group_factor;

/* src/kernels/attention.ts. The value written is [batch*queries, heads*value_dim], channel n = head*value_dim + j. */
typedef struct {
  int32_t batch, heads, queries, keys, dim, value_dim;
  ivit_view q, k, v;
  ivit_softmax softmax;
  int32_t fraction_bits;           /* 8 to 11 */
  const int32_t *score_multiplier; /* [heads] */
  int32_t score_shift;
  const int32_t *bias; /* [bias_batch][bias_heads][queries][keys], or NULL */
  int32_t bias_batch, bias_heads;
  int32_t x0;           /* IVIT_SOFTMAX_PAPER only */
  int32_t softmax_bits; /* 8 or 12; of a published softmax: 8 or 16 */
  ivit_output out;      /* `offset` is NULL */
} ivit_attention;

/* Products of two i16 values: src/kernels/matmul.ts. The value written is [batch*m, heads*n]. */
typedef struct {
  int32_t heads, m, n, k;
  int32_t a_transposed, b_transposed;
  ivit_view a, b;
  const ivit_output *out; /* [heads], of n channels each */
} ivit_matmul;

/* Scores, in place, to weights, 0 to 2^16 - 1, that are divided by their sum. */
typedef void ivit_weigh(const ivit_attention *op, int32_t max, int32_t *scores);

/*
 * The primitives of one instruction set.
 *
 * `scratch`: memory of the calling thread, IVIT_ALIGN aligned: what the *_scratch function asked for; row primitives
 * get ivit_row_scratch(cols) bytes.
 */
typedef struct {
  const char *name;
  /* Rows and columns of the GEMM's register tile: row blocks are multiples of tile_rows where possible, the column
   * ranges given to `linear` begin at multiples of tile_cols. */
  int32_t tile_rows, tile_cols;
  /* Bytes of a block's values in one stage; 0: half of the level 2 cache, the rest is for the weights. */
  int32_t block_bytes;

  /*
   * Packs weights (but tied ones, which is packed before), and whatever else the GEMM wants beside them, once.
   * `packed` has linear_pack_size bytes; op->weight is gone afterwards.
   */
  size_t (*linear_pack_size)(const ivit_linear *op);
  void (*linear_pack)(const ivit_linear *op, void *packed);
  size_t (*linear_scratch)(const ivit_linear *op);
  /*
   * Columns n0 to n1 of `rows` rows. x: u8 (IVIT_U8, IVIT_ROWS) or i16, [rows, in_features]; x_scale: M' of each row,
   * or NULL. residual: i32 [rows, cols] or NULL; it may be `out` itself. out: [rows, cols] of op->out.type, where
   * IVIT_ROWS means the i32 u-hat (quantize_rows follows).
   */
  void (*linear)(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                 const int32_t *residual, void *out, void *scratch);

  /*
   * Prepares, once, the constants that a row primitive requantizes by. `limit`: of the values, as below. NULL: there is
   * nothing to prepare.
   */
  size_t (*output_pack_size)(int32_t cols);
  void (*output_pack)(const ivit_output *out, int32_t cols, int64_t limit, void *packed);

  /* Row primitives: out is [rows, cols] of op->out.type; scale: M' of each row where that is IVIT_ROWS. */
  void (*layer_norm)(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                     void *scratch);
  void (*activation)(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                     void *scratch);
  void (*paper_gelu)(const ivit_paper_gelu *op, int32_t rows, const int8_t *x, void *out, int32_t *scale,
                     void *scratch);
  void (*ibert_gelu)(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                     void *scratch);
  void (*rescale)(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale, void *scratch);
  /* b_stride: elements from a row of b to the next. */
  void (*multiply)(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride, void *out,
                   int32_t *scale, void *scratch);
  void (*divide)(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride, void *out,
                 int32_t *scale, void *scratch);
  void (*lookup)(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale, void *scratch);
  void (*softmax)(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale, void *scratch);
  /* x: the first column that is read; cos, sin: a row [period] for each row of x. */
  void (*rotate)(const ivit_rotate *op, int32_t rows, const int16_t *x, const int16_t *cos, const int16_t *sin,
                 void *out, int32_t *scale, void *scratch);
  /* src/kernels/output.ts, quantizeRow: |u| <= IVIT_ROW_LIMIT. */
  void (*quantize_rows)(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale);
  /* out[i] = clamp(a[i] + b[i], +-IVIT_WIDE_LIMIT); out may be a or b. */
  void (*add)(size_t count, const int32_t *a, const int32_t *b, int32_t *out);

  /*
   * Rows r0 to r1, of one window, of a matrix product. a: its source, where its view is plain (no `rows`, not
   * transposed) from row r0 on; b: its source; out: row r0 of [batch*m, heads*n] of the outputs' type, where IVIT_ROWS
   * means the i32 u-hat.
   */
  size_t (*matmul_scratch)(const ivit_matmul *op);
  void (*matmul)(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                 void *scratch);

  /*
   * Depthwise convolution. Packs the weights, once; NULL: there is nothing to pack. Then rows r0 to r1 of the result,
   * into `out`; x: the whole map; scale: M' of each row where the output is IVIT_ROWS.
   */
  size_t (*depthwise_pack_size)(const ivit_depthwise *op);
  void (*depthwise_pack)(const ivit_depthwise *op, void *packed);
  size_t (*depthwise_scratch)(const ivit_depthwise *op);
  void (*depthwise)(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out, int32_t *scale,
                    void *scratch);

  /* Rows r0 to r1 of the result, into `out`; x: the whole value. */
  void (*mix_rows)(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                   void *scratch);
  /* The largest of each window and channel, of elements of `type`. */
  void (*max_pool)(const ivit_geometry *map, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out);

  /* Group norm: adds `rows` rows to the sums of all groups; later, rows of the result by the factors from all sums. */
  void (*group_sums)(const ivit_group_norm *op, int32_t rows, const int16_t *x, ivit_group_sums *sums);
  void (*group_norm)(const ivit_group_norm *op, const ivit_group_factor *factors, int32_t rows, const int16_t *x,
                     void *out, int32_t *scale, void *scratch);

  /*
   * Attention of one window and head. First the keys and values are packed (attention_pack_size bytes for one window
   * and head), then blocks of queries, possibly on other threads. q, k, v: the sources that op's views look into; out:
   * the whole value, [batch*queries, heads*value_dim] of op->out.type, where IVIT_ROWS means the i32 u-hat.
   */
  size_t (*attention_pack_size)(const ivit_attention *op);
  void (*attention_pack)(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, const int8_t *v,
                         void *packed);
  size_t (*attention_scratch)(const ivit_attention *op);
  void (*attention)(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                    const int8_t *q, const void *packed, void *out, void *scratch);

  /*
   * The same with a published softmax, whose weights are divided by their sum before they multiply V. weigh: makes
   * them; NULL: as the op says.
   */
  size_t (*published_pack_size)(const ivit_attention *op);
  void (*published_pack)(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, const int8_t *v,
                         void *packed);
  size_t (*published_scratch)(const ivit_attention *op);
  void (*published)(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                    int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch);

  /* The GEMM's multiply-adds on registers alone, to measure the machine's peak: returns how many were done. NULL: none.
   */
  int64_t (*multiply_in_registers)(int32_t rounds);
} ivit_isa;

/* Scratch of the row primitives: a row of u-hat, and what else an instruction set wants. */
static inline size_t ivit_row_scratch(int32_t cols) { return 32 * (((size_t)cols + 63) / 64 * 64); }

/* Every primitive in plain C (portable.c): the fallback entries of the other tables. */
size_t ivit_portable_linear_pack_size(const ivit_linear *op);
void ivit_portable_linear_pack(const ivit_linear *op, void *packed);
size_t ivit_portable_linear_scratch(const ivit_linear *op);
void ivit_portable_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                          const int32_t *x_scale, const int32_t *residual, void *out, void *scratch);
void ivit_portable_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                              void *scratch);
void ivit_portable_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                              void *scratch);
void ivit_portable_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                           void *scratch);
void ivit_portable_multiply(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                            void *out, int32_t *scale, void *scratch);
void ivit_portable_divide(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch);
void ivit_portable_lookup(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                          void *scratch);
void ivit_portable_softmax(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                           void *scratch);
void ivit_portable_rotate(const ivit_rotate *op, int32_t rows, const int16_t *x, const int16_t *cos, const int16_t *sin,
                          void *out, int32_t *scale, void *scratch);
size_t ivit_portable_matmul_scratch(const ivit_matmul *op);
void ivit_portable_matmul(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                          void *scratch);
void ivit_portable_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale);
void ivit_portable_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out);
size_t ivit_portable_attention_pack_size(const ivit_attention *op);
void ivit_portable_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                  const int8_t *v, void *packed);
size_t ivit_portable_attention_scratch(const ivit_attention *op);
void ivit_portable_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                             const int8_t *q, const void *packed, void *out, void *scratch);
/* Attention whose weights are made by `weigh`; NULL: by the op's exponential, and divided last. */
void ivit_attend(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                 int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch);
/* src/kernels/paper-rows.ts: rows as for the row primitives. */
void ivit_portable_paper_norm(const ivit_paper_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                              void *scratch);
void ivit_portable_paper_gelu(const ivit_paper_gelu *op, int32_t rows, const int8_t *x, void *out, int32_t *scale,
                              void *scratch);
/* src/kernels/ibert.ts. */
void ivit_portable_ibert_gelu(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                              void *scratch);

/* portable_layout.c. Rows r0 to r1 of the result, into `out`; x: the whole map. */
void ivit_portable_windows(const ivit_windows *op, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out);
/* Patches of an image: windows of u8 whose taps outside are 0. */
void ivit_portable_patches(const ivit_geometry *map, int32_t r0, int32_t r1, const uint8_t *image, uint8_t *out);
/* x: the first row of the first group; rows as for the row primitives. */
void ivit_portable_mean_rows(const ivit_mean_rows *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                             void *scratch);

/* portable_maps.c. Rows r0 to r1 of the result, into `out`; x: the whole map, or the whole value. */
void ivit_portable_max_pool(const ivit_geometry *map, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out);
size_t ivit_portable_depthwise_scratch(const ivit_depthwise *op);
void ivit_portable_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                             int32_t *scale, void *scratch);
/* Of |v| of all of its rows. */
int64_t ivit_mix_rows_bound(const ivit_mix_rows *op, int32_t rows);
/* The weight of all taps of a row that are there, which can be taken after they are added up; 0 where they differ. */
static inline int32_t ivit_shared_weight(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight) {
  int32_t shared = 0;
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    if (shared != 0 && weight[t] != shared) return 0;
    shared = weight[t];
    if (shared == 0) return 0;
  }
  return shared;
}
void ivit_portable_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out,
                            int32_t *scale, void *scratch);
/* Adds those of `rows` rows. */
void ivit_portable_group_sums(const ivit_group_norm *op, int32_t rows, const int16_t *x, ivit_group_sums *sums);
void ivit_portable_group_norm(const ivit_group_norm *op, const ivit_group_factor *factors, int32_t rows,
                              const int16_t *x, void *out, int32_t *scale, void *scratch);
/* A row of r, or of u-hat, to row r of the output's type, or to its codes and scale. */
void ivit_portable_store_row(const ivit_output *out, int32_t r, int32_t cols, const int32_t *row, void *data,
                             int32_t *scale);

extern const ivit_isa ivit_isa_portable;
#if defined(__x86_64__) || defined(_M_X64)
extern const ivit_isa ivit_isa_avx512vnni;
extern const ivit_isa ivit_isa_avxvnni;
extern const ivit_isa ivit_isa_avx2;
/* Programs ask Linux for the tile registers; the header tells that the compiler knows them. */
#if defined(__linux__) && defined(__has_include)
#if __has_include(<amxint8intrin.h>)
#define IVIT_AMX
extern const ivit_isa ivit_isa_amx;
#endif
#endif
#elif defined(__aarch64__)
extern const ivit_isa ivit_isa_neon_dot;
#endif

/*
 * isa.c: the tables compiled in, best first, that this machine can run. The first where `name` is NULL, else the one of
 * that name; NULL if there is none.
 */
const ivit_isa *ivit_find_isa(const char *name);
/* Number `index` of those that this machine can run, best first; NULL where there are no more. */
const ivit_isa *ivit_supported_isa(size_t index);

#endif
