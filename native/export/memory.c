/*
 * What compilers call even where a program calls nothing: copying and filling of memory. Only for targets without a C
 * library; one that has it takes its own.
 */
#include <stddef.h>

#if defined(__GNUC__)
/* Or the compiler would see that these loops are what they are called, and call them. */
#define KEEP_LOOP(p) __asm__ volatile("" : "+r"(p) : : "memory")
#define WEAK __attribute__((weak))
#else
#define KEEP_LOOP(p) ((void)0)
#define WEAK
#endif

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

WEAK void *memcpy(void *to, const void *from, size_t bytes) {
  unsigned char *t = to;
  const unsigned char *f = from;
  for (; bytes > 0; bytes--) {
    *t++ = *f++;
    KEEP_LOOP(t);
  }
  return to;
}

WEAK void *memmove(void *to, const void *from, size_t bytes) {
  unsigned char *t = to;
  const unsigned char *f = from;
  if (t <= f) return memcpy(to, from, bytes);
  while (bytes > 0) {
    bytes--;
    t[bytes] = f[bytes];
    KEEP_LOOP(t);
  }
  return to;
}

WEAK void *memset(void *to, int value, size_t bytes) {
  unsigned char *t = to;
  for (; bytes > 0; bytes--) {
    *t++ = (unsigned char)value;
    KEEP_LOOP(t);
  }
  return to;
}

WEAK int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *x = a, *y = b;
  for (; bytes > 0; bytes--, x++, y++) {
    if (*x != *y) return *x - *y;
    KEEP_LOOP(x);
  }
  return 0;
}
