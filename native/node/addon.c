/*
 * The Node-API add-on: programs on native memory, run by a pool of threads: on one image together, or on several images
 * side by side. src/engine/native.ts is its only caller and passes arrays of the right types; only what a mistake there
 * could turn into a wild pointer is checked here.
 */
#include <node_api.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "memory.h"
#include "pool.h"
#include "../program/program.h"

#define MAX_CONSTANTS 8
#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct {
  ivit_program *program;
  ivit_pool *pool;
  int32_t threads, value_count, step_count;
  ivit_context *together; /* all threads on one image */
  ivit_context **apart;   /* [threads], one thread on each image; made when first needed */
  int32_t apart_count;
} handle;

static void free_apart(handle *h) {
  for (int32_t t = 0; h->apart && t < h->threads; t++) {
    if (h->apart[t]) ivit_context_free(h->apart[t]);
  }
  free(h->apart);
  h->apart = NULL;
  h->apart_count = 0;
}

static void handle_close(handle *h) {
  if (h->pool) ivit_pool_free(h->pool);
  if (h->together) ivit_context_free(h->together);
  free_apart(h);
  if (h->program) ivit_program_free(h->program);
  memset(h, 0, sizeof *h);
}

static void handle_finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  handle_close(data);
  free(data);
}

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

/* --- reading arguments --- */

typedef struct {
  void *data;
  size_t bytes;
} bytes;

/* A typed array's memory; empty for anything else. */
static bytes get_bytes(napi_env env, napi_value value) {
  bool is_array = false;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return (bytes){NULL, 0};
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL);
  size_t size = 1;
  if (type == napi_int16_array) size = 2;
  if (type == napi_int32_array) size = 4;
  if (type == napi_bigint64_array) size = 8;
  return (bytes){data, length * size};
}

static uint32_t get_length(napi_env env, napi_value array) {
  uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  return length;
}

static napi_value get_element(napi_env env, napi_value array, uint32_t i) {
  napi_value element = NULL;
  napi_get_element(env, array, i, &element);
  return element;
}

static int32_t get_int(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

static handle *get_handle(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok) return NULL;
  handle *h = data;
  return h->program ? h : NULL;
}

static size_t arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  napi_get_cb_info(env, info, &given, values, NULL, NULL);
  return given;
}

/* --- instruction sets --- */

/* Half of the level 2 cache where that is more than blocks have otherwise (0: as many bytes as otherwise). */
static int32_t bytes_of_blocks(const ivit_isa *isa) {
  if (isa->block_bytes) return isa->block_bytes;
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long half = sysconf(_SC_LEVEL2_CACHE_SIZE) / 2;
  if (half > 1 << 19) return half < 1 << 22 ? (int32_t)half : 1 << 22;
#endif
  return 0;
}

/*
 * describe(name | null) -> [name, tile rows, tile columns, block bytes], or null where this machine has no such
 * instruction set.
 */
static napi_value describe(napi_env env, napi_callback_info info) {
  napi_value arg = NULL, result;
  arguments(env, info, 1, &arg);
  char name[32];
  size_t length = 0;
  bool given = arg && napi_get_value_string_utf8(env, arg, name, sizeof name, &length) == napi_ok;
  const ivit_isa *isa = ivit_find_isa(given ? name : NULL);
  if (!isa) {
    napi_get_null(env, &result);
    return result;
  }
  napi_value parts[4];
  napi_create_string_utf8(env, isa->name, NAPI_AUTO_LENGTH, &parts[0]);
  napi_create_int32(env, isa->tile_rows, &parts[1]);
  napi_create_int32(env, isa->tile_cols, &parts[2]);
  napi_create_int32(env, bytes_of_blocks(isa), &parts[3]);
  napi_create_array_with_length(env, 4, &result);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, result, i, parts[i]);
  return result;
}

