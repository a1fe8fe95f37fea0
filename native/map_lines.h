/* Lines of a feature map, as kernels that slide along them read them. */
#ifndef IVIT_MAP_LINES_H
#define IVIT_MAP_LINES_H

#include "ivit.h"

/* What lies outside of a map. */
static const int16_t no_pixel[64];

/* Pixels of a line: where the first one's channels lie, and how far the next. */
typedef struct {
  const int16_t *first;
  size_t stride;
} map_line;

/* Line `ky` of a kernel whose first is `top`; all 0 outside of the map, and below the kernel. */
static inline map_line find_line(const ivit_geometry *map, const int16_t *x, int32_t ky, int32_t top) {
  int32_t y = top + ky * map->dilation_h;
  if (ky >= map->kernel_h || y < 0 || y >= map->height) return (map_line){no_pixel, 0};
  return (map_line){x + (size_t)y * (size_t)map->width * (size_t)map->channels, (size_t)map->channels};
}

#endif
