#!/bin/sh
# Prints the versions of the tools that decide the bytes of an image.
set -e
for tool in gcc-12 aarch64-linux-gnu-gcc-12 x86_64-linux-gnu-ld aarch64-linux-gnu-ld clang-16 ld.lld-16; do
	printf '%s: ' "$tool"
	"$tool" --version | head -n 1
done
