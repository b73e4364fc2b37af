// Package guestram reads the physical memory of a running VM in place: out of
// the process that runs it, without stopping it and without its help.
//
// A shared backing (memfd, file) is read with pread through the VMM's own open
// file, which brings no page into being. Other memory is read with
// process_vm_readv, batched, where /proc/PID/pagemap says that the page is
// there. What is not there is an error, "not resident", never zeros: a guest
// page nobody has touched, a hole in a memfd, a page the host has swapped out.
// Ranges a userfaultfd looks after (a guest being restored or migrated) are left
// alone: a read there would wait for somebody else, or count as an access.
//
// Where guest memory lies in the process tells the VMM's monitor (ByMonitor),
// or, where there is none, the image's own bytes found among the process's
// mappings (Search).
//
// Typical use:
//
//	p, err := guestram.OpenProcess(pid)
//	regions, err := guestram.ByMonitor(ctx, conn)
//	ram, err := guestram.Open(p, regions, guestram.Options{})
//	n, err := ram.ReadMemory(ctx, buf, physical)
//	var denied *guestram.AccessError // says the one change that would allow it
//
// Specification: proc_pid_maps(5), proc_pid_pagemap(5), process_vm_readv(2),
// lseek(2) SEEK_DATA, ptrace(2) "Ptrace access mode checking" and Yama;
// Documentation/admin-guide/mm/pagemap.rst of Linux; QEMU's monitor commands
// info mtree and gpa2hva.
package guestram
