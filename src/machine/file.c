/* SPDX-License-Identifier: MIT */
/* Machine files: JSON, read with json-c, which keeps no positions; where a value stands is looked up again for messages. */
#include "machine/desc.h"
#include "base/alloc.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20, DEPTH = 8 };

/* A way down into the document: a key (object) or an index (array) a step. */
struct step {
	const char *key; /* NULL: index */
	size_t index;
};

struct reader {
	const char *path, *text;
	struct step steps[3];
	unsigned n_steps;
	char *err;
	size_t err_bytes;
};

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Behind the string that starts at @p. The text is known to be well-formed. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
	int depth = 0;

	do {
		p = skip_space(p);
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else {
			p += strcspn(p, ",:]} \t\r\n");
		}
	} while (depth && *p);
	return p;
}

/* The member of the object or array at @p that @step names; NULL when there is none. For objects its key. */
static const char *member(const char *p, const struct step *step)
{
	p = skip_space(p);
	if (*p != (step->key ? '{' : '['))
		return NULL;
	p = skip_space(p + 1);
	for (size_t i = 0; *p && *p != '}' && *p != ']'; i++) {
		const char *key = p;

		if (!step->key && i == step->index)
			return p;
		if (step->key) {
			p = skip_string(p);
			if ((size_t)(p - key) == strlen(step->key) + 2 && !memcmp(key + 1, step->key, strlen(step->key)))
				return key;
			p = skip_space(p) + 1; /* ':' */
		}
		p = skip_space(skip_value(p));
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return NULL;
}

static unsigned line_at(const char *text, const char *pos)
{
	unsigned line = 1;

	for (; text < pos; text++)
		line += *text == '\n';
	return line;
}

static unsigned line_of(const struct reader *r)
{
	const char *pos = skip_space(r->text), *found = pos;

	for (unsigned i = 0; i < r->n_steps; i++) {
		found = member(pos, &r->steps[i]);
		if (!found)
			break;
		pos = r->steps[i].key ? skip_space(skip_string(found)) + 1 : found;
	}
	return line_at(r->text, found ? found : pos);
}

static UI_PRINTF(2, 3) int refuse(const struct reader *r, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(r->err, r->err_bytes, "%s:%u: %s", r->path, line_of(r), why);
	return -EINVAL;
}

static void enter(struct reader *r, const char *key, size_t index)
{
	r->steps[r->n_steps++] = (struct step){ key, index };
}

static int setting(struct reader *r, struct ui_machine_desc *desc, const char *what, const char *key, struct json_object *val)
{
	char why[400];

	if (!json_object_is_type(val, json_type_string))
		return refuse(r, "\"%s\" is not a string", key);
	return ui_machine_desc_set(desc, what, json_object_get_string(val), why, sizeof(why)) ? refuse(r, "%s", why) : 0;
}

static int log_settings(struct reader *r, struct ui_machine_desc *desc, struct json_object *log)
{
	if (!json_object_is_type(log, json_type_object))
		return refuse(r, "\"log\" is not an object like {\"level\": \"fault\", \"file\": \"PATH\"}");
	json_object_object_foreach(log, key, val)
	{
		const char *what = !strcmp(key, "level") ? "log" : !strcmp(key, "file") ? "log-file" : NULL;
		int ret;

		enter(r, key, 0);
		ret = what ? setting(r, desc, what, key, val) : refuse(r, "unknown key \"%s\"; known: level, file", key);
		if (ret)
			return ret;
		r->n_steps--;
	}
	return 0;
}

/* An object to a SPEC: "type" first, every other member as key=value. */
static int device(struct reader *r, struct ui_machine_desc *desc, struct json_object *dev)
{
	struct json_object *type;
	char spec[768], why[400];
	size_t len;

	if (!json_object_is_type(dev, json_type_object))
		return refuse(r, "a device is an object like {\"type\": \"dma\"}");
	if (!json_object_object_get_ex(dev, "type", &type) || !json_object_is_type(type, json_type_string))
		return refuse(r, "the device has no \"type\", or it is not a string");
	if (strchr(json_object_get_string(type), ','))
		return refuse(r, "\"type\": a comma is not possible here");
	len = (size_t)snprintf(spec, sizeof(spec), "%s", json_object_get_string(type));
	json_object_object_foreach(dev, key, val)
	{
		if (!strcmp(key, "type"))
			continue;
		enter(r, key, 0);
		if (!json_object_is_type(val, json_type_string) && !json_object_is_type(val, json_type_int))
			return refuse(r, "\"%s\" is not a string or a whole number", key);
		if (strchr(json_object_get_string(val), ',') || strpbrk(key, ",="))
			return refuse(r, "\"%s\": a comma or equals sign is not possible here", key);
		r->n_steps--;
		if (len < sizeof(spec))
			len += (size_t)snprintf(spec + len, sizeof(spec) - len, ",%s=%s", key, json_object_get_string(val));
	}
	if (len >= sizeof(spec))
		return refuse(r, "the device's settings are too long");
	return ui_machine_desc_add(desc, spec, why, sizeof(why)) ? refuse(r, "%s", why) : 0;
}

static int devices(struct reader *r, struct ui_machine_desc *desc, struct json_object *list)
{
	if (!json_object_is_type(list, json_type_array))
		return refuse(r, "\"devices\" is not an array");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		int ret;

		enter(r, NULL, i);
		ret = device(r, desc, json_object_array_get_idx(list, i));
		if (ret)
			return ret;
		r->n_steps--;
	}
	return 0;
}

