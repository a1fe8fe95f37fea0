/* Linear layers: GEMM whose register tiles become outputs (requantization, residual, row scales) while the next is at
 * work. */
#define GROUP_STEP 1
#include "avx512_tiles.h"

size_t ivit_avx512_linear_pack_size(const ivit_linear *op) { return linear_pack_size(op); }

void ivit_avx512_linear_pack(const ivit_linear *op, void *packed) { pack_panels(op, packed); }

size_t ivit_avx512_linear_scratch(const ivit_linear *op) { return split_scratch(op); }

/* --- many whole tiles: one becomes outputs while the next is at work --- */

/*
 * The multiply-adds keep two of the four vector units busy; requantization finds room on the others, if it lies between
 * them in the program. So a tile's loop is cut into six, and after each part one row of the tile before is finished,
 * out of the other half of the accumulators. All in assembly: no register is left to a compiler.
 *
 * Intel's processors have two units for 512 bits, and both multiply: nothing is free between the multiply-adds. There
 * the tile before is finished in one piece ahead of the loop, with which the processor overlaps it by itself, and the
 * loop is longer.
 *
 *   zmm8 to zmm19, zmm20 to zmm31   sums of two tiles, two vectors a row, in turns
 *   zmm0 to zmm4                    2 vectors of weights, codes of a row, 2 for requantization
 *   zmm5 to zmm7                    shift, order, lift
 *   rdi, r15                        job, its constants
 *   r8, r10, r9                     rows 0 and 3 at the next code; row stride
 *   rsi, rcx                        the next weights, and where a part of the loop ends
 *   r12, r14                        weights of this tile, panel of the one before
 *   rdx, rbx, r13, r11              of the tile before: next row's output, residual, factor; row stride of the outputs
 *   rax                             weights to be fetched into the cache ahead
 *
 * The residual's rows are too far apart to be fetched unasked: those of the next tile are asked for.
 *
 * With 16-bit inputs the first three parts multiply the high codes of the tile's rows and the others the low ones,
 * which lie behind them. Between the two the sums are multiplied by 256, and `bias` is added: modulo 2^32, as
 * linear_packing.h allows.
 */
typedef struct {
  __m512i order;        /* index that puts packed elements in order */
  __m512i least, limit; /* of bytes and words; 32-bit results are clamped to least and limit */
  int64_t round, shift, lift;
} job_constants;

/* A job is an array of 64-bit words: */
#define JOB_CONSTANTS 0
#define JOB_WEIGHT 1 /* of the first panel; from one panel to the next */
#define JOB_WEIGHT_STEP 2
#define JOB_PANELS 3 /* left, this one counted */
#define JOB_TILES 4  /* left in this panel, and in each */
#define JOB_TILES_START 5
#define JOB_X 6 /* this tile's, and the first's; from row to row and from tile to tile */
#define JOB_X_START 7
#define JOB_X_STRIDE 8
#define JOB_X_STEP 9
#define JOB_OUT 10
#define JOB_OUT_START 11
#define JOB_OUT_STRIDE 12
#define JOB_OUT_STEP 13
#define JOB_OUT_PANEL_STEP 14
#define JOB_RESIDUAL 15 /* as JOB_OUT */
#define JOB_RESIDUAL_START 16
#define JOB_FACTORS 17
#define JOB_FACTORS_START 18
#define JOB_AFTER 19 /* fetched into the cache during the last panel */
#define JOB_STOPS 20 /* where the parts of the loop end, in bytes of the weights */
#define JOB_PANEL 26 /* this tile's */
#define JOB_SPLIT 27 /* whether inputs have 16 bits */
#define JOB_WORDS 28

