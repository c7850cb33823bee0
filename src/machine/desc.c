/* SPDX-License-Identifier: MIT */
#include "machine/desc.h"
#include "base/sys.h"
#include "devices/pci.h"
#include "machine/instance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static UI_PRINTF(3, 4) int fail(char *err, size_t err_bytes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_bytes, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void ui_machine_desc_init(struct ui_machine_desc *desc)
{
	memset(desc, 0, sizeof(*desc));
	strcpy(desc->kind, "generic");
	desc->log = UI_LOG_FAULT;
}

/* Digits of @base, at least one and at most @max_digits, then one of @stops (its NUL counts). */
static bool number(const char **text, int base, size_t max_digits, const char *stops, unsigned long *val)
{
	size_t n = strspn(*text, base == 16 ? "0123456789abcdefABCDEF" : "0123456789");

	if (!n || n > max_digits || !memchr(stops, (*text)[n], strlen(stops) + 1))
		return false;
	*val = strtoul(*text, NULL, base);
	*text += n;
	return true;
}

int ui_machine_rid_parse(const char *text, u32 *rid)
{
	unsigned long seg = 0, bus, dev, fn;

	if (strlen(text) > 7) {
		if (!number(&text, 16, 4, ":", &seg) || *text++ != ':')
			return -EINVAL;
	}
	if (!number(&text, 16, 2, ":", &bus) || *text++ != ':' || !number(&text, 16, 2, ".", &dev) || *text++ != '.' ||
	    !number(&text, 16, 1, "", &fn) || *text || dev > 31 || fn > 7)
		return -EINVAL;
	*rid = (u32)(seg << 16 | bus << 8 | dev << 3 | fn);
	return 0;
}

void ui_machine_rid_print(u32 rid, char text[13])
{
	snprintf(text, 13, "%04x:%02x:%02x.%x", rid >> 16 & 0xffff, rid >> 8 & 0xff, rid >> 3 & 0x1f, rid & 7);
}

static bool rid_taken(const struct ui_machine_desc *desc, u32 rid)
{
	for (unsigned i = 0; i < desc->n_devices; i++) {
		if (desc->devices[i].rid == rid)
			return true;
	}
	return false;
}

static bool group_taken(const struct ui_machine_desc *desc, u32 group)
{
	for (unsigned i = 0; i < desc->n_devices; i++) {
		if (desc->devices[i].group == group)
			return true;
	}
	return false;
}

/* Appends to @list, which stays a string; cut when full. */
static void list_add(char *list, size_t list_bytes, const char *item)
{
	size_t len = strlen(list);

	snprintf(list + len, list_bytes - len, "%s%s", len ? ", " : "", item);
}

static int unknown_type(const char *type, char *err, size_t err_bytes)
{
	char known[256] = "";
	size_t n;
	const struct ui_pci_model *const *models = ui_pci_models(&n);

	for (size_t i = 0; i < n; i++)
		list_add(known, sizeof(known), models[i]->name);
	return fail(err, err_bytes, "unknown device \"%s\"; known: %s", type, known);
}

static bool is_among(const char *const *keys, const char *key)
{
	for (const char *const *k = keys; k && *k; k++) {
		if (!strcmp(*k, key))
			return true;
	}
	return false;
}

static int unknown_key(const struct ui_pci_model *model, const char *key, char *err, size_t err_bytes)
{
	char known[256] = "rid, pasid-bits, group";

	for (const char *const *k = model->option_keys; k && *k; k++)
		list_add(known, sizeof(known), *k);
	return fail(err, err_bytes, "device %s: unknown key \"%s\"; known: %s", model->name, key, known);
}

/* A whole number of at most @max_digits, and at most @max. */
static bool small_number(const char *text, size_t max_digits, unsigned long max, unsigned long *val)
{
	return number(&text, 10, max_digits, "", val) && *val <= max;
}

/* What a SPEC says besides what goes to the device at once. */
struct given {
	bool rid, group;
};

