/* Memory of a program or a context, freed together. */
#include "internal.h"

void *heap_allocate(heap *h, size_t bytes) {
  if (bytes > SIZE_MAX - 4 * IVIT_ALIGN || bytes > h->left) ivit_out_of_memory();
  chunk *c = ivit_allocate(IVIT_ALIGN + bytes);
  if (!c) ivit_out_of_memory();
  h->left -= bytes;
  c->next = h->first;
  h->first = c;
  return (uint8_t *)c + IVIT_ALIGN;
}

void *heap_array(heap *h, size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / 2 / size) ivit_out_of_memory();
  return heap_allocate(h, count * size);
}

void heap_free(heap *h) {
  while (h->first) {
    chunk *c = h->first;
    h->first = c->next;
    ivit_release(c);
  }
}
