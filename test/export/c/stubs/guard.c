/*
 * Runs an exported program, and looks after each op which bytes of the arena it has changed: guard.h lists, of each op,
 * spans that are its own. Prints "op N byte B" where another byte was changed, and "scratch N B", of each op the bytes
 * of its scratch memory that it took.
 */
#include "guard.h"

#include <stdio.h>
#include <string.h>

#include "model.h"

#define FILL 0xa5

static uint64_t arena[MODEL_ARENA_BYTES / 8 + 1];
static uint8_t before[sizeof arena], pixels[MODEL_PIXELS];
static int32_t out[MODEL_OUTPUTS];
static int running = -1, taken[OPS];

static int is_own(uint32_t at) {
  for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
    if (own[i].op == running && at >= own[i].at && at < own[i].at + own[i].bytes) return 1;
  return 0;
}

static void check(void) {
  const uint8_t *now = (const uint8_t *)arena;
  const struct span *scratch = scratches + running;
  for (uint32_t at = 0; at < sizeof arena; at++) {
    if (now[at] == before[at]) continue;
    if (at >= scratch->at && at < scratch->at + scratch->bytes) {
      int bytes = (int)(at - scratch->at) + 1;
      if (bytes > taken[running]) taken[running] = bytes;
    } else if (!is_own(at))
      printf("op %d byte %u\n", running, (unsigned)at);
  }
}

void guard_op(int op) {
  if (running >= 0) check();
  running = op;
  if (op < 0) return;
  /* What is in scratch memory means nothing; the pattern shows what is written. */
  memset((uint8_t *)arena + scratches[op].at, FILL, scratches[op].bytes);
  memcpy(before, arena, sizeof arena);
}

int main(void) {
  uint32_t x = 0x9e3779b9u;
  for (uint32_t i = 0; i < MODEL_PIXELS; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    pixels[i] = (uint8_t)(x >> 24);
  }
  int status = model_run(pixels, out, arena);
  guard_op(-1);
  for (int op = 0; op < OPS; op++)
    if (taken[op]) printf("scratch %d %d\n", op, taken[op]);
  return status;
}
