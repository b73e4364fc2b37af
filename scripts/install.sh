#!/usr/bin/env bash
# Installs the programs named on the command line where they are missing, by
# Debian's or Ubuntu's package manager: scripts/install.sh qemu gdb cross …
# Says nothing when all are there.
set -euo pipefail

declare -A packages=(
	[qemu]="qemu-system-x86 qemu-system-arm qemu-utils"
	[gdb]="gdb-multiarch"
	[cross]="gcc libc6-dev gcc-aarch64-linux-gnu binutils binutils-aarch64-linux-gnu"
	[clang]="clang-16 lld-16 llvm-16"
	[readers]="babeltrace2 chromium nodejs npm tcpdump tshark"
	[crates]="cargo librust-addr2line+default-dev librust-clap-3-dev librust-memmap2-dev librust-typed-arena-dev librust-fallible-iterator-dev"
	[dumps]="makedumpfile"
	[sources]="xz-utils"
	[prometheus]="prometheus"
	[deploy]="systemd libcap2-bin"
	[linuxdumps]="crash cpio"
	[debuginfo]="g++ g++-12 clang-14 llvm-14 dwz elfutils rustc"
)
declare -A programs=(
	[qemu]="qemu-system-x86_64 qemu-system-aarch64 qemu-img"
	[gdb]="gdb-multiarch"
	[cross]="gcc aarch64-linux-gnu-gcc addr2line"
	[clang]="clang-16 ld.lld-16 llvm-symbolizer-16"
	[readers]="babeltrace2 chromium node npm tcpdump tshark"
	[crates]="cargo /usr/share/cargo/registry/addr2line-0.19.0 /usr/share/cargo/registry/typed-arena-2.0.1"
	[dumps]="makedumpfile"
	[sources]="xz"
	[prometheus]="prometheus promtool"
	[deploy]="systemd-analyze capsh"
	[linuxdumps]="crash cpio"
	[debuginfo]="g++ g++-12 clang-14 llvm-dwp-14 dwz eu-addr2line rustc"
)

missing=()
for group in "$@"; do
	[ -n "${packages[$group]:-}" ] || { echo "install.sh: unknown group '$group' (have: ${!packages[*]})" >&2; exit 2; }
	for program in ${programs[$group]}; do
		if [ ! -e "$program" ] && ! command -v "$program" >/dev/null 2>&1; then
			missing+=(${packages[$group]})
			break
		fi
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install.sh: missing ${missing[*]}, and there is no apt-get here: install them by hand, then run make again" >&2
	exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null 2>&1 || { echo "install.sh: missing ${missing[*]}: run 'apt-get install ${missing[*]}' as root, then make again" >&2; exit 1; }
	sudo=sudo
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	cat "$log" >&2
	echo "install.sh: could not install ${missing[*]}" >&2
	exit 1
fi
# Of Prometheus the programs are wanted, not the server that the package starts.
if [[ " ${missing[*]} " == *" prometheus "* ]] && command -v systemctl >/dev/null 2>&1; then
	$sudo systemctl disable --now prometheus >/dev/null 2>&1 || true
fi