_Static_assert(offsetof(panel, multiplier) == 128 && offsetof(panel, multiplier_odd) == 256, "as in the assembly");
_Static_assert(offsetof(panel, bias) == 384 && sizeof(panel) == 512, "as in the assembly");
_Static_assert(offsetof(job_constants, least) == 64 && offsetof(job_constants, limit) == 128, "as in the assembly");
_Static_assert(offsetof(job_constants, round) == 192 && offsetof(job_constants, lift) == 208, "as in the assembly");
_Static_assert(sizeof(row_factor) == 16 && TILE_ROWS == 6, "as in the assembly");

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define OF_JOB(word) "8*" TEXT(JOB_##word) "(%%rdi)"
#define ORDER "(%%r15)"
#define LEAST "64(%%r15)"
#define LIMIT "128(%%r15)"
#define ROUND "192(%%r15)%{1to16%}"
#define SHIFT "200(%%r15)"
#define LIFT "208(%%r15)"

/* Registers of row i of the first and of the second half. */
#define SUM_A0 "8"
#define SUM_A1 "10"
#define SUM_A2 "12"
#define SUM_A3 "14"
#define SUM_A4 "16"
#define SUM_A5 "18"
#define SUM_B0 "20"
#define SUM_B1 "22"
#define SUM_B2 "24"
#define SUM_B3 "26"
#define SUM_B4 "28"
#define SUM_B5 "30"
#define NEXT_A0 "9"
#define NEXT_A1 "11"
#define NEXT_A2 "13"
#define NEXT_A3 "15"
#define NEXT_A4 "17"
#define NEXT_A5 "19"
#define NEXT_B0 "21"
#define NEXT_B1 "23"
#define NEXT_B2 "25"
#define NEXT_B3 "27"
#define NEXT_B4 "29"
#define NEXT_B5 "31"
/* The two vectors of row i of half H. */
#define V0(H, i) "%%zmm" SUM_##H##i
#define V1(H, i) "%%zmm" NEXT_##H##i

#define BEGIN_ROW(H, i) "vmovdqa64 %%zmm0, " V0(H, i) "\n vmovdqa64 %%zmm1, " V1(H, i) "\n"
#define BEGIN_TILE(H) \
  "lea (%%r9,%%r9,2), %%r10\n add %%r8, %%r10\n mov %%r12, %%rsi\n mov " OF_JOB(PANEL) ", %%rcx\n"   \
  "vmovdqu64 (%%rcx), %%zmm0\n vmovdqu64 64(%%rcx), %%zmm1\n"                                          \
  BEGIN_ROW(H, 0) BEGIN_ROW(H, 1) BEGIN_ROW(H, 2) BEGIN_ROW(H, 3) BEGIN_ROW(H, 4) BEGIN_ROW(H, 5)
#define ADD_ROW(H, i, code) \
  "vpbroadcastd " code      \
  ", %%zmm2\n"              \
  "vpdpbusd %%zmm0, %%zmm2, " V0(H, i) "\n vpdpbusd %%zmm1, %%zmm2, " V1(H, i) "\n"
/* One group of inputs; `x`, `w0` and `w1`: where its codes and weights lie. */
#define ADD_GROUP(H, x, w0, w1) \
  "vmovdqu64 " w0 "(%%rsi), %%zmm0\n vmovdqu64 " w1 "(%%rsi), %%zmm1\n"                                \
  ADD_ROW(H, 0, x "(%%r8)") ADD_ROW(H, 1, x "(%%r8,%%r9)") ADD_ROW(H, 2, x "(%%r8,%%r9,2)")             \
  ADD_ROW(H, 3, x "(%%r10)") ADD_ROW(H, 4, x "(%%r10,%%r9)") ADD_ROW(H, 5, x "(%%r10,%%r9,2)")
/* Groups up to rcx, which may be none. */
#define ADD_GROUPS(H) \
  "cmp %%rcx, %%rsi\n je 3f\n .p2align 5\n 2:\n" ADD_GROUP(H, "", "", "64")                            \
  "add $4, %%r8\n add $4, %%r10\n sub $-128, %%rsi\n cmp %%rcx, %%rsi\n jne 2b\n 3:\n"
#define UP_TO(i) "mov 8*" TEXT(i) "+" OF_JOB(STOPS) ", %%rcx\n add %%r12, %%rcx\n"
/* Part i of the loop, which may be empty; some lines of what comes next are fetched meanwhile. */
#define LOOP(H, i) \
  UP_TO(i) "prefetcht1 (%%rax)\n prefetcht1 64(%%rax)\n add $128, %%rax\n" ADD_GROUPS(H)
/* All up to the end of part i, four groups a round; a line of what comes next is fetched in each. */
#define LONG_LOOP(H, i) \
  UP_TO(i) "sub $384, %%rcx\n cmp %%rcx, %%rsi\n jae 3f\n .p2align 5\n 2:\n"                          \
  ADD_GROUP(H, "", "", "64") ADD_GROUP(H, "4", "128", "192")                                            \
  ADD_GROUP(H, "8", "256", "320") ADD_GROUP(H, "12", "384", "448")                                      \
  "prefetcht1 (%%rax)\n add $64, %%rax\n"                                                               \
  "add $16, %%r8\n add $16, %%r10\n add $512, %%rsi\n cmp %%rcx, %%rsi\n jb 2b\n 3:\n"                  \
  "add $384, %%rcx\n" ADD_GROUPS(H)

/* From the high codes to the low ones, where inputs have 16 bits. */
#define JOIN_ROW(H, i) \
  "vpslld $8, " V0(H, i) ", " V0(H, i) "\n vpaddd %%zmm0, " V0(H, i) ", " V0(H, i) "\n"               \
  "vpslld $8, " V1(H, i) ", " V1(H, i) "\n vpaddd %%zmm1, " V1(H, i) ", " V1(H, i) "\n"
#define JOIN(H) \
  "cmpq $0, " OF_JOB(SPLIT) "\n je 4f\n mov %%r12, %%rsi\n mov " OF_JOB(PANEL) ", %%rcx\n"             \
  "vmovdqu64 384(%%rcx), %%zmm0\n vmovdqu64 448(%%rcx), %%zmm1\n"                                      \
  JOIN_ROW(H, 0) JOIN_ROW(H, 1) JOIN_ROW(H, 2) JOIN_ROW(H, 3) JOIN_ROW(H, 4) JOIN_ROW(H, 5) "4:\n"

/* The sums v, times the row's scale where there is one; `offset`: bytes of the vector's place in the panel. */
#define SCALE_STATIC(v, offset)
#define SCALE_DYNAMIC(v, offset)                                                 \
  "vpmulld (%%r13)%{1to16%}, " v ", " v "\n vpaddd 4(%%r13)%{1to16%}, " v ", " v \
  "\n"                                                                           \
  "vpsravd 8(%%r13)%{1to16%}, " v ", " v                                         \
  "\n"                                                                           \
  "vpaddd 384+" offset "(%%r14), " v ", " v "\n"
#define REQUANTIZE_NARROW(v, offset)         \
  "vpmulld 128+" offset "(%%r14), " v ", " v \
  "\n"                                       \
  "vpaddd " ROUND ", " v ", " v "\n vpsravd %%zmm5, " v ", " v "\n"
#define REQUANTIZE_HIGH(v, offset)                                    \
  "vpshufd $0xf5, " v                                                 \
  ", %%zmm3\n"                                                        \
  "vpmuldq 128+" offset "(%%r14), " v ", " v                          \
  "\n"                                                                \
  "vpmuldq 256+" offset "(%%r14), %%zmm3, %%zmm3\n vpshufd $0xf5, " v \
  ", %%zmm3%{%%k1%}\n"                                                \
  "vpaddd " ROUND ", %%zmm3, %%zmm3\n vpsravd %%zmm5, %%zmm3, " v "\n"
#define REQUANTIZE_LIFTED(v, offset) "vpsllvd %%zmm7, " v ", " v "\n" REQUANTIZE_HIGH(v, offset)
#define RESULTS(S, P, H, i) S(V0(H, i), "0") P(V0(H, i), "0") S(V1(H, i), "64") P(V1(H, i), "64")
#define CLAMP(v) "vpminsd " LIMIT ", " v ", " v "\n vpmaxsd " LEAST ", " v ", " v "\n"

/* Finishes row i of half H. */
#define FINISH_I8(S, P, H, i) \
  RESULTS(S, P, H, i) "vpackssdw " V1(H, i) ", " V0(H, i) ", %%zmm3\n vpacksswb %%zmm3, %%zmm3, %%zmm3\n"  \
  "vpermd %%zmm3, %%zmm6, %%zmm3\n vpmaxsb " LEAST ", %%ymm3, %%ymm3\n"                   \
  "vmovdqu %%ymm3, (%%rdx)\n" NEXT_ROW
#define FINISH_I16(S, P, H, i) \
  RESULTS(S, P, H, i) "vpackssdw " V1(H, i) ", " V0(H, i) ", %%zmm3\n vpermq %%zmm3, %%zmm6, %%zmm3\n"    \
  "vpmaxsw " LEAST ", %%zmm3, %%zmm3\n vmovdqu64 %%zmm3, (%%rdx)\n" NEXT_ROW
#define FINISH_I32(S, P, H, i) \
  RESULTS(S, P, H, i)          \
  CLAMP(V0(H, i)) CLAMP(V1(H, i)) "vmovdqu64 " V0(H, i) ", (%%rdx)\n vmovdqu64 " V1(H, i) ", 64(%%rdx)\n" NEXT_ROW
#define FINISH_SUM(S, P, H, i) \
  RESULTS(S, P, H, i) CLAMP(V0(H, i)) CLAMP(V1(H, i))                                                   \
  "vpaddd (%%rbx), " V0(H, i) ", " V0(H, i) "\n vpaddd 64(%%rbx), " V1(H, i) ", " V1(H, i) "\n"          \
  "mov " OF_JOB(OUT_STEP) ", %%rcx\n prefetcht0 (%%rbx,%%rcx)\n prefetcht0 64(%%rbx,%%rcx)\n"            \
  CLAMP(V0(H, i)) CLAMP(V1(H, i))                                                                       \
  "vmovdqu64 " V0(H, i) ", (%%rdx)\n vmovdqu64 " V1(H, i) ", 64(%%rdx)\n" NEXT_ROW
#define NEXT_ROW "add %%r11, %%rdx\n add %%r11, %%rbx\n add $16, %%r13\n"

/* Makes this tile the one before, and goes on to the next; to label `end` where there is none. */
#define ADVANCE(end) \
  "mov " OF_JOB(OUT) ", %%rdx\n mov " OF_JOB(RESIDUAL) ", %%rbx\n mov " OF_JOB(FACTORS) ", %%r13\n"     \
  "mov " OF_JOB(PANEL) ", %%r14\n decq " OF_JOB(TILES) "\n jz 4f\n"                                    \
  "mov " OF_JOB(X) ", %%r8\n add " OF_JOB(X_STEP) ", %%r8\n mov %%r8, " OF_JOB(X) "\n"                   \
  "mov " OF_JOB(OUT_STEP) ", %%rcx\n add %%rcx, " OF_JOB(OUT) "\n add %%rcx, " OF_JOB(RESIDUAL) "\n"    \
  "addq $96, " OF_JOB(FACTORS) "\n jmp 5f\n"                                                            \
  "4:\n decq " OF_JOB(PANELS) "\n jz " end "\n"                                                         \
  "mov " OF_JOB(TILES_START) ", %%rcx\n mov %%rcx, " OF_JOB(TILES) "\n"                                  \
  "mov " OF_JOB(X_START) ", %%r8\n mov %%r8, " OF_JOB(X) "\n"                                            \
  "mov " OF_JOB(OUT_START) ", %%rcx\n add " OF_JOB(OUT_PANEL_STEP) ", %%rcx\n"                           \
  "mov %%rcx, " OF_JOB(OUT_START) "\n mov %%rcx, " OF_JOB(OUT) "\n"                                      \
  "mov " OF_JOB(RESIDUAL_START) ", %%rcx\n sub $-128, %%rcx\n"                                          \
  "mov %%rcx, " OF_JOB(RESIDUAL_START) "\n mov %%rcx, " OF_JOB(RESIDUAL) "\n"                            \
  "mov " OF_JOB(FACTORS_START) ", %%rcx\n mov %%rcx, " OF_JOB(FACTORS) "\n"                              \
  "addq $512, " OF_JOB(PANEL) "\n"                                                                      \
  "add " OF_JOB(WEIGHT_STEP) ", %%r12\n mov %%r12, %%rax\n add " OF_JOB(WEIGHT_STEP) ", %%rax\n"        \
  "cmpq $1, " OF_JOB(PANELS) "\n cmove " OF_JOB(AFTER) ", %%rax\n"                                       \
  "5:\n"
#define WORK(F, S, P, H, OLD)                                                                                         \
  BEGIN_TILE(H)                                                                                                       \
  LOOP(H, 0) F(S, P, OLD, 0) LOOP(H, 1) F(S, P, OLD, 1) LOOP(H, 2) F(S, P, OLD, 2) JOIN(H) LOOP(H, 3) F(S, P, OLD, 3) \
      LOOP(H, 4) F(S, P, OLD, 4) LOOP(H, 5) F(S, P, OLD, 5)
#define FINISH_ALL(F, S, P, H) F(S, P, H, 0) F(S, P, H, 1) F(S, P, H, 2) F(S, P, H, 3) F(S, P, H, 4) F(S, P, H, 5)
/* All tiles after the first, and the end of the last. */
#define INTERLEAVED(F, S, P) \
  "6:\n" ADVANCE("7f") WORK(F, S, P, B, A) ADVANCE("8f") WORK(F, S, P, A, B) "jmp 6b\n"                 \
  "7:\n" FINISH_ALL(F, S, P, A) "jmp 9f\n"                                                              \
  "8:\n" FINISH_ALL(F, S, P, B) "9:\n"
#define APART(F, S, P) \
  "6:\n" ADVANCE("7f") FINISH_ALL(F, S, P, A) BEGIN_TILE(A) LONG_LOOP(A, 2) JOIN(A) LONG_LOOP(A, 5)      \
  "jmp 6b\n 7:\n" FINISH_ALL(F, S, P, A)
#define RUN_JOB(TILES, F, S, P) \
  __asm__ volatile(                                                                                     \
      "mov " OF_JOB(CONSTANTS) ", %%r15\n mov $0x5555, %%eax\n kmovw %%eax, %%k1\n"                     \
      "vpbroadcastd " SHIFT ", %%zmm5\n vmovdqa64 " ORDER ", %%zmm6\n"             \
      "vpbroadcastd " LIFT ", %%zmm7\n"                                                          \
      "mov " OF_JOB(WEIGHT) ", %%r12\n mov %%r12, %%rax\n add " OF_JOB(WEIGHT_STEP) ", %%rax\n"          \
      "mov " OF_JOB(X) ", %%r8\n mov " OF_JOB(X_STRIDE) ", %%r9\n mov " OF_JOB(OUT_STRIDE) ", %%r11\n"    \
      BEGIN_TILE(A) LOOP(A, 2) JOIN(A) LOOP(A, 5) TILES(F, S, P)                                        \
      :                                                                                                 \
      : "D"(job)                                                                                        \
      : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "k1",  \
        "memory", "cc", ALL_ZMM)
#define ALL_ZMM                                                                                                       \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",     \
      "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"

typedef void job_function(int64_t job[JOB_WORDS]);
#define JOB(name, TILES, F, S, P) \
  __attribute__((noinline)) static void name(int64_t job[JOB_WORDS]) { RUN_JOB(TILES, F, S, P); }
#define JOBS_IN_ORDER(name, TILES, F)                              \
  JOB(name##_narrow, TILES, F, SCALE_STATIC, REQUANTIZE_NARROW)       \
  JOB(name##_high, TILES, F, SCALE_STATIC, REQUANTIZE_HIGH)           \
  JOB(name##_lifted, TILES, F, SCALE_STATIC, REQUANTIZE_LIFTED)       \
  JOB(name##_rows_narrow, TILES, F, SCALE_DYNAMIC, REQUANTIZE_NARROW) \
  JOB(name##_rows_high, TILES, F, SCALE_DYNAMIC, REQUANTIZE_HIGH)     \
  JOB(name##_rows_lifted, TILES, F, SCALE_DYNAMIC, REQUANTIZE_LIFTED)
#define JOBS(name, F) JOBS_IN_ORDER(name, INTERLEAVED, F) JOBS_IN_ORDER(name##_apart, APART, F)
JOBS(to_i8, FINISH_I8)
JOBS(to_i16, FINISH_I16)
JOBS(to_i32, FINISH_I32)
JOBS(to_sum, FINISH_SUM)

/* u8 outputs are rare: multiply_tiles does them. */
#define JOB_NAMES(name)                                                                                       \
  {                                                                                                           \
    {name##_narrow, name##_high, name##_lifted}, { name##_rows_narrow, name##_rows_high, name##_rows_lifted } \
  }
enum { WITH_RESIDUAL = IVIT_ROWS + 1 };
#define JOB_TABLE(order)                                                                                \
  {                                                                                                     \
    [IVIT_I8] = JOB_NAMES(to_i8##order), [IVIT_I16] = JOB_NAMES(to_i16##order),                         \
    [IVIT_I32] = JOB_NAMES(to_i32##order), [IVIT_ROWS] = JOB_NAMES(to_i32##order),                      \
    [WITH_RESIDUAL] = JOB_NAMES(to_sum##order),                                                         \
  }
/* [finished apart][output type, or WITH_RESIDUAL][x has row scales][path] */
static job_function *const jobs[2][WITH_RESIDUAL + 1][2][3] = {JOB_TABLE(), JOB_TABLE(_apart)};

/* Whether a tile is finished before the next one's loop. native/test/compare.mjs compares the other order, too. */
#ifndef FINISH_APART
#define FINISH_APART __builtin_cpu_is("intel")
#endif

static job_constants constants_of(const ivit_linear *op, const linear_header *h) {
  job_constants k = {.order = ORDER_BYTES,
                     .least = _mm512_set1_epi32(op->out.lo),
                     .limit = _mm512_set1_epi32(op->out.hi),
                     .round = h->plan.round,
                     .shift = h->plan.shift,
                     .lift = h->plan.lift};
  if (op->out.type == IVIT_I8) k.least = _mm512_set1_epi8(-127);
  if (op->out.type == IVIT_I16) {
    k.order = ORDER_WORDS;
    k.least = _mm512_set1_epi16(-32767);
  }
  return k;
}

enum { JOB_ROWS = 16 * TILE_ROWS };

/* Rows and columns in whole tiles, JOB_ROWS rows at most. */
static void run_job(const arguments *a) {
  const ivit_linear *op = a->op;
  const linear_header *h = op->packed;
  const job_constants constants = constants_of(op, h);
  row_factor factors[JOB_ROWS];
  int dynamic = op->x_type == IVIT_ROWS;
  for (int32_t r = 0; dynamic && r < a->rows; r++) factors[r] = factor_of(op, a->x_scale[r]);

  int64_t cols = op->cols, size = (int64_t)element_size(op->out.type);
  const weight_t *weight = weights_at(h, a->n0), *after = op->next ? ((const linear_header *)op->next)->weight : weight;
  int split = op->x_type == IVIT_I16;
  int64_t job[JOB_WORDS] = {
      [JOB_CONSTANTS] = (int64_t)&constants,
      [JOB_WEIGHT] = (int64_t)weight,
      [JOB_WEIGHT_STEP] = (int64_t)weights_size(h->groups),
      [JOB_PANELS] = (a->n1 - a->n0) / PANEL_COLS,
      [JOB_TILES] = a->rows / TILE_ROWS,
      [JOB_TILES_START] = a->rows / TILE_ROWS,
      [JOB_X] = (int64_t)a->x,
      [JOB_X_START] = (int64_t)a->x,
      [JOB_X_STRIDE] = (int64_t)a->x_stride,
      [JOB_X_STEP] = (int64_t)a->x_stride * TILE_ROWS,
      [JOB_OUT] = (int64_t)a->out + a->n0 * size,
      [JOB_OUT_START] = (int64_t)a->out + a->n0 * size,
      [JOB_OUT_STRIDE] = cols * size,
      [JOB_OUT_STEP] = cols * size * TILE_ROWS,
      [JOB_OUT_PANEL_STEP] = PANEL_COLS * size,
      [JOB_RESIDUAL] = a->residual ? (int64_t)(a->residual + a->n0) : 0,
      [JOB_RESIDUAL_START] = a->residual ? (int64_t)(a->residual + a->n0) : 0,
      [JOB_FACTORS] = (int64_t)factors,
      [JOB_FACTORS_START] = (int64_t)factors,
      [JOB_AFTER] = (int64_t)after,
      [JOB_PANEL] = (int64_t)panel_at(h, a->n0),
      [JOB_SPLIT] = split,
  };
  const int32_t parts = split ? TILE_ROWS / 2 : TILE_ROWS;
  for (int32_t i = 0; i < TILE_ROWS; i++) {
    job[JOB_STOPS + i] = (int64_t)(h->groups * (i % parts + 1) / parts) * PANEL_COLS * GROUP;
  }
  jobs[FINISH_APART ? 1 : 0][a->residual ? WITH_RESIDUAL : op->out.type][dynamic][h->plan.path](job);
}

static void multiply_block(const arguments *a) {
  int32_t whole_rows = a->rows - a->rows % TILE_ROWS, whole_cols = a->n1 - (a->n1 - a->n0) % PANEL_COLS;
  if (a->op->out.type == IVIT_U8) whole_rows = 0;
  for (int32_t r = 0; r < whole_rows; r += JOB_ROWS) {
    arguments part = rows_of(a, r, ivit_min(r + JOB_ROWS, whole_rows));
    part.n1 = whole_cols;
    if (whole_cols > a->n0) run_job(&part);
    part.n0 = whole_cols;
    part.n1 = a->n1;
    if (whole_cols < a->n1) multiply_tiles(&part);
  }
  arguments rest = rows_of(a, whole_rows, a->rows);
  if (rest.rows > 0) multiply_tiles(&rest);
}

void ivit_avx512_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                        const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  multiply_all(op, rows, n0, n1, x, x_scale, residual, out, scratch);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
