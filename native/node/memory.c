/* What program.h wants of its host, for native code. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../program/program.h"

void *ivit_allocate(size_t bytes) {
  void *memory;
  size_t size = bytes + IVIT_SLACK;
  if (posix_memalign(&memory, IVIT_ALIGN, size) != 0) {
    fprintf(stderr, "ivit: out of memory\n"); /* as Node.js does when its own heap is full */
    abort();
  }
  memset(memory, 0, size);
  return memory;
}

void ivit_release(void *memory) { free(memory); }

void ivit_yield(void) { sched_yield(); }

int64_t ivit_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
