/* Starts the test of an exported model on an emulated Cortex-M, with newlib's semihosting. */
#include <stdint.h>
#include <stdlib.h>

/* pixels.c has it, where the test reads pixels. */
#undef main

extern uint32_t stack_top[], bss_begin[], bss_end[];
void initialise_monitor_handles(void);
void _init(void);
void _fini(void);
int main(int, char **);

void _init(void) {}
void _fini(void) {}

static void fault(void) { _Exit(9); }

static void reset(void) {
  static char test[] = "test";
  static char *names[] = {test, 0};
#ifdef __ARM_FEATURE_MVE
  /* CPACR: whoever runs may use Helium. */
  *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
  __asm__ volatile("dsb\n isb");
#endif
  for (volatile uint32_t *p = bss_begin; p < bss_end; p++) *p = 0;
  initialise_monitor_handles();
  exit(main(1, names));
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault};
