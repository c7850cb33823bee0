/* SPDX-License-Identifier: MIT */
/* Machine descriptions: --device, the canonical line, machine files (design.md section 1; step 1, item 9 and "Bad input"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/domain.h"
#include "machine/desc.h"
#include "machine/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ui_machine_desc desc;
static char err[512];

static int fresh(void **state)
{
	ui_machine_desc_init(&desc);
	err[0] = 0;
	return 0;
}

static void refused(const char *key, const char *value, const char *why)
{
	struct ui_machine_desc before = desc;

	assert_int_not_equal(ui_machine_desc_set(&desc, key, value, err, sizeof(err)), 0);
	if (!strstr(err, why))
		fail_msg("\"%s\" does not say \"%s\"", err, why);
	assert_memory_equal(&before, &desc, sizeof(desc));
}

static void rid_is_parsed_with_and_without_segment(void **state)
{
	u32 rid;
	char text[13];

	assert_int_equal(ui_machine_rid_parse("0001:02:1f.7", &rid), 0);
	assert_int_equal(rid, 0x000102ff);
	ui_machine_rid_print(rid, text);
	assert_string_equal(text, "0001:02:1f.7");
	assert_int_equal(ui_machine_rid_parse("03:00.1", &rid), 0);
	assert_int_equal(rid, 0x301);
}

static void malformed_rids_are_refused(void **state)
{
	static const char *const bad[] = { "", "1", "0000:01:00", "0000:01:20.0", "0000:01:00.8", "0000:01:00.0x", "x:01:00.0",
					   "00000:01:00.0", "0000:001:00.0", "0000:01:00.-1", "0000:01:00.0 ", "0000.01:00.0" };
	u32 rid;

	for (size_t i = 0; i < ui_array_size(bad); i++)
		assert_int_not_equal(ui_machine_rid_parse(bad[i], &rid), 0);
}

static void a_device_takes_rid_and_pasid_bits(void **state)
{
	assert_int_equal(ui_machine_desc_add(&desc, "dma,rid=0000:05:00.2,pasid-bits=20", err, sizeof(err)), 0);
	assert_int_equal(desc.n_devices, 1);
	assert_string_equal(desc.devices[0].type, "dma");
	assert_int_equal(desc.devices[0].rid, 0x502);
	assert_int_equal(desc.devices[0].pasid_bits, 20);
}

static void missing_rids_are_the_first_free(void **state)
{
	assert_int_equal(ui_machine_desc_add(&desc, "dma,rid=02:00.0", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	assert_int_equal(desc.devices[1].rid, 0x100);
	assert_int_equal(desc.devices[2].rid, 0x300);
	assert_int_equal(desc.devices[2].pasid_bits, 16);
}

/* Step 2, item 1: devices that share a group. */
static void devices_share_a_group_by_its_number(void **state)
{
	static const char *const specs[] = { "dma,group=1", "dma", "dma", "dma,group=1", "dma,group=9999", "dma" };
	static const u32 want[] = { 1, 0, 2, 1, 9999, 3 };
	struct ui_machine_desc back;
	struct ui_machine *machine;
	char text[UI_MACHINE_TEXT_BYTES];

	for (size_t i = 0; i < ui_array_size(specs); i++) {
		assert_int_equal(ui_machine_desc_add(&desc, specs[i], err, sizeof(err)), 0);
		assert_int_equal(desc.devices[i].group, want[i]);
	}
	assert_int_equal(ui_machine_desc_print(&desc, text, sizeof(text), err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_parse(&back, text, err, sizeof(err)), 0);
	assert_memory_equal(&back, &desc, sizeof(desc));
	assert_int_equal(ui_machine_create(&desc, &machine, err, sizeof(err)), 0);
	for (size_t i = 0; i < ui_array_size(specs); i++) {
		for (size_t k = 0; k < ui_array_size(specs); k++)
			assert_int_equal(ui_device_same_group(machine->devices[i].dev, machine->devices[k].dev), want[i] == want[k]);
	}
	ui_machine_destroy(machine);
}

static void bad_devices_are_refused_with_what_is_known(void **state)
{
	refused("device", "nvme9", "known: dma");
	refused("device", "", "known: dma");
	refused("device", "dma,colour=red", "known: rid, pasid-bits");
	refused("device", "dma,rid", "needs a value");
	refused("device", "dma,", "unknown key");
	refused("device", "dma,rid=1.2.3", "not like");
	refused("device", "dma,pasid-bits=21", "0 to 20");
	refused("device", "dma,pasid-bits=-1", "0 to 20");
	refused("device", "dma,pasid-bits=", "0 to 20");
	refused("device", "dma,group=", "0 to 9999");
	refused("device", "dma,group=10000", "0 to 9999");
	refused("device", "dma,group=-1", "0 to 9999");
	refused("device", "dma,group=1x", "0 to 9999");
	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	refused("device", "dma,rid=01:00.0", "taken");
}

static void there_are_at_most_32_devices(void **state)
{
	for (unsigned i = 0; i < UI_MACHINE_MAX_DEVICES; i++)
		assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	refused("device", "dma", "more than 32");
}

static void bad_settings_are_refused_with_what_is_known(void **state)
{
	refused("iommu", "quantum", "known: generic, vtd, smmuv3, mock");
	refused("log", "loud", "known: none, error");
	refused("colour", "red", "known: iommu, log, log-file, device");
}

static void the_line_survives_the_trip(void **state)
{
	static const char name[] = "/tmp/a;b%c\nd=e";
	struct ui_machine_desc back;
	char text[UI_MACHINE_TEXT_BYTES];

	assert_int_equal(ui_machine_desc_set(&desc, "iommu", "mock", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_set(&desc, "log", "debug", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_set(&desc, "log-file", name, err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma,pasid-bits=0", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma,rid=ffff:ff:1f.7", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_print(&desc, text, sizeof(text), err, sizeof(err)), 0);
	assert_null(strchr(text, '\n'));
	assert_int_equal(ui_machine_desc_parse(&back, text, err, sizeof(err)), 0);
	assert_memory_equal(&back, &desc, sizeof(desc));
}

static void a_malformed_line_is_refused(void **state)
{
	static const char *const bad[] = { "iommu", "iommu=generic;x", "iommu=%zz", "log-file=%", "log-file=%0", "log-file=%00", "iommu=a%3" };
	struct ui_machine_desc back;

	for (size_t i = 0; i < ui_array_size(bad); i++)
		assert_int_not_equal(ui_machine_desc_parse(&back, bad[i], err, sizeof(err)), 0);
}

static void a_buffer_too_small_is_an_error(void **state)
{
	char text[16];

	assert_int_not_equal(ui_machine_desc_print(&desc, text, sizeof(text), err, sizeof(err)), 0);
}

/* Writes @text to a file and reads it as a machine file. */
static int read_text(const char *text)
{
	char path[] = "/tmp/uiommu-test-XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	ret = ui_machine_desc_read(&desc, path, err, sizeof(err));
	/* "PATH:line: reason" to "line: reason" */
	if (!strncmp(err, path, strlen(path)))
		memmove(err, err + strlen(path) + 1, strlen(err + strlen(path) + 1) + 1);
	unlink(path);
	return ret;
}

static void a_machine_file_says_it_all(void **state)
{
	assert_int_equal(read_text("{ \"iommu\": \"mock\", \"log\": { \"level\": \"info\", \"file\": \"/x/y\" },\n"
				   "  \"devices\": [ { \"type\": \"dma\", \"rid\": \"0000:07:00.0\", \"pasid-bits\": 4 }, {\"type\":\"dma\"} ] }\n"),
			 0);
	assert_string_equal(desc.kind, "mock");
	assert_int_equal(desc.log, UI_LOG_INFO);
	assert_string_equal(desc.log_file, "/x/y");
	assert_int_equal(desc.n_devices, 2);
	assert_int_equal(desc.devices[0].rid, 0x700);
	assert_int_equal(desc.devices[0].pasid_bits, 4);
}

static void a_bad_machine_file_is_refused_with_line_and_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "{\n\"iommu\": \"mock\",\n\"devices\": [\n{ \"type\": \"dma\",\n \"colour\": \"red\" } ] }", "4: device dma: unknown key \"colour\"; known: rid" },
		{ "{\n\n\"iommo\": \"mock\" }", "3: unknown key \"iommo\"; known: iommu, log, devices" },
		{ "{\n\"iommu\": 7 }", "2: \"iommu\" is not a string" },
		{ "{\n\"iommu\": \"x\" }", "2: unknown iommu" },
		{ "{ \"devices\": [ {\"type\":\"dma\"},\n {\"rid\":\"01:00.0\"} ] }", "2: the device has no \"type\"" },
		{ "{ \"devices\": [ {\"type\":\"dma\",\n \"rid\":[1]} ] }", "2: \"rid\" is not" },
		{ "{ \"devices\": [ {\"type\":\"dma\",\n \"rid\":\"01:00.0,pasid-bits=3\"} ] }", "2: \"rid\": a comma" },
		{ "{ \"devices\":\n {} }", "\"devices\" is not an array" },
		{ "{ \"devices\": [\n 7 ] }", "2: a device is an object" },
		{ "{ \"log\": {\n \"level\": \"x\" } }", "2: unknown log level" },
		{ "{ \"log\": {\n \"colour\": \"x\" } }", "2: unknown key \"colour\"; known: level, file" },
		{ "{ \"log\": 1 }", "1: \"log\" is not an object" },
		{ "[]", "1: the file does not hold an object" },
		{ "{\n\"iommu\":\n}", "3: " },
		{ "{\n\"iommu\": \"mock\"\n", "3: unexpected end of data" },
		{ "", "1: unexpected end of data" },
		{ "{} x", "1: " },
		{ "{ \"a\\\"}b\": 1,\n \"iommu\": 1 }", "1: unknown key" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[", "1: " },
	};

	for (size_t i = 0; i < ui_array_size(bad); i++) {
		struct ui_machine_desc before = desc;

		assert_int_not_equal(read_text(bad[i].text), 0);
		if (strncmp(err, bad[i].why, strlen(bad[i].why)) && !strstr(err, bad[i].why))
			fail_msg("%zu: \"%s\" is not \"%s\"", i, err, bad[i].why);
		assert_memory_equal(&before, &desc, sizeof(desc));
	}
}

static void files_that_cannot_be_read_are_named(void **state)
{
	assert_int_not_equal(ui_machine_desc_read(&desc, "/nonexistent/m.json", err, sizeof(err)), 0);
	assert_non_null(strstr(err, "/nonexistent/m.json: No such file"));
	assert_int_not_equal(ui_machine_desc_read(&desc, "/tmp", err, sizeof(err)), 0);
	assert_non_null(strstr(err, "directory"));
}

static void a_machine_is_made_and_taken_down(void **state)
{
	struct ui_machine *machine = NULL;

	assert_int_equal(ui_machine_desc_add(&desc, "dma", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_desc_add(&desc, "dma,pasid-bits=0", err, sizeof(err)), 0);
	assert_int_equal(ui_machine_create(&desc, &machine, err, sizeof(err)), 0);
	assert_int_equal(machine->n_devices, 2);
	assert_string_equal(machine->devices[1].name, "0000:02:00.0");
	assert_non_null(machine->devices[0].bar_mem[2]);
	ui_machine_destroy(machine);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rid_is_parsed_with_and_without_segment, fresh),
		cmocka_unit_test_setup(malformed_rids_are_refused, fresh),
		cmocka_unit_test_setup(a_device_takes_rid_and_pasid_bits, fresh),
		cmocka_unit_test_setup(missing_rids_are_the_first_free, fresh),
		cmocka_unit_test_setup(devices_share_a_group_by_its_number, fresh),
		cmocka_unit_test_setup(bad_devices_are_refused_with_what_is_known, fresh),
		cmocka_unit_test_setup(there_are_at_most_32_devices, fresh),
		cmocka_unit_test_setup(bad_settings_are_refused_with_what_is_known, fresh),
		cmocka_unit_test_setup(the_line_survives_the_trip, fresh),
		cmocka_unit_test_setup(a_malformed_line_is_refused, fresh),
		cmocka_unit_test_setup(a_buffer_too_small_is_an_error, fresh),
		cmocka_unit_test_setup(a_machine_file_says_it_all, fresh),
		cmocka_unit_test_setup(a_bad_machine_file_is_refused_with_line_and_reason, fresh),
		cmocka_unit_test_setup(files_that_cannot_be_read_are_named, fresh),
		cmocka_unit_test_setup(a_machine_is_made_and_taken_down, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
