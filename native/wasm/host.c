/* What program.h wants of its host, for a WebAssembly instance with one program: memory only grows. */
#include "../program/program.h"

extern uint8_t __heap_base;

static uintptr_t top;

#define PAGE 65536

void *ivit_allocate(size_t bytes) {
  if (top == 0) top = ((uintptr_t)&__heap_base + IVIT_ALIGN - 1) & ~(uintptr_t)(IVIT_ALIGN - 1);
  uintptr_t start = top, room = UINTPTR_MAX - start - IVIT_SLACK - IVIT_ALIGN;
  if (bytes > room) return NULL;
  top = (start + bytes + IVIT_SLACK + IVIT_ALIGN - 1) & ~(uintptr_t)(IVIT_ALIGN - 1);
  uintptr_t have = __builtin_wasm_memory_size(0) * PAGE;
  if (top > have && __builtin_wasm_memory_grow(0, (top - have + PAGE - 1) / PAGE) == (size_t)-1) return NULL;
  return (void *)start; /* fresh pages are zero, and nothing is handed out twice */
}

_Noreturn void ivit_out_of_memory(void) { __builtin_trap(); }

void ivit_release(void *memory) { (void)memory; }

void ivit_relax(void) {}
void ivit_wait(atomic_int *number, int seen) { (void)number, (void)seen; }
void ivit_wake(atomic_int *number) { (void)number; }

/* The embedder's clock. */
__attribute__((import_module("host"), import_name("clock"))) int64_t host_clock(void);

int64_t ivit_clock(void) { return host_clock(); }

/* For the plan: the tile that row blocks and column ranges follow. */
int32_t ivit_tile_rows(void) { return ivit_find_isa(NULL)->tile_rows; }
int32_t ivit_tile_cols(void) { return ivit_find_isa(NULL)->tile_cols; }
const char *ivit_isa_name(void) { return ivit_find_isa(NULL)->name; }
const ivit_isa *ivit_default_isa(void) { return ivit_find_isa(NULL); }
