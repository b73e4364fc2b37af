// Package proctest makes up a /proc, for tests of what reads one.
//
//	p := proctest.New(t)
//	p.Process(7, 1000, []string{"qemu-system-x86_64", "-name", "shop"}, "fd/3=socket:[777]")
//	list, err := vmm.Proc(p.Dir).List(ctx)
//
// A process has the files stat, status and cmdline and the links root, cwd and
// exe of proc(5); further files and links are the test's.
package proctest
