/* SPDX-License-Identifier: BSD-3-Clause */
/* The few things the kernel wants from a flattened device tree: bootargs, RAM, the PCIe host bridge. */
#include <guest/config.h>
#include <guest/string.h>

#include "arm64.h"

struct fdt_header { /* big-endian */
	__u32 magic;
	__u32 totalsize;
	__u32 off_struct;
	__u32 off_strings;
};
#define FDT_MAGIC 0xd00dfeed
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };

static __u32 be32(const void *p)
{
	const __u8 *b = p;

	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static __u64 be64(const void *p) { return (__u64)be32(p) << 32 | be32((const char *)p + 4); }

static bool starts(const char *s, const char *prefix) { return !strncmp(s, prefix, strlen(prefix)); }

/* ranges of a PCIe host: entries of 3 child cells, 2 parent cells, 2 size cells; space 1 is I/O ports. */
static void pcie_ranges(const char *v, __u32 len)
{
	for (; len >= 28; v += 28, len -= 28)
		if ((be32(v) >> 24 & 3) == 1)
			machine.pcie_io = be64(v + 12);
}

static void property(const char *node, const char *name, const char *v, __u32 len)
{
	if (starts(node, "chosen") && !strcmp(name, "bootargs")) {
		strlcpy(machine.bootargs, v, MIN(sizeof(machine.bootargs), len));
	} else if (starts(node, "memory") && !strcmp(name, "reg") && len >= 16) {
		machine.ram_start = be64(v);
		machine.ram_end = machine.ram_start + MIN(be64(v + 8), CONFIG_RAM_MAX);
	} else if (starts(node, "pcie@") && !strcmp(name, "reg") && len >= 8) {
		machine.pcie_ecam = be64(v);
	} else if (starts(node, "pcie@") && !strcmp(name, "ranges")) {
		pcie_ranges(v, len);
	}
}

void fdt_parse(const void *fdt)
{
	const struct fdt_header *h = fdt;
	const char *base = fdt, *p, *end, *node = "";

	if (be32(&h->magic) != FDT_MAGIC)
		return;
	p = base + be32(&h->off_struct);
	end = base + be32(&h->totalsize);
	while (p + 4 <= end) {
		__u32 token = be32(p);

		p += 4;
		if (token == FDT_BEGIN_NODE) {
			node = p;
			p += ALIGN_UP(strlen(p) + 1, 4);
		} else if (token == FDT_PROP) {
			__u32 len = be32(p);

			property(node, base + be32(&h->off_strings) + be32(p + 4), p + 8, len);
			p += 8 + ALIGN_UP(len, 4);
		} else if (token == FDT_END) {
			return;
		}
	}
}