static int document(struct reader *r, struct ui_machine_desc *desc, struct json_object *doc)
{
	if (!json_object_is_type(doc, json_type_object))
		return refuse(r, "the file does not hold an object");
	json_object_object_foreach(doc, key, val)
	{
		int ret;

		enter(r, key, 0);
		if (!strcmp(key, "iommu"))
			ret = setting(r, desc, "iommu", key, val);
		else if (!strcmp(key, "log"))
			ret = log_settings(r, desc, val);
		else if (!strcmp(key, "devices"))
			ret = devices(r, desc, val);
		else
			ret = refuse(r, "unknown key \"%s\"; known: iommu, log, devices", key);
		if (ret)
			return ret;
		r->n_steps--;
	}
	return 0;
}

/* The whole file as a string, to be freed with ui_free(). */
static int load(const char *path, char **text)
{
	int fd = ui_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), ret = 0;
	size_t n = 0;
	char *buf;

	if (fd < 0)
		return fd;
	buf = ui_zalloc(FILE_MAX_BYTES + 1);
	while (buf && n < FILE_MAX_BYTES) {
		ssize_t got = ui_sys_read(fd, buf + n, FILE_MAX_BYTES - n);

		if (got <= 0) {
			ret = (int)got;
			break;
		}
		n += (size_t)got;
	}
	ui_sys_close(fd);
	if (!buf || n == FILE_MAX_BYTES)
		ret = buf ? -EFBIG : -ENOMEM;
	if (ret || strlen(buf) != n) {
		ui_free(buf);
		return ret ? ret : -EILSEQ;
	}
	*text = buf;
	return 0;
}

int ui_machine_desc_read(struct ui_machine_desc *desc, const char *path, char *err, size_t err_bytes)
{
	struct reader r = { .path = path, .err = err, .err_bytes = err_bytes };
	struct ui_machine_desc work = *desc;
	struct json_object *doc;
	struct json_tokener *tok;
	size_t end;
	char *text;
	int ret;

	ret = load(path, &text);
	if (ret) {
		snprintf(err, err_bytes, "%s: %s", path, strerror(-ret));
		return -EINVAL;
	}
	r.text = text;
	tok = json_tokener_new_ex(DEPTH);
	if (!tok) {
		ui_free(text);
		snprintf(err, err_bytes, "%s: out of memory", path);
		return -EINVAL;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	doc = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
	end = json_tokener_get_parse_end(tok);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		snprintf(err, err_bytes, "%s:%u: %s", path, line_at(text, text + end), json_tokener_error_desc(json_tokener_get_error(tok)));
		ret = -EINVAL;
	} else {
		ret = document(&r, &work, doc);
	}
	if (!ret)
		*desc = work;
	json_object_put(doc);
	json_tokener_free(tok);
	ui_free(text);
	return ret;
}
