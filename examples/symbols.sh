#!/bin/sh
# SPDX-License-Identifier: MIT
# What libuiommu shows: uiommu_* and nothing else, and of that all that the installed headers declare.
set -eu
shown=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort)
strange=$(echo "$shown" | grep -v '^uiommu_' || true)
[ -z "$strange" ] || { echo "shown, but not public: $strange"; exit 1; }
headers=$(dirname "$0")/../include/uiommu
for name in $(cat "$headers"/dma.h "$headers"/mem.h "$headers"/smmuv3.h | grep -v '^ \*' | grep -o 'uiommu_[a-z0-9_]*(' | tr -d '(' | sort -u); do
	echo "$shown" | grep -qx "$name" || { echo "not shown: $name"; exit 1; }
done
