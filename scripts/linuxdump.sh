#!/usr/bin/env bash
# Prints a folder with two memory dumps of a Linux guest of 512 MiB, linux.elf and
# linux.kdump (zlib), of the kernel whose vmlinux is given: Debian's, booted in
# QEMU with an init that waits. Made once, kept in the user's cache folder.
set -euo pipefail

vmlinux=$1
release=${vmlinux##*/vmlinux-}
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ukdbg/linuxdump-$release
if [ ! -e "$dir/linux.kdump" ]; then
	mkdir -p "$dir"
	work=$(mktemp -d "$dir/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && apt-get download -qq "linux-image-$release" >&2 && dpkg-deb --fsys-tarfile ./*.deb | tar x --wildcards './boot/vmlinuz-*')
	printf '#include <unistd.h>\nint main(void) { write(1, "init waits\\n", 11); for (;;) pause(); }\n' >"$work/init.c"
	gcc -static -O1 -o "$work/init" "$work/init.c"
	(cd "$work" && echo init | cpio -o -H newc 2>/dev/null | gzip >initrd.gz)
	: >"$work/console"
	{
		for _ in $(seq 240); do
			grep -q "init waits" "$work/console" && break
			sleep 0.5
		done
		printf 'stop\ndump-guest-memory %s/linux.elf\ndump-guest-memory -z %s/linux.kdump\nquit\n' "$work" "$work"
	} | qemu-system-x86_64 -accel tcg -m 512 -smp 2 -cpu max -display none -no-reboot -monitor stdio -serial "file:$work/console" \
		-kernel "$work"/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "console=ttyS0 panic=-1 nokaslr" >/dev/null
	grep -q "init waits" "$work/console" || { echo "linuxdump.sh: Linux did not come up" >&2; tail -n 5 "$work/console" >&2; exit 1; }
	chmod u+w "$work/linux.elf" "$work/linux.kdump"
	mv "$work/linux.elf" "$dir/"
	mv "$work/linux.kdump" "$dir/"
fi
echo "$dir"
