package gdbstub

import (
	"testing"

	"github.com/ukdbg/ukdbg/target"
)

// On real QEMU; the memory read is the guest's pattern over and over.

func BenchmarkQEMUAttachRegistersLeave(b *testing.B) {
	for _, a := range archs {
		b.Run(a, func(b *testing.B) {
			v := startVM(b, vmOptions{arch: a})
			for b.Loop() {
				c, err := Dial(bg, v.gdb, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.ReadRegisters(bg, 0); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Leave(bg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkQEMURead(b *testing.B) {
	for _, tcp := range []bool{false, true} {
		v := startVM(b, vmOptions{arch: "x86_64", tcp: tcp})
		c := v.dial(Options{})
		name := "unix"
		if tcp {
			name = "tcp"
		}
		for size, label := range map[int]string{8: "8B", 2048: "2KiB", 16 << 20: "16MiB"} {
			b.Run(name+"/"+label, func(b *testing.B) {
				p := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := target.ReadFull(bg, c, p, 0x100000); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(name+"/registers", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ReadRegisters(bg, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/interrupt", func(b *testing.B) {
			for b.Loop() {
				if err := c.Resume(bg); err != nil {
					b.Fatal(err)
				}
				if err := c.Interrupt(bg); err != nil {
					b.Fatal(err)
				}
				wantStop(b, c, target.StopInterrupt)
			}
		})
		b.Run(name+"/step", func(b *testing.B) {
			for b.Loop() {
				if err := c.Resume(bg, target.Action{CPU: 0, Step: true}); err != nil {
					b.Fatal(err)
				}
				wantStop(b, c, target.StopStep)
			}
		})
		leave(b, c)
	}
}