/* isas() -> the names of the instruction sets that this machine can run, best first. */
static napi_value isas(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result, name;
  napi_create_array(env, &result);
  const ivit_isa *isa;
  for (uint32_t i = 0; (isa = ivit_supported_isa(i)); i++) {
    napi_create_string_utf8(env, isa->name, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, result, i, name);
  }
  return result;
}

/* --- loading --- */

/* What is made of arguments; each part may give up for want of memory. */
typedef struct {
  handle *handle;
  const ivit_isa *isa;
  const void *header, *layout;
  int32_t step;
  const int32_t *words;
  const void *constants[MAX_CONSTANTS];
} parts;

static void create_program(void *argument) {
  parts *p = argument;
  p->handle->program = ivit_program_create(p->isa, p->header);
}

static void add_step(void *argument) {
  parts *p = argument;
  ivit_program_step(p->handle->program, p->step, p->words, p->constants);
}

static void finish_program(void *argument) {
  parts *p = argument;
  handle *h = p->handle;
  ivit_program_layout(h->program, p->layout);
  h->together = ivit_context_begin_create(h->program, h->threads);
  ivit_context_finish_create(h->together);
}

/* [[words, [constant | null, ...]], ...]. Returns false for want of memory. */
static bool add_steps(napi_env env, napi_value steps, parts *p) {
  uint32_t count = get_length(env, steps);
  bool done = true;
  for (uint32_t i = 0; i < count && done; i++) {
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_value step = get_element(env, steps, i), list = get_element(env, step, 1);
    uint32_t constants = get_length(env, list);
    for (uint32_t c = 0; c < MAX_CONSTANTS; c++) {
      p->constants[c] = c < constants ? get_bytes(env, get_element(env, list, c)).data : NULL;
    }
    p->step = (int32_t)i;
    p->words = get_bytes(env, get_element(env, step, 0)).data;
    done = ivit_try(add_step, p);
    napi_close_handle_scope(env, scope);
  }
  return done;
}

/* create(isa, header, steps, layout, threads) -> handle */
static napi_value create(napi_env env, napi_callback_info info) {
  napi_value args[5];
  if (arguments(env, info, 5, args) < 5) return fail(env, "create takes 5 arguments");
  char name[32];
  size_t length = 0;
  napi_get_value_string_utf8(env, args[0], name, sizeof name, &length);
  const ivit_isa *isa = ivit_find_isa(name);
  if (!isa) return fail(env, "This machine lacks the instruction set");
  bytes header = get_bytes(env, args[1]), layout = get_bytes(env, args[3]);
  if (header.bytes != IVIT_HEADER_WORDS * sizeof(int32_t) || layout.bytes == 0) return fail(env, "Not a plan");

  handle *h = calloc(1, sizeof *h);
  if (!h) return fail(env, "Out of memory");
  h->threads = get_int(env, args[4]);
  h->value_count = ((const int32_t *)header.data)[IVIT_HEADER_VALUES];
  h->step_count = ((const int32_t *)header.data)[IVIT_HEADER_STEPS];
  parts p = {.handle = h, .isa = isa, .header = header.data, .layout = layout.data};
  const char *failure = NULL;
  if (!ivit_try(create_program, &p) || !add_steps(env, args[2], &p) || !ivit_try(finish_program, &p)) {
    failure = "Out of memory";
  } else if (!(h->pool = ivit_pool_create(h->threads))) {
    failure = "Cannot start the threads";
  }
  napi_value result;
  if (!failure && napi_create_external(env, h, handle_finalize, NULL, &result) == napi_ok) return result;
  handle_close(h);
  free(h);
  return fail(env, failure ? failure : "Out of memory");
}

/* close(handle): frees the memory now. No run may be under way. */
static napi_value close_handle(napi_env env, napi_callback_info info) {
  napi_value arg;
  if (arguments(env, info, 1, &arg) == 1) {
    handle *h = get_handle(env, arg);
    if (h) handle_close(h);
  }
  return NULL;
}

/* --- running --- */

