/* SPDX-License-Identifier: MIT */
/* VERSION: which protocol, and what either side can take, as JSON. */
#include "vfio_user/priv.h"

#include "base/bits.h"
#include "base/log.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum { JSON_DEPTH = 8, DEFAULT_TRANSFER = 1 << 20 };

/* A whole number from 0 on, or @otherwise. */
static u64 number(struct json_object *caps, const char *key, u64 otherwise)
{
	struct json_object *val;

	if (!json_object_object_get_ex(caps, key, &val) || !json_object_is_type(val, json_type_int))
		return otherwise;
	return json_object_get_int64(val) < 0 ? 0 : json_object_get_uint64(val);
}

/* Takes what matters of what the client can. 0 or -EINVAL: it is no JSON object. */
static int capabilities(struct ui_vu *vu, const char *text, size_t n_bytes)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *all = NULL, *caps = NULL;
	int ret = 0;

	if (!tokener)
		return -ENOMEM;
	if (n_bytes > 1) {
		all = json_tokener_parse_ex(tokener, text, (int)n_bytes);
		if (!all || !json_object_is_type(all, json_type_object))
			ret = -EINVAL;
	}
	if (!ret && all && json_object_object_get_ex(all, "capabilities", &caps) && !json_object_is_type(caps, json_type_object))
		ret = -EINVAL;
	pthread_mutex_lock(&vu->lock);
	if (!ret)
		vu->max_call_bytes = caps ? number(caps, "max_data_xfer_size", DEFAULT_TRANSFER) : DEFAULT_TRANSFER;
	pthread_mutex_unlock(&vu->lock);
	json_object_put(all);
	json_tokener_free(tokener);
	return ret;
}

int ui_vu_version(struct ui_vu *vu, const u8 *payload, u32 n_bytes, struct vu_out **out)
{
	const char *text = (const char *)payload + sizeof(struct vu_version);
	size_t n_text = n_bytes - sizeof(struct vu_version);
	struct vu_version version;
	char ours[192];
	int n, ret;

	memcpy(&version, payload, sizeof(version));
	if (version.major) {
		ui_log(UI_LOG_WARN, "vfio-user: %s: the client speaks version %u.%u", vu->dev.name, version.major, version.minor);
		return -EPROTO;
	}
	ret = n_text && text[n_text - 1] ? -EINVAL : capabilities(vu, text, n_text);
	if (ret) {
		ui_log(UI_LOG_WARN, "vfio-user: %s: the client's capabilities cannot be read", vu->dev.name);
		return ret == -EINVAL ? -EPROTO : ret;
	}
	/* No longer than QEMU's own, which is all that it takes. */
	n = snprintf(ours, sizeof(ours),
		     "{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%d,\"max_dma_maps\":%d,\"pgsizes\":%d}}",
		     UI_VU_MAX_FDS, UI_VU_MAX_TRANSFER, UI_VU_MAX_REGIONS, (int)UI_PAGE_BYTES);
	version.minor = 0;
	*out = ui_vu_out_new((u32)(sizeof(version) + (size_t)n + 1));
	if (!*out)
		return -ENOMEM;
	memcpy((*out)->payload, &version, sizeof(version));
	memcpy((*out)->payload + sizeof(version), ours, (size_t)n + 1);
	vu->versioned = true;
	return 0;
}
