/* SPDX-License-Identifier: MIT */
/* From bytes to fields of commands: each value comes from a small set, so that mutated bytes still make commands that meet. */
#ifndef FUZZ_FIELDS_H
#define FUZZ_FIELDS_H

#include "model.h"

struct input {
	const u8 *at, *end;
};

/* 0 at the end. */
u8 input8(struct input *in);
u64 input64(struct input *in);
u32 input_id(struct input *in);
u64 input_iova(struct input *in);
u64 input_length(struct input *in);
u64 input_memory(struct input *in);
u64 input_any(struct input *in);

/* One call of the table's (@which: any of them), the @inject-th allocation of which fails (0: none). */
void command(struct world *w, struct input *in, u8 which, u64 inject);
/* One of the VFIO container's. */
void command_vfio(struct world *w, struct input *in);

#endif
