package gdbstub

import (
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// All at once is the same as one after the other.
func TestReadAllRegisters(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		vm := guesttest.Start(t, guesttest.Options{Image: image, GDB: "unix", SMP: 4})
		spec, err := target.ParseSpec(vm.GDBAddr())
		must(t, err)
		c, err := Dial(bg, spec, Options{})
		must(t, err)
		for range 2 { // the first time the stub's g is not known yet
			all, err := c.ReadAllRegisters(bg)
			must(t, err)
			if len(all) != 4 {
				t.Fatalf("%d register sets", len(all))
			}
			for i := range all {
				one, err := c.ReadRegisters(bg, target.CPU(i))
				must(t, err)
				if one != all[i] || one.PC() == 0 {
					t.Errorf("%s, CPU %d: %+v, one by one %+v", image, i, all[i], one)
				}
			}
		}
		_, err = c.Leave(bg)
		must(t, err)
		vm.Kill()
	}
}
