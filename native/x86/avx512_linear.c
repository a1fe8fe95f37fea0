/* Linear layers: GEMM whose register tiles become outputs (requantization, residual, row scales) while the next is at work. */
#include "avx512.h"

/* Columns of a panel: a register tile is 6 rows by 2 vectors, so that two tiles fit the registers. */
enum { PANEL_COLS = 32, PANEL_VECTORS = 2 };

/*
 * Packed weights: a header, then one panel for every 32 columns: its constants, then its weights as
 * [groups of 4 inputs][32][4].
 */
typedef struct {
  requantize_plan plan; /* chosen from the weights */
  int32_t groups;
  int32_t bias_bound; /* max |bias| */
  int64_t sum_bound;  /* max over n of |sum x*w|, before row scale and bias */
  int8_t fill[IVIT_ALIGN - sizeof(requantize_plan) - 2 * sizeof(int32_t) - sizeof(int64_t)];
} header;

typedef struct {
  int32_t start[PANEL_COLS]; /* where accumulators start: -zero*sum w; for u8 inputs the bias as well */
  int32_t multiplier[PANEL_COLS];
  int32_t multiplier_odd[PANEL_COLS];
  int32_t bias[PANEL_COLS];
  int8_t weight[];
} panel;

static size_t panel_size(int32_t groups) { return sizeof(panel) + (size_t)groups * PANEL_COLS * 4; }

static panel *panel_at(const header *h, int32_t n) {
  return (panel *)((int8_t *)(h + 1) + (size_t)(n / PANEL_COLS) * panel_size(h->groups));
}

/*
 * 16-bit inputs are multiplied as two planes of bytes, the high one with 128 added. From the sums H and L of the planes,
 * which panels of zero point 128 give, acc = 256*H + L + constant[n].
 */
typedef struct {
  const header *panels; /* the layer's own, behind the constants, or its twin's */
  int64_t constant[];
} wide_header;

static size_t constants_size(const ivit_linear *op) {
  return round_up(sizeof(wide_header) + round_up((size_t)op->cols, PANEL_COLS) * sizeof(int64_t), IVIT_ALIGN);
}

size_t ivit_avx512_linear_pack_size(const ivit_linear *op) {
  size_t panels = round_up((size_t)op->cols, PANEL_COLS) / PANEL_COLS;
  size_t size = op->x_type == IVIT_I16 ? constants_size(op) : 0;
  return op->twin ? size : size + sizeof(header) + panels * panel_size((op->in_features + 3) / 4);
}

static void pack_panels(const ivit_linear *op, void *packed) {
  header *h = packed;
  /* Right for every input, from bounds of the accumulators; with row scales, for every input whose rows then pass `fits`. */
  h->plan = plan_sums(op, &h->sum_bound, &h->bias_bound);
  h->groups = (op->in_features + 3) / 4;
  size_t features = (size_t)op->in_features;

  for (int32_t n = 0; n < (int32_t)round_up((size_t)op->cols, PANEL_COLS); n++) {
    panel *to = panel_at(h, n);
    int32_t c = n % PANEL_COLS, sum = 0;
    if (c == 0) memset(to, 0, panel_size(h->groups));
    if (n >= op->cols) continue;
    const int8_t *w = op->weight + (size_t)n * features;
    for (size_t k = 0; k < features; k++) sum += w[k];
    int8_t *group = to->weight + 4 * c;
    for (size_t k = 0; k < features; k += 4, group += 4 * PANEL_COLS) {
      if (k + 4 <= features) memcpy(group, w + k, 4);
      else memcpy(group, w + k, features - k);
    }
    to->bias[c] = op->bias[n];
    int32_t zero = op->x_type == IVIT_I16 ? 128 : op->x_zero;
    to->start[c] = -zero * sum + (op->x_type == IVIT_U8 ? op->bias[n] : 0);
    to->multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[n] << h->plan.scale);
    if (c % 2) to->multiplier_odd[c - 1] = to->multiplier[c];
  }
}

