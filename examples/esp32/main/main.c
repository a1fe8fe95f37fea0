/* Runs the model once on the pixels in pixels.bin, and prints its outputs. */
#include <inttypes.h>
#include <stdint.h>

#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "model.h"

static const char *const TAG = "model";

/* EMBED_FILES of CMakeLists.txt puts them into flash: u8 [height][width][channels]. */
extern const uint8_t pixels[] __asm__("_binary_pixels_bin_start");
extern const uint8_t pixels_end[] __asm__("_binary_pixels_bin_end");

static int32_t out[MODEL_OUTPUTS];

void app_main(void) {
  if (pixels_end - pixels < MODEL_PIXELS) {
    ESP_LOGE(TAG, "pixels.bin has %d bytes, and the model reads %d", (int)(pixels_end - pixels), MODEL_PIXELS);
    return;
  }
  void *arena = heap_caps_malloc(MODEL_ARENA_BYTES, MALLOC_CAP_8BIT);
  if (!arena) {
    ESP_LOGE(TAG, "no %d bytes of memory are free", MODEL_ARENA_BYTES);
    return;
  }
  const int64_t start = esp_timer_get_time();
  const int status = model_run(pixels, out, arena);
  ESP_LOGI(TAG, "status %d, %" PRId64 " ms", status, (esp_timer_get_time() - start) / 1000);
  for (int i = 0; i < MODEL_OUTPUTS; i++) ESP_LOGI(TAG, "%d: %" PRId32, i, out[i]);
  heap_caps_free(arena);
}
