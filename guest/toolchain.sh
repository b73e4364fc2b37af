#!/bin/sh
# toolchain.sh TOOL...: the versions of the tools that decide the bytes of an image, without the names they go by here.
set -e
for tool in "$@"; do
	"$tool" --version | head -n 1 | sed 's/^[^ ]*gcc[^ ]* /gcc /'
done
