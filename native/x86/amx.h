/* The tile registers of AMX: 8 of up to 16 rows of 64 bytes, and the shapes that a thread gives them. */
#ifndef IVIT_AMX_H
#define IVIT_AMX_H

#include "../ivit.h"

/* The most rows of a tile, bytes of a row, and 32-bit sums of a row. */
enum { AMX_ROWS = 16, AMX_BYTES = 64, AMX_SUMS = 16 };

/* What ldtilecfg reads, palette 1. */
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/*
 * Shapes the tiles of this thread, and zeroes them; to be followed by release_tiles, so that the system need not save
 * them for a thread that does not use them. Tiles 0 to 3 are sums, of `upper` rows (0, 1) and `lower` rows (2, 3), 4
 * and 5 their inputs, 6 and 7 weights. Where `lower` is 0, tiles 2, 3 and 5 may not be used.
 */
static inline void shape_tiles(int32_t upper, int32_t lower) {
  tile_shapes s = {.palette = 1};
  const int32_t rows[8] = {upper, upper, lower, lower, upper, lower, AMX_ROWS, AMX_ROWS};
  for (int i = 0; i < 8; i++) {
    s.rows[i] = (uint8_t)rows[i];
    s.row_bytes[i] = rows[i] > 0 ? AMX_BYTES : 0;
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(s) : "memory");
}

static inline void release_tiles(void) { __asm__ volatile("tilerelease" : : : "memory"); }

/* t: the tile's number, as text. `stride`: bytes from row to row; 0 repeats one row. */
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" t : : : "memory")
#define TILE_LOAD(t, from, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" t : : "r"(from), "r"((size_t)(stride)))
#define TILE_STORE(t, to, stride) \
  __asm__ volatile("tilestored %%tmm" t ", (%0,%1,1)" : : "r"(to), "r"((size_t)(stride)) : "memory")
/* Adds products of unsigned codes (tile a) and signed weights (tile b, as linear_packing.h lays them out) to `sums`. */
#define TILE_DOT(sums, a, b) __asm__ volatile("tdpbusd %%tmm" b ", %%tmm" a ", %%tmm" sums : :)

/* amx_linear.c */
size_t ivit_amx_linear_pack_size(const ivit_linear *op);
void ivit_amx_linear_pack(const ivit_linear *op, void *packed);
size_t ivit_amx_linear_scratch(const ivit_linear *op);
void ivit_amx_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                     const int32_t *residual, void *out, void *scratch);
int64_t ivit_amx_multiply_in_registers(int32_t rounds);

#endif
