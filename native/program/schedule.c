/* Blocks of rows, and of queries, for the threads to share out. */
#include "internal.h"

/* Adds a block; only counts it where there is no memory for blocks yet. */
static void add_block(schedule *s, block b) {
  if (s->blocks) s->blocks[s->block_count] = b;
  s->block_count++;
}

/*
 * Cuts the runs into blocks, multiples of the register tile but for a run's end. For several threads the blocks shrink
 * toward the end, so that all threads are done at about the same time.
 */
static void cut_rows(schedule *s, const stage *g, int32_t tile, int32_t threads) {
  int32_t left = 0;
  for (int32_t i = 0; i < g->run_count; i++) left += g->runs[2 * i + 1] - g->runs[2 * i];
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t size = g->block_rows;
      if (threads > 1) size = ivit_min(size, left / threads / 2 / tile * tile);
      size = ivit_min(ivit_max(size, tile), end - r);
      add_block(s, (block){.r0 = r, .r1 = r + size});
      r += size;
      left -= size;
    }
  }
}

/* Queries per item when several threads share an attention: enough items for an even share, in whole register tiles. */
static int32_t query_block(const ivit_attention *op, int32_t tile, int32_t threads) {
  if (threads == 1) return op->queries;
  int64_t items = (int64_t)op->batch * op->heads;
  int64_t parts = (8 * (int64_t)threads + items - 1) / items;
  return (int32_t)round_up((size_t)((op->queries + parts - 1) / parts), (size_t)tile);
}

static void cut_queries(schedule *s, const stage *g, const ivit_attention *op, int32_t size) {
  int32_t last = -1;
  s->window_count = 0;
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t window = r / op->queries, start = window * op->queries;
      int32_t stop = ivit_min(end, start + op->queries);
      if (last != window) {
        if (s->windows) s->windows[s->window_count] = window;
        s->window_count++;
        last = window;
      }
      for (int32_t head = 0; head < op->heads; head++) {
        for (int32_t q = r; q < stop; q += size) {
          int32_t last_query = ivit_min(q + size, stop);
          add_block(s, (block){.r0 = q - start, .r1 = last_query - start, .window = window, .head = head});
        }
      }
      r = stop;
    }
  }
}

/* Cuts twice: to count, and again into memory for as many. */
static void make_schedule(ivit_context *context, const stage *g, schedule *s) {
  const ivit_program *program = context->program;
  const ivit_attention *op = &program->steps[g->uses[0].step].as.attention;
  int32_t tile = program->isa->tile_rows, threads = context->threads;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) {
      s->blocks = heap_array(&context->heap, (size_t)s->block_count, sizeof(block));
      s->windows = heap_array(&context->heap, (size_t)s->window_count, sizeof(int32_t));
      s->block_count = 0;
    }
    if (g->is_attention)
      cut_queries(s, g, op, query_block(op, tile, threads));
    else
      cut_rows(s, g, tile, threads);
  }
}

void make_schedules(ivit_context *context) {
  const ivit_program *program = context->program;
  context->schedules = heap_array(&context->heap, (size_t)program->stage_count, sizeof(schedule));
  for (int32_t i = 0; i < program->stage_count; i++) {
    const stage *g = &program->stages[i];
    schedule *s = &context->schedules[i];
    make_schedule(context, g, s);
    if (program->steps[g->uses[0].step].kind == IVIT_STEP_GROUP_NORM)
      s->sums = heap_array(&context->heap, (size_t)program->most_groups, sizeof(shared_sums));
  }
}
