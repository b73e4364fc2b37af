// Package fakevmm makes processes that look like QEMU from outside: a command line,
// a RAM file mapped into memory, and a monitor that answers what a real QEMU once
// answered. They cost next to nothing, so that hundreds of idle guests can be had, and
// they do on command what a real QEMU does seldom: hang, refuse, be set back.
//
//	func TestMain(m *testing.M) { fakevmm.Main(); os.Exit(m.Run()) }
//
//	snap, err := fakevmm.Capture(ctx, monitor, ram, vmm.Process{…})   // of a real one
//	vm, err := fakevmm.Start(snap, fakevmm.Options{Name: "shop-1", Dir: dir})
//	err = vm.Do("hang")
//
// The program that uses it is started again as the fake; Main must come first in its
// main.
package fakevmm
