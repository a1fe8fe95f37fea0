/* Blocks of rows, and of queries, for the threads to share out. */
#include "internal.h"

/*
 * Cuts the runs into blocks, multiples of the register tile but for a run's end. For several threads the blocks shrink
 * toward the end, so that all threads are done at about the same time.
 */
static void schedule_rows(heap *h, schedule *s, const stage *g, int32_t tile, int32_t threads) {
  int32_t left = 0, most = 0;
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t rows = g->runs[2 * i + 1] - g->runs[2 * i];
    left += rows;
    most += rows / tile + 1;
  }
  s->blocks = heap_allocate(h, (size_t)most * sizeof(block));
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t size = g->block_rows;
      if (threads > 1) size = ivit_min(size, left / (2 * threads) / tile * tile);
      size = ivit_min(ivit_max(size, tile), end - r);
      s->blocks[s->block_count++] = (block){.r0 = r, .r1 = r + size};
      r += size;
      left -= size;
    }
  }
}

/* Queries per item when several threads share an attention: enough items for an even share, in whole register tiles. */
static int32_t query_block(const ivit_attention *op, int32_t tile, int32_t threads) {
  if (threads == 1) return op->queries;
  int32_t items = op->batch * op->heads;
  int32_t parts = (8 * threads + items - 1) / items;
  return (int32_t)round_up((size_t)((op->queries + parts - 1) / parts), (size_t)tile);
}

static void schedule_attention(heap *h, schedule *s, const stage *g, const ivit_attention *op, int32_t tile,
                               int32_t threads) {
  int32_t size = query_block(op, tile, threads), most = 0;
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t rows = g->runs[2 * i + 1] - g->runs[2 * i];
    most += rows / size + rows / op->queries + 4;
  }
  s->blocks = heap_allocate(h, (size_t)most * (size_t)op->heads * sizeof(block));
  s->windows = heap_allocate(h, (size_t)op->batch * sizeof(int32_t));
  for (int32_t i = 0; i < g->run_count; i++) {
    int32_t r = g->runs[2 * i], end = g->runs[2 * i + 1];
    while (r < end) {
      int32_t window = r / op->queries, start = window * op->queries;
      int32_t stop = ivit_min(end, start + op->queries);
      if (s->window_count == 0 || s->windows[s->window_count - 1] != window) s->windows[s->window_count++] = window;
      for (int32_t head = 0; head < op->heads; head++) {
        for (int32_t q = r; q < stop; q += size) {
          block b = {.r0 = q - start, .r1 = ivit_min(q + size, stop) - start, .window = window, .head = head};
          s->blocks[s->block_count++] = b;
        }
      }
      r = stop;
    }
  }
}

void make_schedules(heap *h, ivit_context *context) {
  const ivit_program *program = context->program;
  context->schedules = heap_allocate(h, (size_t)program->stage_count * sizeof(schedule));
  for (int32_t i = 0; i < program->stage_count; i++) {
    const stage *g = &program->stages[i];
    schedule *s = &context->schedules[i];
    int32_t tile = program->isa->tile_rows;
    if (g->is_attention)
      schedule_attention(h, s, g, &program->steps[g->uses[0].step].as.attention, tile, context->threads);
    else
      schedule_rows(h, s, g, tile, context->threads);
  }
}
