/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elf32wrap IN OUT: writes the loadable segments of a little-endian ELF64 executable as an ELF32/i386 executable, which is what a
 * multiboot 1 loader takes. Addresses must lie below 4 GiB. Runs on the build machine; host byte order must be little-endian.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *name)
{
	fprintf(stderr, "elf32wrap: %s: %s\n", name, what);
	exit(1);
}

static unsigned char *slurp(const char *name, size_t *size)
{
	FILE *f = fopen(name, "rb");
	unsigned char *p;
	long n;

	if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
		die("cannot read", name);
	p = malloc((size_t)n + 1);
	if (!p || fread(p, 1, (size_t)n, f) != (size_t)n)
		die("cannot read", name);
	fclose(f);
	*size = (size_t)n;
	return p;
}

int main(int argc, char **argv)
{
	size_t size, offset;
	unsigned char *in;
	Elf64_Ehdr *eh;
	Elf64_Phdr *ph;
	Elf32_Ehdr out = { 0 };
	Elf32_Phdr seg[8] = { 0 };
	int n = 0;
	FILE *f;

	if (argc != 3)
		die("usage: elf32wrap IN OUT", "arguments");
	in = slurp(argv[1], &size);
	eh = (Elf64_Ehdr *)in;
	if (size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64)
		die("not an ELF64 file", argv[1]);
	ph = (Elf64_Phdr *)(in + eh->e_phoff);
	offset = 4096;
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		if (n == 8 || ph[i].p_paddr + ph[i].p_memsz > 0xffffffffUL || ph[i].p_offset + ph[i].p_filesz > size)
			die("segments do not fit", argv[1]);
		seg[n].p_type = PT_LOAD;
		seg[n].p_offset = (Elf32_Off)offset;
		seg[n].p_vaddr = (Elf32_Addr)ph[i].p_vaddr;
		seg[n].p_paddr = (Elf32_Addr)ph[i].p_paddr;
		seg[n].p_filesz = (Elf32_Word)ph[i].p_filesz;
		seg[n].p_memsz = (Elf32_Word)ph[i].p_memsz;
		seg[n].p_flags = ph[i].p_flags;
		seg[n].p_align = 4096;
		offset += (ph[i].p_filesz + 4095) & ~4095UL;
		n++;
	}
	memcpy(out.e_ident, eh->e_ident, EI_NIDENT);
	out.e_ident[EI_CLASS] = ELFCLASS32;
	out.e_type = ET_EXEC;
	out.e_machine = EM_386;
	out.e_version = EV_CURRENT;
	out.e_entry = (Elf32_Addr)eh->e_entry;
	out.e_phoff = sizeof(out);
	out.e_ehsize = sizeof(out);
	out.e_phentsize = sizeof(seg[0]);
	out.e_phnum = (Elf32_Half)n;
	f = fopen(argv[2], "wb");
	if (!f || fwrite(&out, sizeof(out), 1, f) != 1 || fwrite(seg, sizeof(seg[0]), (size_t)n, f) != (size_t)n)
		die("cannot write", argv[2]);
	for (int i = 0, k = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		if (fseek(f, (long)seg[k].p_offset, SEEK_SET) ||
		    fwrite(in + ph[i].p_offset, 1, ph[i].p_filesz, f) != ph[i].p_filesz)
			die("cannot write", argv[2]);
		k++;
	}
	if (fclose(f))
		die("cannot write", argv[2]);
	return 0;
}
