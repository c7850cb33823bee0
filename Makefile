# Thin: everything real is in meson.build and tests/tools. SETUP=0 skips looking for missing packages.
BUILD ?= build

.PHONY: all setup run check check-full bench clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

setup:
	@tests/tools/setup

$(BUILD)/build.ninja: | setup
	meson setup $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

run: setup all
	$(BUILD)/uiommu run -- $(BUILD)/examples/tour

check: setup
	@tests/tools/check quick

check-full: setup
	@tests/tools/check full

bench: setup
	@tests/tools/bench

clean:
	rm -rf build build-*