void ivit_avx512_linear_pack(const ivit_linear *op, void *packed) {
  if (op->x_type != IVIT_I16) {
    pack_panels(op, packed);
    return;
  }
  wide_header *h = packed;
  void *own = (int8_t *)packed + constants_size(op);
  if (!op->twin) pack_panels(op, own);
  h->panels = op->twin ? op->twin->packed : own;
  memset(h->constant, 0, round_up((size_t)op->cols, PANEL_COLS) * sizeof(int64_t));
  for (int32_t n = 0; n < op->cols; n++) {
    const panel *w = panel_at(h->panels, n);
    int32_t c = n % PANEL_COLS;
    /* A panel's sums begin with start = beta - 128*sum w, beta being the bias of its own layer; so H and L both hold it. */
    int64_t beta = op->twin && op->twin->x_type == IVIT_U8 ? w->bias[c] : 0;
    h->constant[n] = op->bias[n] - 256 * beta - w->start[c];
  }
}

/* Two planes of 8 bits of a tile's i16 rows. */
static size_t plane_stride(const ivit_linear *op) { return round_up((size_t)op->in_features, 64) + IVIT_SLACK; }

size_t ivit_avx512_linear_scratch(const ivit_linear *op) {
  return op->x_type == IVIT_I16 ? 2 * TILE_ROWS * plane_stride(op) : 0;
}

typedef struct {
  const ivit_linear *op;
  int32_t rows, n0, n1;
  const void *x;
  const int32_t *x_scale;
  const int32_t *residual;
  void *out;
  void *scratch;
} arguments;

/* One row of a tile, as memory operands for its epilogue. */
typedef struct {
  int32_t mantissa, half; /* M' = mantissa*2^e; 2^(row_shift-e-1) */
  int64_t shift;          /* row_shift - e */
} row_factor;

static int32_t trailing_shift(int32_t scale) { return ivit_max(0, ivit_bits((uint64_t)scale) - 8); }

static row_factor factor_of(const ivit_linear *op, int32_t scale) {
  int32_t e = trailing_shift(scale), shift = op->row_shift - e;
  return (row_factor){.mantissa = scale >> e, .half = (int32_t)ivit_half(shift), .shift = shift};
}

/*
 * Whether a row of scale M' keeps to 32 bits: (M'*sum + 2^(row_shift-1)) >> row_shift then equals
 * (mantissa*sum + 2^(s-1)) >> s with s = row_shift - e, and the accumulator leaves room for the lift.
 */
static int fits(const ivit_linear *op, const header *h, int32_t scale) {
  int32_t e = trailing_shift(scale), shift = op->row_shift - e;
  if (shift < 1 || (scale >> e) << e != scale) return 0;
  if (h->sum_bound * (scale >> e) + ivit_half(shift) >= (int64_t)1 << 31) return 0;
  int64_t acc = ivit_shift_round(h->sum_bound * scale, op->row_shift) + h->bias_bound;
  return h->plan.lift == 0 || acc < ((int64_t)1 << 31) >> h->plan.lift;
}

/* The sums of a tile, [6][32]. */
static void multiply_panel(const tile_rows *x, const header *h, const panel *w, int32_t *sums) {
  tile acc;
  tile_multiply(acc, w->start, x, h->groups, w->weight, PANEL_VECTORS);
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
    UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
      _mm512_storeu_si512(sums + PANEL_COLS * i + 16 * j, acc[i][j]);
    }
  }
}

/* Rows r0 to r1 of a block. */
static arguments rows_of(const arguments *a, int32_t r0, int32_t r1) {
  arguments part = *a;
  size_t first = (size_t)r0, features = (size_t)a->op->in_features, cols = (size_t)a->op->cols;
  part.rows = r1 - r0;
  part.x = (const int8_t *)a->x + first * features * (a->op->x_type == IVIT_I16 ? 2 : 1);
  part.x_scale = a->x_scale ? a->x_scale + first : NULL;
  part.residual = a->residual ? a->residual + first * cols : NULL;
  part.out = (int8_t *)a->out + first * cols * element_size(a->op->out.type);
  return part;
}

/* --- any tile: rows and columns may be fewer --- */

