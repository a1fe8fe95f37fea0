/* What the comparisons share: random operands, and the count of what was compared. */
#ifndef IVIT_COMPARE_H
#define IVIT_COMPARE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../requantize.h"

/* The numbers that follow come of this seed. */
void seed_random(uint64_t seed);
/* lo to hi, both included. */
int32_t pick(int32_t lo, int32_t hi);
/* Of 100. */
int chance(int32_t percent);
/* |v| < 2^bits. */
int64_t pick_bits(int32_t bits);
/* The largest sums of products come from rows and columns of numbers at one end of their range. */
int32_t pick_end(int32_t lo, int32_t hi, int constant);
/* Of 16 bits, often at the ends. */
int16_t *pick_words(size_t count);
void fill_i32(int32_t *x, size_t n, int32_t bits);
/* An output of any type; `bits`: of the values to be requantized. */
ivit_output pick_output(int32_t cols, int32_t bits, int offsets);

/* Zeroed memory of one comparison, followed by anything; freed together. */
void *buffer(size_t bytes);
void free_buffers(void);
size_t padded(int32_t n);

/* What linear and attention write: u-hat is i32. */
size_t wide_size_of(ivit_type type);

extern int failures;
/* Reports where two results differ. */
void check(const char *what, const void *expected, const void *actual, size_t bytes, const char *detail);

typedef void row_primitive(const ivit_isa *isa, const void *op, int32_t rows, const void *x, void *out, int32_t *scale,
                           void *scratch);
/* A row primitive on plain C and on `isa`; `output` is part of `op`. Returns how many results. */
size_t compare_rows(const ivit_isa *isa, const char *name, row_primitive *call, const void *op, int32_t rows,
                    int32_t cols, ivit_output *output, int64_t limit, const void *x);

int8_t *pick_codes(size_t count, int32_t limit);
/* A random op but for its views, which come with what they look into. */
ivit_attention pick_attention(void);
typedef struct {
  const int8_t *q, *k, *v;
} attention_codes;
attention_codes pick_attention_codes(ivit_attention *op);
/* Which kernels compute an attention: those of `published`, with `weigh`, or those of `attention`. */
typedef struct {
  const char *name;
  int is_published;
  ivit_weigh *weigh;
} attention_kernels;
/* An attention of all windows and heads on plain C and on `isa`. Returns how many results. */
size_t compare_heads(const ivit_isa *isa, const attention_kernels *kernels, const ivit_attention *op,
                     attention_codes codes, const char *detail);

/* compare_published.c. */
size_t compare_paper_gelu(const ivit_isa *isa);
size_t compare_ibert_gelu(const ivit_isa *isa);
size_t compare_published(const ivit_isa *isa);

/* compare_maps.c. Each compares one random op, and returns how many results. */
size_t compare_depthwise(const ivit_isa *isa);
size_t compare_rotate(const ivit_isa *isa);
size_t compare_max_pool(const ivit_isa *isa);
size_t compare_windows(const ivit_isa *isa);
size_t compare_mean_rows(const ivit_isa *isa);
size_t compare_mix_rows(const ivit_isa *isa);
size_t compare_group_norm(const ivit_isa *isa);

#endif
