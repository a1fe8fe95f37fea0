/*
 * Counts the instructions of each op of an exported model on an emulated machine, and the stack that it takes. It is
 * linked in place of the model's test; model.c is compiled with -DMODEL_HOOK=count_op. The emulator runs with -icount,
 * so that its clock follows instructions. Prints lines "op calls ticks", of all ops; "loop instructions ticks", of a
 * loop of known length, to tell ticks from instructions; "stack bytes".
 */
#include <stdint.h>
#include <stdio.h>

#include "count.h"
#include "model.h"

#define OPS 4096
/* Instructions of the loop that is known, and what the stack is filled with before the run. */
#define LOOP 2000000
#define ROOM 16384
#define FILL 0xa5

#ifdef __riscv
/* Instructions that have ended. */
static uint32_t now(void) {
  uint32_t count;
  /* csrr count, minstret: assemblers of rv32imc may not know it by name. */
  __asm__ volatile(".insn i 0x73, 2, %0, x0, -1278" : "=r"(count));
  return count;
}

static void start_clock(void) {}
static uint32_t passed(uint32_t from, uint32_t to) { return to - from; }
#define TURN(i) __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(i))
#else
/* SysTick of Cortex-M: 24 bits, downwards. */
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010;
static uint32_t now(void) { return systick[2]; }

static void start_clock(void) {
  systick[1] = 0xffffff;
  systick[2] = 0;
  systick[0] = 5;
}

static uint32_t passed(uint32_t from, uint32_t to) { return (from - to) & 0xffffff; }
#define TURN(i) __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(i) : : "cc")
#endif

static uint64_t ticks[OPS];
static uint32_t calls[OPS], last;
static int running = -1;

/* Ends what ran, and begins the next; its own instructions are nobody's. */
void count_op(int op) {
  uint32_t at = now();
  if (running >= 0) ticks[running] += passed(last, at);
  running = op;
  if (op >= 0) calls[op]++;
  last = now();
}

static void known_loop(void) {
  start_clock();
  uint64_t sum = 0;
  /* In pieces: the clock may have no more bits. */
  for (int piece = 0; piece < 10; piece++) {
    uint32_t i = LOOP / 20, from = now();
    TURN(i);
    sum += passed(from, now());
  }
  printf("loop %d %lu\n", LOOP, (unsigned long)sum);
}

static uint8_t pixels[MODEL_PIXELS];
static int32_t out[MODEL_OUTPUTS];
static uint64_t arena[MODEL_ARENA_BYTES / 8 + 1];

__attribute__((noinline)) static void fill_stack(void) {
  volatile uint8_t room[ROOM];
  for (int i = 0; i < ROOM; i++) room[i] = FILL;
}

/* Bytes below its caller's frame that have been written to since. */
__attribute__((noinline)) static int used_stack(void) {
  volatile uint8_t room[ROOM];
  int i = 0;
  while (i < ROOM && room[i] == FILL) i++;
  return ROOM - i;
}

int main(void) {
  known_loop();
  uint32_t x = 0x9e3779b9u;
  for (uint32_t i = 0; i < MODEL_PIXELS; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    pixels[i] = (uint8_t)(x >> 24);
  }
  fill_stack();
  int status = model_run(pixels, out, arena);
  count_op(-1);
  int stack = used_stack();
  for (int op = 0; op < OPS; op++)
    if (calls[op]) printf("%d %lu %llu\n", op, (unsigned long)calls[op], (unsigned long long)ticks[op]);
  printf("stack %d\n", stack);
  return status;
}
