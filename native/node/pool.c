#ifdef __linux__
#define _GNU_SOURCE /* for the affinity of threads */
#include <sched.h>
#endif

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

struct ivit_pool {
  pthread_mutex_t mutex;
  pthread_cond_t work, done;
  int threads, started;
  /* Counts jobs, so that a thread runs each once; -1 ends it. */
  int job_number;
  int is_open; /* whether a thread may still begin the job */
  int running; /* threads that have, and are not done */
  ivit_job job;
  void *argument;
  pthread_t *handles;
  int caller_core; /* that the threads keep off; -1: none yet */
};

typedef struct {
  ivit_pool *pool;
  int thread;
} start;

static void *thread_main(void *argument) {
  start s = *(start *)argument;
  free(argument);
  ivit_pool *pool = s.pool;
  int seen = 0;
  pthread_mutex_lock(&pool->mutex);
  for (;;) {
    while (pool->job_number == seen) pthread_cond_wait(&pool->work, &pool->mutex);
    seen = pool->job_number;
    if (seen < 0) break;
    if (!pool->is_open) continue;
    pool->running++;
    pthread_mutex_unlock(&pool->mutex);
    pool->job(pool->argument, s.thread);
    pthread_mutex_lock(&pool->mutex);
    if (--pool->running == 0) pthread_cond_signal(&pool->done);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

ivit_pool *ivit_pool_create(int threads) {
  ivit_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->work, NULL);
  pthread_cond_init(&pool->done, NULL);
  pool->threads = threads;
  pool->caller_core = -1;
  pool->handles = calloc((size_t)threads, sizeof(pthread_t));
  for (int t = 1; pool->handles && t < threads; t++) {
    start *s = malloc(sizeof *s);
    if (!s) break;
    *s = (start){pool, t};
    if (pthread_create(&pool->handles[t], NULL, thread_main, s) != 0) {
      free(s);
      break;
    }
    pool->started++;
  }
  if (!pool->handles || pool->started < threads - 1) {
    ivit_pool_free(pool);
    return NULL;
  }
  return pool;
}

/*
 * Keeps the pool's threads off the core that the caller works on. Linux often wakes a thread there, behind the caller,
 * where the other cores are busy for the moment (with the JavaScript thread that has just handed the work over), and
 * takes milliseconds to move it: a whole image. The cores are those that the caller may use (taskset, a container's
 * cpuset); where they do not give every thread one of its own, nothing is done.
 */
static void leave_callers_core(ivit_pool *pool) {
#ifdef __linux__
  int core = sched_getcpu();
  cpu_set_t cores;
  if (core < 0 || core == pool->caller_core || sched_getaffinity(0, sizeof cores, &cores) != 0) return;
  CPU_CLR(core, &cores);
  if (CPU_COUNT(&cores) < pool->started) return;
  pool->caller_core = core;
  for (int t = 1; t <= pool->started; t++) pthread_setaffinity_np(pool->handles[t], sizeof cores, &cores);
#else
  (void)pool;
#endif
}

void ivit_pool_run(ivit_pool *pool, ivit_job job, void *argument) {
  if (pool->started > 0) leave_callers_core(pool);
  pthread_mutex_lock(&pool->mutex);
  pool->job = job;
  pool->argument = argument;
  pool->is_open = 1;
  pool->job_number = pool->job_number == 0x7fffffff ? 1 : pool->job_number + 1;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  job(argument, 0);
  pthread_mutex_lock(&pool->mutex);
  pool->is_open = 0;
  while (pool->running > 0) pthread_cond_wait(&pool->done, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

void ivit_pool_free(ivit_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->job_number = -1;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  for (int t = 1; t <= pool->started; t++) pthread_join(pool->handles[t], NULL);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->work);
  pthread_cond_destroy(&pool->done);
  free(pool->handles);
  free(pool);
}
