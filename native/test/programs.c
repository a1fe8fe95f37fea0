/*
 * Runs whole programs that tools/fuzz/program-files.ts wrote, on the instruction set each is planned for, and compares
 * what they give with the reference. programs.mjs builds and runs it, with sanitizers where asked.
 *
 *   programs <threads> <file>...
 *
 * A file is a list of blobs: 32 bits of length, then the bytes, padded to 4; length -1: none. Name of the instruction
 * set; header; count of steps, and for each its words, count of constants, constants; layout; [input, output]; count of
 * images, and for each its pixels and outputs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../program/program.h"

typedef struct {
  const uint8_t *at;
} reader;

/* Fresh memory of just that size, so that a read beyond it is seen. */
static void *next_blob(reader *r, size_t *bytes) {
  int32_t length;
  memcpy(&length, r->at, sizeof length);
  r->at += sizeof length;
  *bytes = length < 0 ? 0 : (size_t)length;
  if (length < 0) return NULL;
  void *copy = malloc(*bytes > 0 ? *bytes : 1);
  if (!copy) abort();
  memcpy(copy, r->at, *bytes);
  r->at += (*bytes + 3) / 4 * 4;
  return copy;
}

static int32_t next_number(reader *r) {
  size_t bytes;
  int32_t *copy = next_blob(r, &bytes), number = copy[0];
  free(copy);
  return number;
}

/* The words of the reader's next blob; nothing is read where there are no constants. */
static void load_step(ivit_program *program, int32_t index, reader *r) {
  size_t bytes;
  int32_t *words = next_blob(r, &bytes), count = next_number(r);
  void **constants = calloc((size_t)count + 1, sizeof *constants);
  if (!constants) abort();
  for (int32_t i = 0; i < count; i++) constants[i] = next_blob(r, &bytes);
  ivit_program_step(program, index, words, (const void *const *)constants);
  for (int32_t i = 0; i < count; i++) free(constants[i]);
  free(constants);
  free(words);
}

typedef struct {
  ivit_context *context;
  int32_t thread;
} share;
static void *run_share(void *argument) {
  const share *s = argument;
  ivit_context_run(s->context, s->thread);
  return NULL;
}

enum { MOST_THREADS = 8 };

static void run(ivit_context *context, int32_t threads) {
  pthread_t others[MOST_THREADS];
  share shares[MOST_THREADS];
  ivit_context_begin(context);
  for (int32_t t = 0; t < threads; t++) shares[t] = (share){context, t};
  for (int32_t t = 1; t < threads; t++) {
    if (pthread_create(&others[t], NULL, run_share, &shares[t]) != 0) abort();
  }
  run_share(&shares[0]);
  for (int32_t t = 1; t < threads; t++) pthread_join(others[t], NULL);
}

/* Returns how many images differ; -1: the machine lacks the instruction set. */
static int run_program(const uint8_t *file, int32_t threads) {
  reader r = {file};
  size_t bytes;
  char *name = next_blob(&r, &bytes);
  const ivit_isa *isa = ivit_find_isa(name);
  free(name);
  if (!isa) return -1;
  int32_t *words = next_blob(&r, &bytes);
  ivit_program *program = ivit_program_create(isa, words);
  free(words);
  int32_t steps = next_number(&r);
  for (int32_t i = 0; i < steps; i++) load_step(program, i, &r);
  words = next_blob(&r, &bytes);
  ivit_program_layout(program, words);
  free(words);
  ivit_context *context = ivit_context_create(program, threads);
  int32_t input = next_number(&r), output = next_number(&r), images = next_number(&r), different = 0;
  for (int32_t i = 0; i < images; i++) {
    size_t size;
    uint8_t *pixels = next_blob(&r, &size);
    memcpy(ivit_context_data(context, input), pixels, size);
    free(pixels);
    int32_t *expected = next_blob(&r, &size);
    run(context, threads);
    different += memcmp(ivit_context_data(context, output), expected, size) != 0;
    free(expected);
  }
  ivit_context_free(context);
  ivit_program_free(program);
  return different;
}

static uint8_t *read_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END) != 0) abort();
  long size = ftell(f);
  uint8_t *bytes = malloc((size_t)size);
  rewind(f);
  if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size) abort();
  fclose(f);
  return bytes;
}

int main(int argc, char **argv) {
  int32_t threads = argc > 1 ? atoi(argv[1]) : 0;
  if (threads < 1 || threads > MOST_THREADS) return 2;
  int programs = 0, skipped = 0, failures = 0;
  for (int i = 2; i < argc; i++) {
    uint8_t *file = read_file(argv[i]);
    int different = run_program(file, threads);
    free(file);
    if (different < 0)
      skipped++;
    else
      programs++;
    if (different > 0) {
      printf("%s: %d images differ\n", argv[i], different);
      failures++;
    }
  }
  printf("%d programs on %d threads, %d differences, %d for instruction sets that are not here\n", programs, threads,
         failures, skipped);
  return failures > 0;
}
