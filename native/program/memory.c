/* Memory of a program or a context, freed together. */
#include "internal.h"

void *heap_allocate(heap *h, size_t bytes) {
  chunk *c = ivit_allocate(IVIT_ALIGN + bytes);
  c->next = h->first;
  h->first = c;
  return (uint8_t *)c + IVIT_ALIGN;
}

void heap_free(heap *h) {
  while (h->first) {
    chunk *c = h->first;
    h->first = c->next;
    ivit_release(c);
  }
}