static void finish_tile(const arguments *a, const header *h, const panel *w, int32_t r, int32_t n, const int32_t *sums) {
  const ivit_linear *op = a->op;
  const requantize_operands k = operands_of(&h->plan);
  const __m512i zero = _mm512_set1_epi16((int16_t)op->out.zero);
  int32_t rows = ivit_min(a->rows - r, TILE_ROWS), count = ivit_min(a->n1 - n, PANEL_COLS);
  for (int32_t i = 0; i < rows; i++) {
    size_t at = (size_t)(r + i) * (size_t)op->cols + (size_t)n;
    row_factor f = op->x_type == IVIT_ROWS ? factor_of(op, a->x_scale[r + i]) : (row_factor){0};
    __m512i v[TILE_VECTORS] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
      __m512i s = _mm512_loadu_si512(sums + PANEL_COLS * i + 16 * j);
      if (op->x_type == IVIT_ROWS) {
        s = _mm512_add_epi32(_mm512_mullo_epi32(s, _mm512_set1_epi32(f.mantissa)), _mm512_set1_epi32(f.half));
        s = _mm512_add_epi32(_mm512_srav_epi32(s, _mm512_set1_epi32((int32_t)f.shift)), _mm512_loadu_si512(w->bias + 16 * j));
      }
      v[j] = requantize(h->plan.path, s, _mm512_loadu_si512(w->multiplier + 16 * j), w->multiplier_odd + 16 * j, &k);
      if (a->residual) {
        __m512i old = _mm512_maskz_loadu_epi32(first16(count - 16 * j), a->residual + at + 16 * j);
        v[j] = _mm512_add_epi32(clamp_i32(v[j], IVIT_WIDE_LIMIT), old);
      }
    }
    store_values(op->out.type, v, zero, (int8_t *)a->out + at * element_size(op->out.type), count);
  }
}

static void multiply_tiles(const arguments *a) {
  const header *h = a->op->packed;
  size_t features = (size_t)a->op->in_features;
  int32_t sums[TILE_ROWS * PANEL_COLS];
  for (int32_t n = a->n0; n < a->n1; n += PANEL_COLS) {
    const panel *w = panel_at(h, n);
    for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
      tile_rows x;
      point_to_rows(&x, (const uint8_t *)a->x + (size_t)r * features, features, a->rows - r);
      multiply_panel(&x, h, w, sums);
      finish_tile(a, h, w, r, n, sums);
    }
  }
}

/* --- many whole tiles: one becomes outputs while the next is at work --- */

/*
 * The multiply-adds keep two of the four vector units busy; requantization finds room on the others, if it lies between
 * them in the program. So a tile's loop is cut into six, and after each part one row of the tile before is finished, out
 * of the other half of the accumulators. All in assembly: no register is left to a compiler.
 *
 *   zmm8 to zmm19, zmm20 to zmm31   sums of two tiles, two vectors a row, in turns
 *   zmm0 to zmm4                    2 vectors of weights, codes of a row, 2 for requantization
 *   zmm5 to zmm7                    shift, order, lift
 *   rdi, r15                        job, its constants
 *   r8, r10, r9                     rows 0 and 3 at the next code; row stride
 *   rsi, rcx                        the next weights, and where a part of the loop ends
 *   r12, r14                        panel of this tile and of the one before
 *   rdx, rbx, r13, r11              of the tile before: next row's output, residual, factor; row stride of the outputs
 *   rax                             weights to be fetched into the cache ahead
 *
 * The residual's rows are too far apart to be fetched unasked: those of the next tile are asked for.
 */
typedef struct {
  __m512i order;        /* index that puts packed elements in order */
  __m512i least, limit; /* of bytes and words; 32-bit results are clamped to least and limit */
  int64_t round, shift, lift;
} job_constants;

/* A job is an array of 64-bit words: */
#define JOB_CONSTANTS 0
#define JOB_PANEL 1      /* this tile's; then from one panel to the next */
#define JOB_PANEL_STEP 2
#define JOB_PANELS 3     /* left, this one counted */
#define JOB_TILES 4      /* left in this panel, and in each */
#define JOB_TILES_START 5
#define JOB_X 6          /* this tile's, and the first's; from row to row and from tile to tile */
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
#define JOB_STOPS 20 /* where the parts of the loop end, in bytes of the panel */
#define JOB_WORDS 26

_Static_assert(offsetof(panel, multiplier) == 128 && offsetof(panel, multiplier_odd) == 256, "as in the assembly");
_Static_assert(offsetof(panel, bias) == 384 && offsetof(panel, weight) == 512, "as in the assembly");
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
#define BEGIN_TILE(H)                                                                                   \
  "lea (%%r9,%%r9,2), %%r10\n add %%r8, %%r10\n lea 512(%%r12), %%rsi\n"                        \
  "vmovdqu64 (%%r12), %%zmm0\n vmovdqu64 64(%%r12), %%zmm1\n"                                          \
  BEGIN_ROW(H, 0) BEGIN_ROW(H, 1) BEGIN_ROW(H, 2) BEGIN_ROW(H, 3) BEGIN_ROW(H, 4) BEGIN_ROW(H, 5)
