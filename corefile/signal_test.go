package corefile

import (
	"encoding/binary"
	"testing"
)

// TestXSavePKRU: PKRU is told only where it surely lies.
func TestXSavePKRU(t *testing.T) {
	area := func(size int, xcr0, present uint64, at int, pkru uint32) []byte {
		b := make([]byte, size)
		binary.LittleEndian.PutUint64(b[xcr0At:], xcr0)
		binary.LittleEndian.PutUint64(b[xstateBV:], present)
		if at > 0 {
			binary.LittleEndian.PutUint32(b[at:], pkru)
		}
		return b
	}
	for name, tt := range map[string]struct {
		b    []byte
		pkru uint32
		ok   bool
	}{
		"Intel with AVX-512":          {area(2696, 0x2e7, 0x200, 2688, 0x55555554), 0x55555554, true},
		"Intel with AMX behind it":    {area(11008, 0x602e7, 0x200, 2688, 8), 8, true},
		"AMD without AVX-512":         {area(2440, 0x207, 0x200, 2432, 4), 4, true},
		"never written":               {area(2440, 0x207, 7, 0, 0), 0, true},
		"no keys":                     {area(2696, 0xe7, 7, 2688, 4), 0, false},
		"of a size that tells none":   {area(3000, 0x207, 0x200, 2432, 4), 0, false},
		"cut":                         {area(2696, 0x2e7, 0x200, 2688, 4)[:2690], 0, false},
		"shorter than its own header": {make([]byte, 575), 0, false},
	} {
		if pkru, ok := xsavePKRU(tt.b); pkru != tt.pkru || ok != tt.ok {
			t.Errorf("%s: %#x, %v; want %#x, %v", name, pkru, ok, tt.pkru, tt.ok)
		}
	}
}