static void run_together(void *argument, int thread) { ivit_context_run(((handle *)argument)->together, thread); }

static void run_one(handle *h) {
  ivit_context_begin(h->together);
  ivit_pool_run(h->pool, run_together, h);
}

/*
 * run(handle, [data, scale | null, data, scale | null, ...], output value, output data, output scale | null): one run
 * on the calling thread and the pool. Inputs are values 0, 1, ...
 */
static napi_value run(napi_env env, napi_callback_info info) {
  napi_value args[5];
  if (arguments(env, info, 5, args) < 5) return fail(env, "run takes 5 arguments");
  handle *h = get_handle(env, args[0]);
  if (!h) return fail(env, "The program was closed");
  uint32_t inputs = get_length(env, args[1]) / 2;
  for (uint32_t i = 0; i < inputs; i++) {
    bytes data = get_bytes(env, get_element(env, args[1], 2 * i));
    bytes scale = get_bytes(env, get_element(env, args[1], 2 * i + 1));
    memcpy(ivit_context_data(h->together, (int32_t)i), data.data, data.bytes);
    if (scale.data) memcpy(ivit_context_scale(h->together, (int32_t)i), scale.data, scale.bytes);
  }
  run_one(h);
  int32_t output = get_int(env, args[2]);
  bytes data = get_bytes(env, args[3]), scale = get_bytes(env, args[4]);
  memcpy(data.data, ivit_context_data(h->together, output), data.bytes);
  if (scale.data) memcpy(scale.data, ivit_context_scale(h->together, output), scale.bytes);
  return NULL;
}

/*
 * profile(handle, image, times): one run on the calling thread and the pool; adds the nanoseconds that each thread
 * spends in each step to `times`, a BigInt64Array [threads][steps].
 */
static napi_value profile(napi_env env, napi_callback_info info) {
  napi_value args[3];
  if (arguments(env, info, 3, args) < 3) return fail(env, "profile takes 3 arguments");
  handle *h = get_handle(env, args[0]);
  if (!h) return fail(env, "The program was closed");
  bytes image = get_bytes(env, args[1]), times = get_bytes(env, args[2]);
  if (times.bytes != (size_t)h->threads * (size_t)h->step_count * sizeof(int64_t)) return fail(env, "Not a profile");
  memcpy(ivit_context_data(h->together, 0), image.data, image.bytes);
  ivit_context_profile(h->together, times.data);
  run_one(h);
  ivit_context_profile(h->together, NULL);
  return NULL;
}

/*
 * measurePeak(isa, rounds) -> [multiply-adds, nanoseconds] of one thread that only multiplies registers; null where the
 * instruction set has no such measure.
 */
static napi_value measure_peak(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  if (arguments(env, info, 2, args) < 2) return fail(env, "measurePeak takes 2 arguments");
  char name[32];
  size_t length = 0;
  napi_get_value_string_utf8(env, args[0], name, sizeof name, &length);
  const ivit_isa *isa = ivit_find_isa(name);
  if (!isa || !isa->multiply_in_registers) {
    napi_get_null(env, &result);
    return result;
  }
  int64_t start = ivit_clock();
  int64_t count = isa->multiply_in_registers(get_int(env, args[1]));
  int64_t parts[2] = {count, ivit_clock() - start};
  napi_create_array_with_length(env, 2, &result);
  for (uint32_t i = 0; i < 2; i++) {
    napi_value part;
    napi_create_int64(env, parts[i], &part);
    napi_set_element(env, result, i, part);
  }
  return result;
}

/* Images on their way through a program, off the JavaScript thread. */
typedef struct {
  handle *handle;
  int32_t output;
  uint32_t count;
  bytes *images, *outputs;
  atomic_uint next;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref keep; /* the handle and the arrays */
} batch;

static void set_image(ivit_context *context, const batch *b, uint32_t i) {
  memcpy(ivit_context_data(context, 0), b->images[i].data, b->images[i].bytes);
}