#define ADD_ROW(H, i, code)                                                                             \
  "vpbroadcastd " code ", %%zmm2\n"                                                                     \
  "vpdpbusd %%zmm0, %%zmm2, " V0(H, i) "\n vpdpbusd %%zmm1, %%zmm2, " V1(H, i) "\n"
/* Part i of the loop, which may be empty; some lines of what comes next are fetched meanwhile. */
#define LOOP(H, i)                                                                                      \
  "mov 8*" TEXT(i) "+" OF_JOB(STOPS) ", %%rcx\n add %%r12, %%rcx\n"                                     \
  "prefetcht1 (%%rax)\n prefetcht1 64(%%rax)\n add $128, %%rax\n"                                       \
  "cmp %%rcx, %%rsi\n je 3f\n .p2align 5\n 2:\n"                                                        \
  "vmovdqu64 (%%rsi), %%zmm0\n vmovdqu64 64(%%rsi), %%zmm1\n"                                          \
  ADD_ROW(H, 0, "(%%r8)") ADD_ROW(H, 1, "(%%r8,%%r9)") ADD_ROW(H, 2, "(%%r8,%%r9,2)")                   \
  ADD_ROW(H, 3, "(%%r10)") ADD_ROW(H, 4, "(%%r10,%%r9)") ADD_ROW(H, 5, "(%%r10,%%r9,2)")                \
  "add $4, %%r8\n add $4, %%r10\n sub $-128, %%rsi\n cmp %%rcx, %%rsi\n jne 2b\n 3:\n"

/* The sums v, times the row's scale where there is one; `offset`: bytes of the vector's place in the panel. */
#define SCALE_STATIC(v, offset)
#define SCALE_DYNAMIC(v, offset)                                                                        \
  "vpmulld (%%r13)%{1to16%}, " v ", " v "\n vpaddd 4(%%r13)%{1to16%}, " v ", " v "\n"                   \
  "vpsravd 8(%%r13)%{1to16%}, " v ", " v "\n"                                                            \
  "vpaddd 384+" offset "(%%r14), " v ", " v "\n"
#define REQUANTIZE_NARROW(v, offset)                                                                    \
  "vpmulld 128+" offset "(%%r14), " v ", " v "\n"                                            \
  "vpaddd " ROUND ", " v ", " v "\n vpsravd %%zmm5, " v ", " v "\n"
#define REQUANTIZE_HIGH(v, offset)                                                                      \
  "vpshufd $0xf5, " v ", %%zmm3\n"                                                                      \
  "vpmuldq 128+" offset "(%%r14), " v ", " v "\n"                                            \
  "vpmuldq 256+" offset "(%%r14), %%zmm3, %%zmm3\n vpshufd $0xf5, " v ", %%zmm3%{%%k1%}\n"           \
  "vpaddd " ROUND ", %%zmm3, %%zmm3\n vpsravd %%zmm5, %%zmm3, " v "\n"
#define REQUANTIZE_LIFTED(v, offset) "vpsllvd %%zmm7, " v ", " v "\n" REQUANTIZE_HIGH(v, offset)
#define RESULTS(S, P, H, i)                                                                             \
  S(V0(H, i), "0") P(V0(H, i), "0") S(V1(H, i), "64") P(V1(H, i), "64")
#define CLAMP(v) "vpminsd " LIMIT ", " v ", " v "\n vpmaxsd " LEAST ", " v ", " v "\n"

/* Finishes row i of half H. */
#define FINISH_I8(S, P, H, i)                                                                           \
  RESULTS(S, P, H, i) "vpackssdw " V1(H, i) ", " V0(H, i) ", %%zmm3\n vpacksswb %%zmm3, %%zmm3, %%zmm3\n"  \
  "vpermd %%zmm3, %%zmm6, %%zmm3\n vpmaxsb " LEAST ", %%ymm3, %%ymm3\n"                   \
  "vmovdqu %%ymm3, (%%rdx)\n" NEXT_ROW
#define FINISH_I16(S, P, H, i)                                                                          \
  RESULTS(S, P, H, i) "vpackssdw " V1(H, i) ", " V0(H, i) ", %%zmm3\n vpermq %%zmm3, %%zmm6, %%zmm3\n"    \
  "vpmaxsw " LEAST ", %%zmm3, %%zmm3\n vmovdqu64 %%zmm3, (%%rdx)\n" NEXT_ROW
