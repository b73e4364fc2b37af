// Package guesttest boots the prebuilt guest images in QEMU for tests.
//
//	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-arm64", GDB: "tcp", Append: "fault=null after=20"})
//	vm.WaitConsole(t, "Unikraft halted", 10*time.Second)
//	target := vm.GDBAddr() // "tcp:127.0.0.1:40123", as target.ParseSpec takes it
//
// QEMU ends with the test. A machine without QEMU fails the test and says which package is missing. Ports are the kernel's
// choice and files lie in the test's own folder, so any number of VMs may run side by side.
//
// The images' DWARF calls the guest/ folder /src/guest; SourceRoot says where it really is, for "list" and its like.
package guesttest