static void get_output(ivit_context *context, const batch *b, uint32_t i) {
  memcpy(b->outputs[i].data, ivit_context_data(context, b->output), b->outputs[i].bytes);
}

static void run_apart(void *argument, int thread) {
  batch *b = argument;
  ivit_context *context = b->handle->apart[thread];
  for (;;) {
    uint32_t i = atomic_fetch_add(&b->next, 1);
    if (i >= b->count) return;
    set_image(context, b, i);
    ivit_context_begin(context);
    ivit_context_run(context, 0);
    get_output(context, b, i);
  }
}

static void batch_execute(napi_env env, void *data) {
  (void)env;
  batch *b = data;
  handle *h = b->handle;
  if (b->count == 1 || h->threads == 1) {
    for (uint32_t i = 0; i < b->count; i++) {
      set_image(h->together, b, i);
      run_one(h);
      get_output(h->together, b, i);
    }
    return;
  }
  ivit_pool_run(h->pool, run_apart, b);
}

static void batch_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  batch *b = data;
  napi_value nothing;
  napi_get_undefined(env, &nothing);
  napi_delete_async_work(env, b->work);
  napi_delete_reference(env, b->keep);
  napi_resolve_deferred(env, b->deferred, nothing);
  free(b->images);
  free(b->outputs);
  free(b);
}

/* The contexts of images that come together. */
static void create_apart(void *argument) {
  handle *h = argument;
  if (!h->apart) h->apart = calloc((size_t)h->threads, sizeof *h->apart);
  if (!h->apart) ivit_out_of_memory();
  for (int32_t t = 0; t < h->threads; t++) {
    if (h->apart[t]) continue;
    ivit_context *context = h->apart[t] = ivit_context_begin_create(h->program, 1);
    ivit_context_finish_create(context);
    h->apart_count = t + 1;
  }
}

/* runAll(handle, images, output value, outputs) -> promise. One at a time for each handle. */
static napi_value run_all(napi_env env, napi_callback_info info) {
  napi_value args[4], promise, name, kept;
  if (arguments(env, info, 4, args) < 4) return fail(env, "runAll takes 4 arguments");
  handle *h = get_handle(env, args[0]);
  if (!h) return fail(env, "The program was closed");
  bool is_apart = h->threads > 1 && get_length(env, args[1]) > 1;
  if (is_apart && h->apart_count < h->threads && !ivit_try(create_apart, h)) {
    free_apart(h);
    return fail(env, "Out of memory");
  }
  batch *b = calloc(1, sizeof *b);
  if (!b) return fail(env, "Out of memory");
  b->handle = h;
  b->count = get_length(env, args[1]);
  b->output = get_int(env, args[2]);
  b->images = calloc(b->count + 1, sizeof(bytes));
  b->outputs = calloc(b->count + 1, sizeof(bytes));
  if (!b->images || !b->outputs) {
    free(b->images);
    free(b->outputs);
    free(b);
    return fail(env, "Out of memory");
  }
  for (uint32_t i = 0; i < b->count; i++) {
    b->images[i] = get_bytes(env, get_element(env, args[1], i));
    b->outputs[i] = get_bytes(env, get_element(env, args[3], i));
  }
  napi_create_array_with_length(env, 4, &kept);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, kept, i, args[i]);
  napi_create_reference(env, kept, 1, &b->keep);
  napi_create_promise(env, &b->deferred, &promise);
  napi_create_string_utf8(env, "ivit", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, batch_execute, batch_complete, b, &b->work);
  napi_queue_async_work(env, b->work);
  return promise;
}

/* trim() gives memory that is free back to the system, where the C library keeps it. */
static napi_value trim(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return NULL;
}

static napi_value init(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"isas", isas}, {"describe", describe}, {"create", create},   {"close", close_handle},
                   {"run", run},   {"runAll", run_all},    {"profile", profile}, {"measurePeak", measure_peak},
                   {"trim", trim}};
  for (size_t i = 0; i < COUNT(functions); i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
