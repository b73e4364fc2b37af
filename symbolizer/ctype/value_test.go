package ctype_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

func TestValues(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		uints := []struct {
			name string
			v    ctype.Value
			want uint64
		}{
			{"first.ctx.ip", r.Global("first").Field("ctx.ip"), 0x1122334455667788},
			{"first.ctx.sp", r.Global("first").Field("ctx").Field("sp"), 42},
			{"first.i", r.Global("first").Field("i"), 0x20001},
			{"first.hi", r.Global("first").Field("hi"), 2},
			{"first.a", r.Global("first").Field("a"), 5},
			{"first.b", r.Global("first").Field("b"), ^uint64(2)},
			{"first.wide", r.Global("first").Field("wide"), 0x8877665544},
			{"first.next->a", r.Global("first").Field("next").Deref().Field("a"), 1},
			{"bits.x", r.Global("bits").Field("x"), 1},
			{"bits.y", r.Global("bits").Field("y"), 0x55},
			{"bits.z", r.Global("bits").Field("z"), 0x1ffffffff},
			{"bits.s", r.Global("bits").Field("s"), ^uint64(7)},
			{"matrix[1][2]", r.Global("matrix").Index(1).Index(2), 6},
			{"colour", r.Global("colour"), 5},
			{"sign", r.Global("sign"), ^uint64(0)},
			{"flags", r.Global("flags"), 5},
			{"yes", r.Global("yes"), 1},
			{"words[3]", r.Global("words").Index(3), 4},
			{"the_hidden.secret", r.Global("the_hidden").Field("secret"), 7},
		}
		for _, c := range uints {
			if got, err := c.v.Uint(); err != nil || got != c.want {
				t.Errorf("%s = %#x, %v; want %#x", c.name, got, err, c.want)
			}
		}
		for path, want := range map[string]string{"name": "first", "tag": "tagged"} {
			if got, err := r.Global("first").Field(path).CString(100); err != nil || got != want {
				t.Errorf("first.%s = %q, %v; want %q", path, got, err, want)
			}
		}
		if got, err := r.Global("second").Field("tag").CString(100); got != "12345678" || err != nil {
			t.Errorf("second.tag = %q, %v", got, err)
		}
		if got, err := r.Global("pi").Float(); got != 3.14159 || err != nil {
			t.Errorf("pi = %v, %v", got, err)
		}
	})
}

func TestValueErrors(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		_, err := r.Global("first").Field("ctx.nope").Deref().Field("x").Uint()
		var fe *ctype.FieldError
		if !errors.As(err, &fe) || err.Error() != "struct ctx has no field nope (fields: ip, sp)" {
			t.Errorf("missing field: %v", err)
		}
		_, err = r.Global("zero_pointer").Deref().Int()
		if err == nil || !strings.Contains(err.Error(), "null pointer") {
			t.Errorf("null pointer: %v", err)
		}
		_, err = r.AtName("struct node", 0x10).Field("ctx.sp").Uint()
		var fault *target.FaultError
		if !errors.As(err, &fault) || fault.Addr != 0x18 {
			t.Errorf("unreadable: %v", err)
		}
		_, err = r.AtName("node", 0).Uint()
		if err == nil || !strings.Contains(err.Error(), "there is struct node") {
			t.Errorf("struct forgotten: %v", err)
		}
		_, err = r.Global("matrix").Index(2).Index(0).Uint()
		if err == nil {
			t.Error("matrix[2][0] is outside and gave no error")
		}
		if _, err = r.Global("nowhere").Uint(); err == nil {
			t.Error("a variable that does not exist gave no error")
		}
	})
}

func TestWholeStructIsReadOnce(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		v := r.Global("first")
		for _, f := range []string{"ctx.ip", "ctx.sp", "next", "a", "wide", "lo"} {
			if _, err := v.Field(f).Uint(); err != nil {
				t.Fatal(err)
			}
		}
		if mem.reads != 1 {
			t.Errorf("%d reads for one struct", mem.reads)
		}
	})
}

func TestList(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		start := r.Global("first").Field("next")
		all, err := start.List("next", 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("list of %d, %v", len(all), err)
		}
		if _, err := start.List("next", 1); err == nil {
			t.Error("the limit was passed without an error")
		}
		back := all[0].Field("ctx.sp").ContainerOf(all[0].Type, "ctx.sp")
		if back.Addr != all[0].Addr {
			t.Errorf("ContainerOf gave %#x, want %#x", back.Addr, all[0].Addr)
		}
	})
}

func TestLoadManyAtOnce(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		a, b, bad := r.Global("first"), r.Global("second"), r.AtName("struct node", 8)
		if err := r.Load(a, b, a, bad); err != nil {
			t.Fatal(err)
		}
		reads := mem.reads
		for _, v := range []ctype.Value{a, b} {
			if _, err := v.Field("a").Uint(); err != nil {
				t.Error(err)
			}
		}
		if mem.reads != reads || reads != 3 {
			t.Errorf("%d reads for Load, %d after", reads, mem.reads-reads)
		}
		if _, err := bad.Field("a").Uint(); err == nil {
			t.Error("unreadable struct gave a value")
		}
	})
}

func TestForwardDeclaration(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		h := r.Global("first").Field("h").Type.Strip().Elem()
		if names := h.FieldNames(); len(names) != 2 || names[0] != "secret" {
			t.Errorf("struct hidden was not completed from the other unit: %v", names)
		}
		if h.Size() != 8 {
			t.Errorf("size of struct hidden is %d", h.Size())
		}
	})
}

func TestStaticsOfOneName(t *testing.T) {
	forEach(t, func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory) {
		for file, want := range map[string]int64{"layout.c": 77, "other.c": 88} {
			v, err := ts.GlobalIn(file, "only_here")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Variable(v).Int(); err != nil || got != want {
				t.Errorf("%s: only_here = %d, %v; want %d", file, got, err, want)
			}
		}
	})
}
