#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

struct ivit_pool {
  pthread_mutex_t mutex;
  pthread_cond_t work, done;
  int threads, started;
  /* Counts jobs, so that a thread runs each once; -1 ends it. */
  int job_number;
  int running;
  ivit_job job;
  void *argument;
  pthread_t *handles;
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

void ivit_pool_run(ivit_pool *pool, ivit_job job, void *argument) {
  pthread_mutex_lock(&pool->mutex);
  pool->job = job;
  pool->argument = argument;
  pool->running = pool->started;
  pool->job_number = pool->job_number == 0x7fffffff ? 1 : pool->job_number + 1;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  job(argument, 0);
  pthread_mutex_lock(&pool->mutex);
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
