// Package mmu walks a guest's page tables in physical memory, for dumps and for
// live RAM alike.
//
//	root := mmu.X86(cr3, cr4&mmu.CR4LA57 != 0)
//	virt := mmu.Virtual(phys, root)
//	err := target.ReadFull(ctx, virt, buf, 0xffff800000001000)
//
// Tables are hostile: a walk takes as many steps as the format has levels and
// no more, whatever they point to, and what lies beyond the physical address
// width is a fault. Pages that are present for nobody but the kernel read all
// the same; what a page allows is reported in Page.
//
// Specifications: Intel SDM volume 3A, chapter 4 (4-level and 5-level paging,
// protection keys); Arm ARM (DDI 0487), chapter D8 (VMSAv8-64 stage 1
// translation with 4 KiB, 16 KiB and 64 KiB granules).
package mmu
