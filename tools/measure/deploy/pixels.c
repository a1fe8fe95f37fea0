/* Lets the test of an exported model, compiled with -Dmain=run_test, read pixels.bin: emulators give no arguments. */
#undef main

int run_test(int, char **);

int main(void) {
  static char test[] = "test", pixels[] = "pixels.bin";
  static char *names[] = {test, pixels, 0};
  return run_test(2, names);
}
