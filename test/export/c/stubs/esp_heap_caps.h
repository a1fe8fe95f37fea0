#include <stdint.h>
#include <stddef.h>
#define MALLOC_CAP_8BIT (1 << 2)
void *heap_caps_malloc(size_t bytes, uint32_t caps);
void heap_caps_free(void *memory);