#define FINISH_I32(S, P, H, i)                                                                          \
  RESULTS(S, P, H, i) CLAMP(V0(H, i)) CLAMP(V1(H, i))                                                   \
  "vmovdqu64 " V0(H, i) ", (%%rdx)\n vmovdqu64 " V1(H, i) ", 64(%%rdx)\n" NEXT_ROW
#define FINISH_SUM(S, P, H, i)                                                                          \
  RESULTS(S, P, H, i) CLAMP(V0(H, i)) CLAMP(V1(H, i))                                                   \
  "vpaddd (%%rbx), " V0(H, i) ", " V0(H, i) "\n vpaddd 64(%%rbx), " V1(H, i) ", " V1(H, i) "\n"          \
  "mov " OF_JOB(OUT_STEP) ", %%rcx\n prefetcht0 (%%rbx,%%rcx)\n prefetcht0 64(%%rbx,%%rcx)\n"            \
  CLAMP(V0(H, i)) CLAMP(V1(H, i))                                                                       \
  "vmovdqu64 " V0(H, i) ", (%%rdx)\n vmovdqu64 " V1(H, i) ", 64(%%rdx)\n" NEXT_ROW
#define NEXT_ROW "add %%r11, %%rdx\n add %%r11, %%rbx\n add $16, %%r13\n"

/* Makes this tile the one before, and goes on to the next; to label `end` where there is none. */
#define ADVANCE(end)                                                                                    \
  "mov " OF_JOB(OUT) ", %%rdx\n mov " OF_JOB(RESIDUAL) ", %%rbx\n mov " OF_JOB(FACTORS) ", %%r13\n"     \
  "mov %%r12, %%r14\n decq " OF_JOB(TILES) "\n jz 4f\n"                                                 \
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
  "add " OF_JOB(PANEL_STEP) ", %%r12\n mov %%r12, %%rax\n add " OF_JOB(PANEL_STEP) ", %%rax\n"          \
  "cmpq $1, " OF_JOB(PANELS) "\n cmove " OF_JOB(AFTER) ", %%rax\n"                                       \
  "5:\n"
#define WORK(F, S, P, H, OLD)                                                                           \
  BEGIN_TILE(H) LOOP(H, 0) F(S, P, OLD, 0) LOOP(H, 1) F(S, P, OLD, 1) LOOP(H, 2) F(S, P, OLD, 2)        \
  LOOP(H, 3) F(S, P, OLD, 3) LOOP(H, 4) F(S, P, OLD, 4) LOOP(H, 5) F(S, P, OLD, 5)
#define FINISH_ALL(F, S, P, H) \
  F(S, P, H, 0) F(S, P, H, 1) F(S, P, H, 2) F(S, P, H, 3) F(S, P, H, 4) F(S, P, H, 5)
#define RUN_JOB(F, S, P)                                                                                \
  __asm__ volatile(                                                                                     \
      "mov " OF_JOB(CONSTANTS) ", %%r15\n mov $0x5555, %%eax\n kmovw %%eax, %%k1\n"                     \
      "vpbroadcastd " SHIFT ", %%zmm5\n vmovdqa64 " ORDER ", %%zmm6\n"             \
      "vpbroadcastd " LIFT ", %%zmm7\n"                                                          \
      "mov " OF_JOB(PANEL) ", %%r12\n mov %%r12, %%rax\n add " OF_JOB(PANEL_STEP) ", %%rax\n"            \
      "mov " OF_JOB(X) ", %%r8\n mov " OF_JOB(X_STRIDE) ", %%r9\n mov " OF_JOB(OUT_STRIDE) ", %%r11\n"    \
      BEGIN_TILE(A) LOOP(A, 5)                                                                          \
      "6:\n" ADVANCE("7f") WORK(F, S, P, B, A) ADVANCE("8f") WORK(F, S, P, A, B) "jmp 6b\n"             \
      "7:\n" FINISH_ALL(F, S, P, A) "jmp 9f\n"                                                          \
      "8:\n" FINISH_ALL(F, S, P, B) "9:\n"                                                              \
      :                                                                                                 \
      : "D"(job)                                                                                        \
      : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "k1",  \
        "memory", "cc", ALL_ZMM)
#define ALL_ZMM                                                                                         \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",     \
      "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", \
      "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"

