/* SPDX-License-Identifier: MIT */
/*
 * Locks for many readers whose writers come in. glibc's plain ones let new readers pass a writer that waits: two threads that map
 * and unmap all the time would keep an attach out for seconds, and more of them for ever.
 */
#ifndef UI_BASE_RWLOCK_H
#define UI_BASE_RWLOCK_H

#include "base/types.h"

#include <pthread.h>

/* No thread may hold @lock twice for reading: a writer that waits in between would stop both. */
UI_ALWAYS_INLINE void ui_rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

#endif
