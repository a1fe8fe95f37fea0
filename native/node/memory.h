/* Giving up for want of memory, without ending the process. */
#ifndef IVIT_NODE_MEMORY_H
#define IVIT_NODE_MEMORY_H

#include <stdbool.h>

/* Runs an action on the calling thread. Returns false where it gave up in ivit_out_of_memory. */
bool ivit_try(void (*action)(void *), void *argument);

#endif