/* One for the model. A file's name must mean the same wherever the description goes. */
static int device_option(struct ui_machine_dev *dev, const struct ui_pci_model *model, const char *key, const char *value, char *err,
			 size_t err_bytes)
{
	size_t len = strlen(dev->options), room = sizeof(dev->options) - len;
	bool relative = is_among(model->option_paths, key) && value[0] && value[0] != '/';
	char cwd[4096] = "";
	int ret = relative ? ui_sys_getcwd(cwd, sizeof(cwd)) : 0;

	if (ret)
		return fail(err, err_bytes, "device %s: current directory: %s", model->name, strerror(-ret));
	if (strchr(cwd, ','))
		return fail(err, err_bytes, "device %s: %s: a comma is not possible here", model->name, cwd);
	if ((size_t)snprintf(dev->options + len, room, "%s%s=%s%s%s", len ? "," : "", key, cwd, relative ? "/" : "", value) >= room)
		return fail(err, err_bytes, "device %s: options are longer than %zu bytes", model->name, sizeof(dev->options) - 1);
	return 0;
}

/* One "key=value" of a SPEC; @item is the caller's copy and is cut up. */
static int device_item(struct ui_machine_dev *dev, const struct ui_pci_model *model, char *item, struct given *given, char *err,
		       size_t err_bytes)
{
	char *value = strchr(item, '='), on[] = "on";
	unsigned long val;

	if (value)
		*value++ = 0;
	if (strcmp(item, "rid") && strcmp(item, "pasid-bits") && strcmp(item, "group") && !is_among(model->option_keys, item))
		return unknown_key(model, item, err, err_bytes);
	if (!value && is_among(model->option_flags, item))
		value = on;
	if (!value)
		return fail(err, err_bytes, "device %s: key \"%s\" needs a value", model->name, item);
	if (!strcmp(item, "rid")) {
		if (ui_machine_rid_parse(value, &dev->rid))
			return fail(err, err_bytes, "device %s: rid \"%s\" is not like 0000:01:00.0", model->name, value);
		given->rid = true;
	} else if (!strcmp(item, "pasid-bits")) {
		if (!small_number(value, 2, 20, &val))
			return fail(err, err_bytes, "device %s: pasid-bits \"%s\" is not a number from 0 to 20", model->name, value);
		dev->pasid_bits = (u8)val;
	} else if (!strcmp(item, "group")) {
		if (!small_number(value, 4, UI_MACHINE_MAX_GROUP, &val))
			return fail(err, err_bytes, "device %s: group \"%s\" is not a number from 0 to %d", model->name, value, UI_MACHINE_MAX_GROUP);
		dev->group = (u32)val;
		given->group = true;
	} else {
		return device_option(dev, model, item, value, err, err_bytes);
	}
	return 0;
}

int ui_machine_desc_add(struct ui_machine_desc *desc, const char *spec, char *err, size_t err_bytes)
{
	const struct ui_pci_model *model;
	struct ui_machine_dev dev = { .pasid_bits = 16 };
	char copy[768], *rest = copy, *item;
	struct given given = { 0 };
	int ret;

	if (desc->n_devices == UI_MACHINE_MAX_DEVICES)
		return fail(err, err_bytes, "more than %d devices", UI_MACHINE_MAX_DEVICES);
	if (strlen(spec) >= sizeof(copy))
		return fail(err, err_bytes, "device description is longer than %zu bytes", sizeof(copy) - 1);
	strcpy(copy, spec);
	item = strsep(&rest, ",");
	model = ui_pci_model_find(item);
	if (!model || strlen(item) >= sizeof(dev.type))
		return unknown_type(item, err, err_bytes);
	strcpy(dev.type, item);
	while ((item = strsep(&rest, ",")) != NULL) {
		ret = device_item(&dev, model, item, &given, err, err_bytes);
		if (ret)
			return ret;
	}
	for (u32 bus = 1; !given.rid && bus < 256; bus++) {
		dev.rid = bus << 8;
		given.rid = !rid_taken(desc, dev.rid);
	}
	while (!given.group && group_taken(desc, dev.group))
		dev.group++;
	if (rid_taken(desc, dev.rid)) {
		char rid[13];

		ui_machine_rid_print(dev.rid, rid);
		return fail(err, err_bytes, "device %s: rid %s is taken", model->name, rid);
	}
	desc->devices[desc->n_devices++] = dev;
	return 0;
}

