/* Stands in for ESP-IDF: what examples/esp32 calls, and what calls it. */
#include <stdlib.h>

#include "esp_heap_caps.h"
#include "esp_timer.h"

void app_main(void);

int64_t esp_timer_get_time(void) { return 0; }

void *heap_caps_malloc(size_t bytes, uint32_t caps) { return caps == MALLOC_CAP_8BIT ? malloc(bytes) : NULL; }

void heap_caps_free(void *memory) { free(memory); }

int main(void) {
  app_main();
  return 0;
}
