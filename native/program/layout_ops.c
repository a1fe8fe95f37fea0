/* The ops that move, or add up, whole rows: src/kernels/patches.ts, gather.ts, and the mean of rows. */
#include "internal.h"

void run_patches(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const patches *p = &s->as.patches;
  const uint8_t *image = row_data(w, s->in[0], 0);
  uint8_t *out = row_data(w, s->out, s0);
  for (int32_t row = s0; row < s1; row++) {
    int32_t top = row / p->out_w * p->stride_h - p->pad_top;
    int32_t left = row % p->out_w * p->stride_w - p->pad_left;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
      int32_t y = top + ky * p->dilation_h;
      for (int32_t kx = 0; kx < p->kernel_w; kx++, out += p->channels) {
        int32_t x = left + kx * p->dilation_w;
        int inside = y >= 0 && y < p->height && x >= 0 && x < p->width;
        if (inside && p->dilation_w == 1 && left >= 0 && left + p->kernel_w <= p->width) {
          size_t bytes = (size_t)(p->kernel_w - kx) * (size_t)p->channels;
          copy_bytes(out, image + ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels, bytes);
          out += bytes;
          break;
        }
        const uint8_t *pixel = image + ((ptrdiff_t)y * p->width + x) * p->channels;
        for (int32_t c = 0; c < p->channels; c++) out[c] = inside ? pixel[c] : 0;
      }
    }
  }
}

static void fill_elements(void *out, int32_t fill, size_t count, ivit_type type) {
  for (size_t i = 0; i < count; i++) {
    if (type == IVIT_I32)
      ((int32_t *)out)[i] = fill;
    else if (type == IVIT_I16)
      ((int16_t *)out)[i] = (int16_t)fill;
    else
      ((uint8_t *)out)[i] = (uint8_t)fill;
  }
}

/* The source that holds element `*at` of the sources laid end to end; `*at` becomes its place there. */
static int32_t find_source(const ivit_program *program, const gather *g, size_t *at) {
  int32_t i = 0;
  for (; i < g->source_count - 1; i++) {
    const value *d = &program->values[g->sources[i]];
    size_t count = (size_t)d->rows * (size_t)d->cols;
    if (*at < count) break;
    *at -= count;
  }
  return g->sources[i];
}

void run_gather(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const ivit_program *program = w->context->program;
  const gather *g = &s->as.gather;
  ivit_type type = program->values[s->out].type;
  size_t piece = (size_t)g->piece;
  size_t at = (size_t)s0 * (size_t)s->cols, end = (size_t)s1 * (size_t)s->cols;
  uint8_t *out = row_data(w, s->out, s0);
  int32_t *scale = row_scale(w, s->out, s0);
  while (at < end) {
    size_t within = at % piece;
    size_t count = piece - within < end - at ? piece - within : end - at;
    int32_t from = g->index[at / piece];
    if (from < 0) {
      fill_elements(out, g->fill, count, type);
      if (scale) *scale++ = 1;
    } else {
      size_t position = (size_t)from * piece + within;
      int32_t source = find_source(program, g, &position);
      copy_bytes(out, element_data(w, source, position), count * size_of(type));
      if (scale) *scale++ = *row_scale(w, source, (int32_t)(position / (size_t)s->cols));
    }
    out += count * size_of(type);
    at += count;
  }
}

void run_mean_rows(const worker *w, const step *s, int32_t s0, int32_t s1) {
  const mean_rows *m = &s->as.mean_rows;
  int32_t *wide = (int32_t *)w->scratch;
  for (int32_t row = s0; row < s1; row++) {
    const int32_t *x = element_data(w, s->in[0], (size_t)row * (size_t)m->group * (size_t)s->cols);
    void *out = row_data(w, s->out, row);
    for (int32_t n = 0; n < s->cols; n++) {
      int64_t sum = 0;
      for (int32_t i = 0; i < m->group; i++) sum += x[(size_t)i * (size_t)s->cols + (size_t)n];
      int32_t r = ivit_requantize(&m->out, sum, n);
      if (m->out.type == IVIT_ROWS)
        wide[n] = r;
      else
        ivit_store(&m->out, out, (size_t)n, r);
    }
    if (m->out.type == IVIT_ROWS) {
      w->context->program->isa->quantize_rows(1, s->cols, wide, out, row_scale(w, s->out, row));
    }
  }
}