int ui_machine_desc_set(struct ui_machine_desc *desc, const char *key, const char *value, char *err, size_t err_bytes)
{
	if (!strcmp(key, "device"))
		return ui_machine_desc_add(desc, value, err, err_bytes);
	if (!strcmp(key, "iommu")) {
		if (!ui_machine_kind_known(value))
			return fail(err, err_bytes, "unknown iommu \"%s\"; known: %s", value, ui_machine_kinds());
		strcpy(desc->kind, value);
		return 0;
	}
	if (!strcmp(key, "log")) {
		if (ui_log_level_parse(value, &desc->log))
			return fail(err, err_bytes, "unknown log level \"%s\"; known: none, error, warn, fault, info, debug", value);
		return 0;
	}
	if (!strcmp(key, "log-file")) {
		if (strlen(value) >= sizeof(desc->log_file))
			return fail(err, err_bytes, "log file name is longer than %zu bytes", sizeof(desc->log_file) - 1);
		strcpy(desc->log_file, value);
		return 0;
	}
	return fail(err, err_bytes, "unknown key \"%s\"; known: iommu, log, log-file, device", key);
}

struct text {
	char *pos, *end;
};

static void put(struct text *t, char c)
{
	if (t->pos < t->end)
		*t->pos = c;
	t->pos++;
}

static void put_item(struct text *t, const char *key, const char *value)
{
	static const char hex[] = "0123456789abcdef";

	for (; *key; key++)
		put(t, *key);
	put(t, '=');
	for (; *value; value++) {
		u8 c = (u8)*value;

		if (c >= 0x20 && c != ';' && c != '%') {
			put(t, *value);
			continue;
		}
		put(t, '%');
		put(t, hex[c >> 4]);
		put(t, hex[c & 15]);
	}
	put(t, ';');
}

int ui_machine_desc_print(const struct ui_machine_desc *desc, char *text, size_t text_bytes, char *err, size_t err_bytes)
{
	static const char *const levels[] = { "none", "error", "warn", "fault", "info", "debug" };
	struct text t = { text, text + text_bytes };

	put_item(&t, "iommu", desc->kind);
	put_item(&t, "log", levels[desc->log]);
	if (desc->log_file[0])
		put_item(&t, "log-file", desc->log_file);
	for (unsigned i = 0; i < desc->n_devices; i++) {
		const struct ui_machine_dev *dev = &desc->devices[i];
		char spec[768], rid[13];

		ui_machine_rid_print(dev->rid, rid);
		snprintf(spec, sizeof(spec), "%s,rid=%s,pasid-bits=%u,group=%u%s%s", dev->type, rid, dev->pasid_bits, dev->group,
			 dev->options[0] ? "," : "", dev->options);
		put_item(&t, "device", spec);
	}
	if (t.pos > t.end)
		return fail(err, err_bytes, "machine description is longer than %zu bytes", text_bytes);
	t.pos[-1] = 0; /* over the last ';' */
	return 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Copies one item up to ';' or the end, undoing %XX. NULL when it is malformed or too long, else behind the item. */
static const char *take_item(const char *text, char *item, size_t item_bytes)
{
	size_t n = 0;

	while (*text && *text != ';') {
		char c = *text++;

		if (c == '%') {
			int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

			if (low < 0 || !(high | low))
				return NULL;
			c = (char)(high << 4 | low);
			text += 2;
		}
		if (n + 1 >= item_bytes)
			return NULL;
		item[n++] = c;
	}
	item[n] = 0;
	return *text ? text + 1 : text;
}

int ui_machine_desc_parse(struct ui_machine_desc *desc, const char *text, char *err, size_t err_bytes)
{
	char item[2400];

	ui_machine_desc_init(desc);
	while (*text) {
		char *value;
		int ret;

		text = take_item(text, item, sizeof(item));
		value = text ? strchr(item, '=') : NULL;
		if (!value)
			return fail(err, err_bytes, "machine text is malformed");
		*value++ = 0;
		ret = ui_machine_desc_set(desc, item, value, err, err_bytes);
		if (ret)
			return ret;
	}
	return 0;
}
