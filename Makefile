# Thin: everything real is in meson.build and tests/tools. SETUP=0 skips looking for missing packages.
BUILD ?= build

.PHONY: all setup run check check-full check-kernel check-guests check-smmuv3 bench bench-guests fuzz clean

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

# The kernel's own tests of iommufd, as part of check-full too; see docs/conformance.md.
check-kernel: setup all
	@BUILD=$(BUILD) tests/clients/run-selftest

# QEMU and stock guests with the nvme device, as part of check-full too; see docs/guests.md.
check-guests: setup all
	@BUILD=$(BUILD) tests/clients/check-guests

# QEMU's SMMUv3 and the tables of a stock arm64 kernel, as part of check-full too; see docs/conformance.md.
check-smmuv3: setup all
	@BUILD=$(BUILD) tests/clients/check-smmuv3

# Looks for bugs for FUZZ_SECONDS; new inputs stay in build-fuzz/corpus.
fuzz: setup
	@tests/tools/fuzz run

bench: setup
	@tests/tools/bench

# Reads in stock guests, through uiommu and from QEMU's own disk; see docs/guests.md.
bench-guests: setup
	@tests/tools/bench guests

clean:
	rm -rf build build-*
