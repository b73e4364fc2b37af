// Package hosts knows the guests of this host: what kraft, libvirt, Firecracker
// or a person at a shell started, by the names these give them, and the ways
// each can be reached.
//
//	h := hosts.New()
//	guests, err := h.List(ctx)                    // what ukdbg ls prints
//	spec, guest, err := h.Resolve(ctx, spec)      // kraft:nginx → qmp:/…/qemu_mon.sock
//
// Guests are found by their processes (package vmm). No guest is stopped, and
// what belongs to other tools is left to them: kraft's qemu_control and
// qemu_events sockets and its database are never opened (names come from what
// "kraft ps" prints), nor is libvirt's monitor (its state comes from the status
// file libvirtd keeps for each domain). A monitor nobody owns is asked for the
// run state and let go, unless somebody is connected to it.
package hosts
