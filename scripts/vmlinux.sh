#!/usr/bin/env bash
# Prints the path of Debian's Linux kernel with debug information, which it
# downloads once into the user's cache folder: 0.9 GB to fetch, 0.6 GB to keep.
set -euo pipefail

dir=${UKDBG_VMLINUX_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ukdbg/vmlinux}
mkdir -p "$dir"
have=$(find "$dir" -name 'vmlinux-*' -type f -size +100M | sort -V | tail -n 1)
if [ -z "$have" ]; then
	command -v apt-get >/dev/null 2>&1 || { echo "vmlinux.sh: needs apt-get: set UKDBG_VMLINUX_DIR to a folder with a vmlinux-* that has debug information" >&2; exit 1; }
	package=$(apt-cache depends linux-image-amd64-dbg 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-.*-dbg\)$/\1/p' | head -n 1)
	[ -n "$package" ] || { echo "vmlinux.sh: no linux-image-amd64-dbg: run apt-get update" >&2; exit 1; }
	work=$(mktemp -d "$dir/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && apt-get download -qq "$package" >&2 && dpkg-deb --fsys-tarfile ./*.deb | tar x --wildcards './usr/lib/debug/boot/vmlinux-*')
	mv "$work"/usr/lib/debug/boot/vmlinux-* "$dir/"
	have=$(find "$dir" -name 'vmlinux-*' -type f | sort -V | tail -n 1)
fi
echo "$have"
