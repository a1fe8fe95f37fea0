// Stands in for Arduino: a serial port, a clock, and what calls the sketch.
#include <stdint.h>
#include <stdio.h>

static struct {
  void begin(long) {}
  void print(const char *text) { printf("%s", text); }
  void print(long number) { printf("%ld", number); }
  void println(long number) { printf("%ld\n", number); }
} Serial;

static unsigned long millis() { return 0; }
static void delay(unsigned long) {}

#include "model.ino"

int main() {
  setup();
  loop();
}
