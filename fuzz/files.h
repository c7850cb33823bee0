/* SPDX-License-Identifier: MIT */
/* Descriptors that calls give out, as plain numbers, and mappings of the context's own. */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include "fields.h"

enum { FILES_FIRST = 100, N_FILES = 12 };

/* The part of the environment that makes them. */
void files_env(struct ui_iommufd_env *env);
/* Reads, writes or closes one. */
void file_use(struct world *w, struct input *in);
void files_close_all(void);

/* mmap() and munmap() of the context. */
void region_use(struct world *w, struct input *in);
void regions_unmap(struct world *w);

#endif
