/*
 * Runs a model, and prints its outputs over the serial port. Beside this file:
 *
 *   ivit export model.ivit --to c --name model -o src
 *
 * Large models want a board with external memory: allocate the arena there.
 */
#include "src/model.h"

static uint8_t pixels[MODEL_PIXELS];
static int32_t out[MODEL_OUTPUTS];
static uint64_t arena[MODEL_ARENA_BYTES / 8 + 1];

/* Of a camera in real use: u8 [height][width][channels]. Here a slope of grey. */
static void takePicture() {
  for (uint32_t i = 0; i < MODEL_PIXELS; i++) pixels[i] = (uint8_t)(i * 256ull / MODEL_PIXELS);
}

void setup() { Serial.begin(115200); }

void loop() {
  takePicture();
  const unsigned long start = millis();
  const int status = model_run(pixels, out, arena);
  Serial.print("status ");
  Serial.print(status);
  Serial.print(", ms ");
  Serial.println(millis() - start);
  for (int i = 0; i < MODEL_OUTPUTS; i++) Serial.println(out[i]);
  delay(1000);
}