typedef void job_function(int64_t job[JOB_WORDS]);
#define JOB(name, F, S, P) \
  __attribute__((noinline)) static void name(int64_t job[JOB_WORDS]) { RUN_JOB(F, S, P); }
#define JOBS(name, F)                                          \
  JOB(name##_narrow, F, SCALE_STATIC, REQUANTIZE_NARROW)       \
  JOB(name##_high, F, SCALE_STATIC, REQUANTIZE_HIGH)           \
  JOB(name##_lifted, F, SCALE_STATIC, REQUANTIZE_LIFTED)       \
  JOB(name##_rows_narrow, F, SCALE_DYNAMIC, REQUANTIZE_NARROW) \
  JOB(name##_rows_high, F, SCALE_DYNAMIC, REQUANTIZE_HIGH)     \
  JOB(name##_rows_lifted, F, SCALE_DYNAMIC, REQUANTIZE_LIFTED)
JOBS(to_i8, FINISH_I8)
JOBS(to_i16, FINISH_I16)
JOBS(to_i32, FINISH_I32)
JOBS(to_sum, FINISH_SUM)

/* u8 outputs are rare: multiply_tiles does them. */
#define JOB_NAMES(name) \
  {{name##_narrow, name##_high, name##_lifted}, {name##_rows_narrow, name##_rows_high, name##_rows_lifted}}
enum { WITH_RESIDUAL = IVIT_ROWS + 1 };
/* [output type, or WITH_RESIDUAL][x has row scales][path] */
static job_function *const jobs[WITH_RESIDUAL + 1][2][3] = {
    [IVIT_I8] = JOB_NAMES(to_i8),    [IVIT_I16] = JOB_NAMES(to_i16),        [IVIT_I32] = JOB_NAMES(to_i32),
    [IVIT_ROWS] = JOB_NAMES(to_i32), [WITH_RESIDUAL] = JOB_NAMES(to_sum),
};

static job_constants constants_of(const ivit_linear *op, const header *h) {
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
  const header *h = op->packed;
  const job_constants constants = constants_of(op, h);
  row_factor factors[JOB_ROWS];
  int dynamic = op->x_type == IVIT_ROWS;
  for (int32_t r = 0; dynamic && r < a->rows; r++) factors[r] = factor_of(op, a->x_scale[r]);

  int64_t cols = op->cols, size = (int64_t)element_size(op->out.type);
  const panel *first = panel_at(h, a->n0);
  int64_t job[JOB_WORDS] = {
      [JOB_CONSTANTS] = (int64_t)&constants,
      [JOB_PANEL] = (int64_t)first,
      [JOB_PANEL_STEP] = (int64_t)panel_size(h->groups),
      [JOB_PANELS] = (a->n1 - a->n0) / PANEL_COLS,
      [JOB_TILES] = a->rows / TILE_ROWS,
      [JOB_TILES_START] = a->rows / TILE_ROWS,
      [JOB_X] = (int64_t)a->x,
      [JOB_X_START] = (int64_t)a->x,
      [JOB_X_STRIDE] = op->in_features,
      [JOB_X_STEP] = (int64_t)op->in_features * TILE_ROWS,
      [JOB_OUT] = (int64_t)a->out + a->n0 * size,
      [JOB_OUT_START] = (int64_t)a->out + a->n0 * size,
      [JOB_OUT_STRIDE] = cols * size,
      [JOB_OUT_STEP] = cols * size * TILE_ROWS,
      [JOB_OUT_PANEL_STEP] = PANEL_COLS * size,
      [JOB_RESIDUAL] = a->residual ? (int64_t)(a->residual + a->n0) : 0,
      [JOB_RESIDUAL_START] = a->residual ? (int64_t)(a->residual + a->n0) : 0,
      [JOB_FACTORS] = (int64_t)factors,
      [JOB_FACTORS_START] = (int64_t)factors,
      [JOB_AFTER] = (int64_t)(op->next ? op->next : (const void *)first),
  };
  for (int32_t i = 0; i < TILE_ROWS; i++) {
    int64_t groups = h->groups * (i + 1) / TILE_ROWS;
    job[JOB_STOPS + i] = (int64_t)offsetof(panel, weight) + groups * PANEL_COLS * 4;
  }
  jobs[a->residual ? WITH_RESIDUAL : op->out.type][dynamic][h->plan.path](job);
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

/*
 * A tile's accumulators as 64-bit numbers, 8 columns at a time: any shift, any width. With 16-bit inputs `high` and
 * `constant` are those of `wide_header`, else both are NULL.
 */
static void finish_wide(const arguments *a, int32_t r, int32_t i, int32_t n, int32_t count, const panel *w,
                        const int32_t *low, const int32_t *high, const int64_t *constant) {
  const ivit_linear *op = a->op;
  const ivit_output *out = &op->out;
  const __m512i lo = _mm512_set1_epi64(out->lo), hi = _mm512_set1_epi64(out->hi);
  size_t at = (size_t)(r + i) * (size_t)op->cols + (size_t)n;
  for (int32_t j = 0; j < count; j += 8) {
    __mmask8 live = (__mmask8)first16(count - j);
    __m512i acc = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(low + j)));
    if (high) {
      __m512i h = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(high + j)));
      acc = _mm512_add_epi64(acc, _mm512_slli_epi64(h, 8));
      acc = _mm512_add_epi64(acc, _mm512_loadu_si512(constant + n + j));
    }
    if (op->x_type == IVIT_ROWS) {
      acc = _mm512_mul_epi32(acc, _mm512_set1_epi64(a->x_scale[r + i]));
      acc = _mm512_add_epi64(acc, _mm512_set1_epi64(ivit_half(op->row_shift)));
      acc = _mm512_sra_epi64(acc, _mm_cvtsi32_si128(op->row_shift));
    }
    if (op->x_type == IVIT_ROWS) {
      acc = _mm512_add_epi64(acc, _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(w->bias + j))));
    }
    __m512i b = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, out->multiplier + n + j));
    __m512i v = _mm512_add_epi64(_mm512_mullo_epi64(acc, b), _mm512_set1_epi64(ivit_half(out->shift)));
    v = _mm512_sra_epi64(v, _mm_cvtsi32_si128(out->shift));
    v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
    if (a->residual) {
      v = _mm512_add_epi64(v, _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, a->residual + at + j)));
      v = _mm512_max_epi64(_mm512_min_epi64(v, hi), lo);
    }
    v = _mm512_add_epi64(v, _mm512_set1_epi64(out->type == IVIT_U8 ? out->zero : 0));
    int8_t *to = (int8_t *)a->out + (at + (size_t)j) * element_size(out->type);
    switch (element_size(out->type)) {
      case 1: _mm512_mask_cvtepi64_storeu_epi8(to, live, v); break;
      case 2: _mm512_mask_cvtepi64_storeu_epi16(to, live, v); break;
      default: _mm512_mask_cvtepi64_storeu_epi32(to, live, v); break;
    }
  }
}

