package asserts

import (
	"context"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

// TestSignals: what the signal that ended a process proves, and what not.
func TestSignals(t *testing.T) {
	load, store := []byte{0x8b, 0x07}, []byte{0xc6, 0x07, 0x01} // mov (%rdi),%eax; movb $1,(%rdi)
	at := map[string]uint64{"rdi": 0x7000_0010}
	const access, write = 4, 8 // of key 1: PKRU's AD and WD
	for name, tt := range map[string]struct {
		a      *arch.Arch
		code   []byte
		signal Signal
		pkru   uint64
		kind   Kind
		sub    string
	}{
		"nothing mapped": {arch.X86_64, load, Signal{Number: sigSEGV, Code: segvMapErr, Addr: Value(0x7000_0010)}, 0, PageFault, SubNotPresent},
		"read-only":      {arch.X86_64, store, Signal{Number: sigSEGV, Code: segvAccErr, Addr: Value(0x7000_0010)}, 0, PageFault, SubWriteToReadOnly},
		"key, write":     {arch.X86_64, store, Signal{Number: sigSEGV, Code: segvPKUErr, Addr: Value(0x7000_0010), Key: 1}, write, ProtectionKey, SubWriteDisabled},
		"key, all":       {arch.X86_64, store, Signal{Number: sigSEGV, Code: segvPKUErr, Addr: Value(0x7000_0010), Key: 1}, access, ProtectionKey, SubAccessDisabled},
		"key, not told":  {arch.X86_64, store, Signal{Number: sigSEGV, Code: segvPKUErr, Addr: Value(0x7000_0010), Key: 1}, 0, ProtectionKey, ""},
		"no address":     {arch.X86_64, load, Signal{Number: sigSEGV, Code: siKernel}, 0, GeneralProtection, ""},
		"aligned":        {arch.X86_64, load, Signal{Number: sigBUS, Code: busAdrAln, Addr: Value(0x7000_0010)}, 0, Alignment, ""},
		"abort":          {arch.X86_64, load, Signal{Number: sigABRT, Code: -6}, 0, ExplicitCrash, ""},
		"bare":           {arch.X86_64, load, Signal{Number: sigSEGV, Bare: true}, 0, UnknownTrap, ""},
		"bare, ud2":      {arch.X86_64, []byte{0x0f, 0x0b}, Signal{Number: sigILL, Bare: true}, 0, InvalidOpcode, SubCompilerTrap},
		"arm64":          {arch.ARM64, le32(0xb9400000), Signal{Number: sigSEGV, Code: segvMapErr, Addr: Value(8)}, 0, PageFault, SubNullDereference},
	} {
		regs := at
		if tt.a == arch.ARM64 {
			regs = nil
		}
		m := machine(t, tt.a, nil, tt.code, regs)
		m.Signal, m.Trapped = tt.signal, tt.signal.IsFault()
		if tt.pkru != 0 {
			m.System = map[string]uint64{"pkru": tt.pkru}
		}
		f, err := Decode(context.Background(), m)
		if err != nil || f.Kind != tt.kind || f.Subkind != tt.sub {
			t.Errorf("%s: %+v, %v; want %s (%s)", name, f, err, tt.kind, tt.sub)
		}
	}
	// A process that was killed has no fault of its own.
	m := machine(t, arch.X86_64, nil, load, at)
	for _, g := range []Signal{{Number: sigSEGV, Code: 0}, {Number: 9, Code: 0}, {Number: 11, Code: -6}} {
		m.Signal = g
		if f, err := Decode(context.Background(), m); !errors.Is(err, ErrNoFault) {
			t.Errorf("killed by %+v: %+v, %v", g, f, err)
		}
	}
}
