/* Threads that wait for work together. */
#ifndef IVIT_POOL_H
#define IVIT_POOL_H

typedef struct ivit_pool ivit_pool;
typedef void (*ivit_job)(void *argument, int thread);

/* A pool of `threads` threads, the caller of ivit_pool_run being the first. NULL if they cannot be started. */
ivit_pool *ivit_pool_create(int threads);
/*
 * Runs the job on the threads, 0 to threads - 1; returns when all that began are done. The caller is thread 0. It must
 * get everything done by itself where the others do not get a core in time: these are not waited for. One job at a
 * time.
 */
void ivit_pool_run(ivit_pool *pool, ivit_job job, void *argument);
void ivit_pool_free(ivit_pool *pool);

#endif