static void split_planes(const int16_t *x, int32_t count, uint8_t *low, uint8_t *high) {
  for (int32_t k = 0; k < count; k += 32) {
    __mmask32 live = first32(count - k);
    __m512i v = _mm512_maskz_loadu_epi16(live, x + k);
    _mm512_mask_cvtepi16_storeu_epi8(low + k, live, v);
    _mm512_mask_cvtepi16_storeu_epi8(high + k, live, _mm512_add_epi16(_mm512_srai_epi16(v, 8), _mm512_set1_epi16(128)));
  }
}

/* A row alone reads weights as fast as they come: asks for those of the panel after the next. */
static void fetch_ahead(const header *h, int32_t n) {
  const char *ahead = (const char *)panel_at(h, n + 2 * PANEL_COLS);
  for (size_t i = 0; i < panel_size(h->groups); i += 64) _mm_prefetch(ahead + i, _MM_HINT_T0);
}

/*
 * The sums of one row, or of both its planes (`b`, else NULL), [32] each: in a tile five rows would be computed for
 * nothing, and two tiles would read the weights twice.
 */
INLINE void multiply_row(const uint8_t *a, const uint8_t *b, const header *h, const panel *w, int32_t *a_sums,
                         int32_t *b_sums) {
  __m512i acc[2][2][PANEL_VECTORS]; /* of even and odd groups; of both rows */
  UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
    acc[0][0][j] = acc[0][1][j] = _mm512_loadu_si512(w->start + 16 * j);
    acc[1][0][j] = acc[1][1][j] = _mm512_setzero_si512();
  }
  for (int32_t g = 0; g < h->groups; g += 2) {
    UNROLL_VECTORS for (int i = 0; i < 2; i++) {
      if (g + i >= h->groups) break;
      int32_t codes[2] = {0, 0};
      memcpy(&codes[0], a + 4 * (g + i), sizeof codes[0]);
      if (b) memcpy(&codes[1], b + 4 * (g + i), sizeof codes[1]);
      const int8_t *weights = w->weight + (size_t)(g + i) * PANEL_COLS * 4;
      UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
        const __m512i column = _mm512_loadu_si512(weights + 64 * j);
        acc[i][0][j] = _mm512_dpbusd_epi32(acc[i][0][j], _mm512_set1_epi32(codes[0]), column);
        if (b) acc[i][1][j] = _mm512_dpbusd_epi32(acc[i][1][j], _mm512_set1_epi32(codes[1]), column);
      }
    }
  }
  UNROLL_VECTORS for (int j = 0; j < PANEL_VECTORS; j++) {
    _mm512_storeu_si512(a_sums + 16 * j, _mm512_add_epi32(acc[0][0][j], acc[1][0][j]));
    if (b) _mm512_storeu_si512(b_sums + 16 * j, _mm512_add_epi32(acc[0][1][j], acc[1][1][j]));
  }
}

