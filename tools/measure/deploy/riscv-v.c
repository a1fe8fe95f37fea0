/* Turns vectors on before main, in machine mode. */
__attribute__((constructor)) static void turn_vectors_on(void) {
  /* csrs mstatus, VS: assemblers of rv32imc may not know it by name. */
  __asm__ volatile(".insn i 0x73, 2, x0, %0, 0x300" : : "r"(0x600));
}
