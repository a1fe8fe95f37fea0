/*
 * A whole program: steps (ops as src/engine/plan lowered them) in stages, run block of rows by block of rows.
 *
 * A stage's steps are local to rows: a block of rows goes through all of them before the next block begins, so what
 * lies between them stays in cache, and threads share out the blocks. An attention is a stage by itself.
 *
 * Values lie in a context's arena, at the offsets that the plan gave them; those that only live within a stage lie in
 * the running thread's local memory, and begin with the block's first row.
 */
#ifndef IVIT_PROGRAM_H
#define IVIT_PROGRAM_H

#include <stdatomic.h>

#include "../ivit.h"

typedef struct ivit_program ivit_program;
typedef struct ivit_context ivit_context;

/*
 * The words of a plan are those of generated.h; src/engine/encode.ts writes them. After the layout's own words come its
 * values, then the stages: attention?, block rows, count of runs, runs (first row, end), count of steps, steps (step,
 * first column, end column, count of runs, runs).
 */
ivit_program *ivit_program_create(const ivit_isa *isa, const int32_t *words);
/* Adds step `index`. The constants are copied or packed: they may go when this returns. */
void ivit_program_step(ivit_program *program, int32_t index, const int32_t *words, const void *const *constants);
/* After all steps. */
void ivit_program_layout(ivit_program *program, const int32_t *words);
void ivit_program_free(ivit_program *program);

/* Memory to run a program on one image at a time, by `threads` threads. */
ivit_context *ivit_context_create(const ivit_program *program, int32_t threads);
/* The same in two parts: what the first gives can be freed where the second gives up. */
ivit_context *ivit_context_begin_create(const ivit_program *program, int32_t threads);
void ivit_context_finish_create(ivit_context *context);
void ivit_context_free(ivit_context *context);
/* Where a value of the arena lies, and the scales of its rows. */
void *ivit_context_data(const ivit_context *context, int32_t value);
int32_t *ivit_context_scale(const ivit_context *context, int32_t value);
/* Before each image, by one thread. */
void ivit_context_begin(ivit_context *context);
/*
 * The share of one thread, 0 to threads - 1; those that do not call it leave their share to the others. Returns when
 * the image is done.
 */
void ivit_context_run(ivit_context *context, int32_t thread);
/* Where the next runs add the nanoseconds of each step, [threads][steps]; NULL: nowhere. */
void ivit_context_profile(ivit_context *context, int64_t *times);

/* The host's: zeroed memory on IVIT_ALIGN bytes, with IVIT_SLACK bytes after it; NULL if there is none. */
void *ivit_allocate(size_t bytes);
/* The host's: gives up creating the program or context at hand. */
_Noreturn void ivit_out_of_memory(void);
void ivit_release(void *memory);
/* The host's: for a moment of waiting awake. */
void ivit_relax(void);
/* The host's: sleeps until ivit_wake is called, unless the number is another than `seen`; it may return earlier. */
void ivit_wait(atomic_int *number, int seen);
void ivit_wake(atomic_int *number);
/* The host's: nanoseconds since some moment. */
int64_t ivit_clock(void);

#endif