static void multiply_block_wide(const arguments *a) {
  const ivit_linear *op = a->op;
  int split = op->x_type == IVIT_I16;
  const wide_header *wide = split ? op->packed : NULL;
  const header *h = split ? wide->panels : op->packed;
  size_t features = (size_t)op->in_features, stride = plane_stride(op);
  uint8_t *planes[2] = {a->scratch, (uint8_t *)a->scratch + TILE_ROWS * stride};
  int32_t low[TILE_ROWS * PANEL_COLS], high[TILE_ROWS * PANEL_COLS];

  for (int32_t r = 0; r < a->rows; r += TILE_ROWS) {
    int32_t live = ivit_min(a->rows - r, TILE_ROWS);
    tile_rows x, x_high;
    point_to_rows(&x, (const uint8_t *)a->x + (size_t)r * features, features, live);
    if (split) {
      for (int32_t i = 0; i < live; i++) {
        split_planes((const int16_t *)a->x + (size_t)(r + i) * features, op->in_features, planes[0] + (size_t)i * stride,
                     planes[1] + (size_t)i * stride);
      }
      point_to_rows(&x, planes[0], stride, live);
      point_to_rows(&x_high, planes[1], stride, live);
    }
    for (int32_t n = a->n0; n < a->n1; n += PANEL_COLS) {
      const panel *w = panel_at(h, n);
      if (live == 1) {
        if (!op->twin) fetch_ahead(h, n); /* a twin's weights were just read */
        if (split) multiply_row(x.row[0], x_high.row[0], h, w, low, high);
        else multiply_row(x.row[0], NULL, h, w, low, NULL);
      } else {
        multiply_panel(&x, h, w, low);
        if (split) multiply_panel(&x_high, h, w, high);
      }
      for (int32_t i = 0; i < live; i++) {
        finish_wide(a, r, i, n, ivit_min(a->n1 - n, PANEL_COLS), w, low + PANEL_COLS * i,
                    split ? high + PANEL_COLS * i : NULL, split ? wide->constant : NULL);
      }
    }
  }
}

/* The last row of the tile at row r, plus 1, and whether all its rows fit. */
static int tile_fits(const arguments *a, const header *h, int32_t r, int32_t *end) {
  *end = ivit_min(r + TILE_ROWS, a->rows);
  for (int32_t i = r; i < *end; i++) {
    if (!fits(a->op, h, a->x_scale[i])) return 0;
  }
  return 1;
}

void ivit_avx512_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                        const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  arguments a = {op, rows, n0, n1, x, x_scale, residual, out, scratch};
  const header *h = op->packed;
  int dynamic = op->x_type == IVIT_ROWS;
  if (op->x_type == IVIT_I16 || h->plan.path == WIDE) {
    multiply_block_wide(&a);
    return;
  }
  if (!dynamic) {
    multiply_block(&a);
    return;
  }
  /* Runs of tiles that fit, and of tiles that do not. */
  for (int32_t r = 0; r < rows;) {
    int32_t end, next;
    int narrow = tile_fits(&a, h, r, &end);
    while (end < rows && tile_fits(&a, h, end, &next) == narrow) end = next;
    arguments part = rows_of(&a, r, end);
    if (narrow) multiply_block(&part);
    else multiply_block_wide(&part);
    r = end;
  }
}
