/* SPDX-License-Identifier: MIT */
/* pread, pwrite and mmap of a VFIO device: regions by offset, BARs access by access. */
#include "vfio/vfio_priv.h"

#include "base/bits.h"
#include "base/user.h"

#include <errno.h>

struct place {
	unsigned index;
	u64 pos;
};

static struct place place_of(u64 offset)
{
	return (struct place){ (unsigned)(offset >> UI_VFIO_REGION_SHIFT), offset & ui_mask_lg2(UI_VFIO_REGION_SHIFT) };
}

/* The largest naturally aligned access at @pos with at most @left bytes. */
static u32 access_bytes(u64 pos, u64 left)
{
	u32 n = 8;

	while (n > left || !ui_is_aligned(pos, n))
		n /= 2;
	return n;
}

/* The MSI-X table is not for programs: reads give ones, writes are dropped. Returns how many bytes of it are at @pos. */
static u64 table_bytes(const struct ui_pci_model *model, unsigned bar, u64 pos, u64 left)
{
	u64 size = model->n_msix * (u64)PCI_MSIX_ENTRY_BYTES;

	return bar == model->msix_bar && pos < size ? ui_min(left, size - pos) : 0;
}

static int bar_access(struct ui_vfio *v, unsigned bar, u64 user, u64 pos, u32 n, bool write)
{
	u8 raw[8];

	if (write && ui_user_read(raw, user, n))
		return -EFAULT;
	if (!(write ? ui_pci_bar_write(v->pci, bar, pos, raw, n) : ui_pci_bar_read(v->pci, bar, pos, raw, n)))
		return -EIO; /* memory decoding is off */
	return write ? 0 : ui_user_write(user, raw, n);
}

static s64 bar_rw(struct ui_vfio *v, unsigned bar, void *buf, u64 n_bytes, u64 pos, bool write)
{
	const struct ui_pci_model *model = ui_pci_model(v->pci);
	u64 size = bar < UI_PCI_N_BARS ? model->bars[bar].n_bytes : 0; /* no ROM */
	u64 done = 0;

	if (pos >= size)
		return -EINVAL;
	n_bytes = ui_min(n_bytes, size - pos);
	while (done < n_bytes) {
		u64 n = table_bytes(model, bar, pos + done, n_bytes - done);
		u64 user = (u64)(uintptr_t)buf + done; /* any number: no pointer to calculate with */
		int ret = 0;

		if (n) {
			if (!write)
				ret = ui_user_fill(user, 0xff, n);
		} else {
			n = access_bytes(pos + done, n_bytes - done);
			ret = bar_access(v, bar, user, pos + done, (u32)n, write);
		}
		if (ret)
			return ret;
		done += n;
	}
	return (s64)done;
}

static s64 rw(struct ui_vfio *v, void *buf, u64 n_bytes, u64 offset, bool write)
{
	struct place at = place_of(offset);

	if (!atomic_load_explicit(&v->granted, memory_order_acquire)) /* pairs with BIND's store */
		return -EINVAL;
	if (!n_bytes)
		return 0;
	if (at.index == UI_VFIO_CONFIG)
		return ui_vfio_config_rw(v, buf, n_bytes, at.pos, write);
	return bar_rw(v, at.index, buf, n_bytes, at.pos, write);
}

s64 ui_vfio_pread(struct ui_vfio *v, void *buf, u64 n_bytes, u64 offset)
{
	return rw(v, buf, n_bytes, offset, false);
}

s64 ui_vfio_pwrite(struct ui_vfio *v, const void *buf, u64 n_bytes, u64 offset)
{
	return rw(v, (void *)(uintptr_t)buf, n_bytes, offset, true);
}

int ui_vfio_mmap(struct ui_vfio *v, u64 offset, u64 n_bytes, bool shared, unsigned *bar, u64 *bar_offset)
{
	const struct ui_pci_model *model = ui_pci_model(v->pci);
	struct place at = place_of(offset);
	u64 size;

	if (!atomic_load_explicit(&v->granted, memory_order_acquire)) /* pairs with BIND's store */
		return -EINVAL;
	if (!shared || at.index >= UI_PCI_N_BARS || !model->bars[at.index].mappable)
		return -EINVAL;
	size = ui_align_up(model->bars[at.index].n_bytes, UI_PAGE_BYTES);
	if (!ui_is_aligned(at.pos, UI_PAGE_BYTES) || !n_bytes || at.pos >= size)
		return -EINVAL;
	if (n_bytes > size - at.pos)
		return -EINVAL;
	*bar = at.index;
	*bar_offset = at.pos;
	return 0;
}
