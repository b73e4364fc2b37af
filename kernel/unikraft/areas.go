package unikraft

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

// loaders are symbols of what runs ELF programs on Unikraft: app-elfloader, and
// the binary format handlers that came after it.
var loaders = []string{"elf_ctx_init", "elf_load_vfs", "elf_load_img", "uk_binfmt_load"}

// LoadsPrograms reports whether the kernel can load ELF programs that are not part
// of its image.
func (k *Kernel) LoadsPrograms() bool {
	for _, s := range loaders {
		if _, _, ok := k.symbol(s); ok {
			return true
		}
	}
	return false
}

// maxAreas bounds the list of areas.
const maxAreas = 1 << 12

// Areas lists the run-time addresses at which the areas of the address space begin
// (lib/ukvmem: struct uk_vas, struct uk_vma). An image without ukvmem has none,
// which is kernel.ErrAbsent. Those found before an error are returned with it.
func (k *Kernel) Areas(ctx context.Context) ([]uint64, error) {
	active, _, ok := k.symbol("vmem_active_vas")
	if !ok {
		return nil, fmt.Errorf("vmem_active_vas: %w", kernel.ErrAbsent)
	}
	img := k.cfg.Image
	list, _, err1 := img.Field("uk_vas", "vma_list")
	node, _, err2 := img.Field("uk_vma", "vma_list")
	start, _, err3 := img.Field("uk_vma", "start")
	size, err4 := img.SizeOf("uk_vma")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", kernel.ErrAbsent, err)
		}
	}
	vas, err := target.ReadUint(ctx, k.cfg.Memory, active, 8)
	if err != nil || vas == 0 {
		return nil, err
	}
	head := vas + list
	at, err := target.ReadUint(ctx, k.cfg.Memory, head, 8)
	var out []uint64
	for err == nil && at != head {
		if len(out) == maxAreas {
			return out, fmt.Errorf("the list of areas at %#x does not end", head)
		}
		b := make([]byte, size)
		if err = target.ReadFull(ctx, k.cfg.Memory, b, at-node); err != nil {
			break
		}
		out = append(out, binary.LittleEndian.Uint64(b[start:]))
		at = binary.LittleEndian.Uint64(b[node:])
	}
	return out, err
}
