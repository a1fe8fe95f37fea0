/* What program.h wants of its host, for native code. */
#ifdef __linux__
#define _GNU_SOURCE /* for syscall */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "memory.h"

#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../program/program.h"

static _Thread_local jmp_buf *on_failure;

bool ivit_try(void (*action)(void *), void *argument) {
  jmp_buf here;
  jmp_buf *const outer = on_failure;
  bool done = false;
  if (setjmp(here) == 0) {
    on_failure = &here;
    action(argument);
    done = true;
  }
  on_failure = outer;
  return done;
}

_Noreturn void ivit_out_of_memory(void) {
  if (on_failure) longjmp(*on_failure, 1);
  fprintf(stderr, "ivit: out of memory\n"); /* nothing allocates elsewhere */
  abort();
}

void *ivit_allocate(size_t bytes) {
  void *memory;
  size_t size = bytes + IVIT_SLACK;
  if (posix_memalign(&memory, IVIT_ALIGN, size) != 0) return NULL;
  memset(memory, 0, size);
  return memory;
}

void ivit_release(void *memory) { free(memory); }

void ivit_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

#ifdef __linux__
void ivit_wait(atomic_int *number, int seen) { syscall(SYS_futex, number, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0); }
void ivit_wake(atomic_int *number) { syscall(SYS_futex, number, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }
#else
void ivit_wait(atomic_int *number, int seen) {
  (void)number, (void)seen;
  sched_yield();
}
void ivit_wake(atomic_int *number) { (void)number; }
#endif

int64_t ivit_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
