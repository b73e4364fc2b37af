// Package loaded finds the ELF images that a guest loaded itself: an application,
// its dynamic loader and the libraries that one loaded. Unikraft's app-elfloader
// runs Linux programs so, whose code is in no image of the kernel.
//
//	found, notes, err := loaded.Find(ctx, mem, loaded.Where{Areas: areas, Stacks: stacks})
//	for _, o := range found {
//		im, err := files.Open(ctx, mem, o) // a *MissingError names what is not there
//	}
//
// Where an image lies is what the guest's own memory says: the auxiliary vector
// on the application's stack (AT_PHDR, AT_BASE), the areas of its address space,
// and the dynamic loader's list (DT_DEBUG, struct r_debug, struct link_map). Only
// where all of that has nothing to say of an address, the ELF header below it is
// looked for, which Object.How tells.
//
// A file is taken only if its build id is that in the guest's memory, or, where
// there is none, if its bytes are.
//
// Formats: System V ABI (ELF header, program headers, dynamic section), the
// interface of the dynamic loader to debuggers (<link.h> of glibc and musl, LP64),
// the auxiliary vector (System V ABI, AMD64 supplement, 3.4.3), cpio "newc" (Linux
// Documentation/driver-api/early-userspace/buffer-format.rst).
package loaded
