#include "ivit.h"

static int always(void) { return 1; }

static const struct {
  const ivit_isa *isa;
  int (*supported)(void);
} tables[] = {
    {&ivit_isa_portable, always},
};

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

const ivit_isa *ivit_find_isa(const char *name) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    if (name && !same(name, tables[i].isa->name)) continue;
    if (tables[i].supported()) return tables[i].isa;
  }
  return NULL;
}
