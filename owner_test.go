package ukdbg

import "testing"

func TestDeviceAt(t *testing.T) {
	const text = `FlatView #0
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan

FlatView #1
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-00000000000bffff (prio 0, ram): pc.ram
  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic
  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi @0000000000000000
`
	for at, want := range map[uint64]string{4: "", 0xfec00010: "ioapic", 0xfee12345: "apic-msi", 0xfec01000: ""} {
		if name, first, last, ok := deviceAt(text, at); name != want || ok != (want != "") || ok && (at < first || at > last) {
			t.Errorf("%#x: %q %#x-%#x %v", at, name, first, last, ok)
		}
	}
}
