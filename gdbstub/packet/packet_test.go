package packet

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func naiveSum(p []byte) (s byte) {
	for _, c := range p {
		s += c
	}
	return s
}

func TestChecksum(t *testing.T) {
	for n := range 5000 {
		p := bytes.Repeat([]byte{0xff}, n)
		if n > 7 {
			p[n/2] = byte(n)
		}
		if got, want := Checksum(p), naiveSum(p); got != want {
			t.Fatalf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}

// read feeds in to a Reader step bytes at a time.
func read(max int, in string, step int) (out []string) {
	r := Reader{Max: max}
	b := []byte(in)
	for len(b) > 0 {
		chunk := b[:min(step, len(b))]
		b = b[len(chunk):]
		for len(chunk) > 0 {
			tok, n := r.Next(chunk)
			chunk = chunk[n:]
			name := map[Kind]string{Data: "data", Notification: "note", Ack: "+", Nack: "-", Break: "break",
				BadChecksum: "bad", TooLong: "long", Noise: "noise"}[tok.Kind]
			switch {
			case tok.Kind == More:
			case tok.Kind == Noise && len(out) > 0 && strings.HasPrefix(out[len(out)-1], "noise "):
				out[len(out)-1] += string(tok.Payload)
			default:
				if len(tok.Payload) > 0 || tok.Kind == Noise {
					name += " " + string(tok.Payload)
				}
				out = append(out, name)
			}
		}
	}
	return out
}

func TestReader(t *testing.T) {
	pk := func(s string) string { return string(AppendString(nil, s)) }
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"ok", "$OK#9a", []string{"data OK"}},
		{"upper case sum", "$OK#9A", []string{"data OK"}},
		{"empty", "$#00", []string{"data"}},
		{"ack then data", "+$OK#9a", []string{"+", "data OK"}},
		{"nack", "-", []string{"-"}},
		{"break", "\x03", []string{"break"}},
		{"wrong sum", "$OK#9b$OK#9a", []string{"bad", "data OK"}},
		{"sum is not hex", "$OK#zz", []string{"bad"}},
		{"notification", "%Stop:T05#" + hexSum("Stop:T05"), []string{"note Stop:T05"}},
		{"run", pk("0* "), []string{"data 0000"}},
		{"longest run", pk("x*~"), []string{"data x" + strings.Repeat("x", 97)}},
		{"run without a byte", pk("* "), []string{"bad"}},
		{"run cut off", pk("0*"), []string{"bad"}},
		{"run count not printable", pk("0*\x1f"), []string{"bad"}},
		{"escape", pk("a}\x03b}]"), []string{"data a#b}"}},
		{"escape cut off", pk("a}"), []string{"bad"}},
		{"escaped byte then a run", pk("}\x0a*!"), []string{"data *****"}},
		{"new packet inside old", "$m1234$OK#9a", []string{"data OK"}},
		{"console text around", "boot\r\n$OK#9amore", []string{"noise boot\r\n", "data OK", "noise more"}},
		{"too long", pk(strings.Repeat("a", 101)) + "$OK#9a", []string{"long", "data OK"}},
		{"just fits", pk(strings.Repeat("a", 100)), []string{"data " + strings.Repeat("a", 100)}},
		{"run grows too long", pk("0*~*~") + "$OK#9a", []string{"long", "data OK"}},
	} {
		for _, step := range []int{1, 2, 3, 7, 1000} {
			got := read(100, tc.in, step)
			if strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("%s, %d bytes at a time: %q, want %q", tc.name, step, got, tc.want)
			}
		}
	}
}

func hexSum(s string) string { return hex.EncodeToString([]byte{Checksum([]byte(s))}) }

func TestAppendRoundTrip(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var r Reader
	tok, _ := r.Next(Append(nil, all))
	if tok.Kind != Data || !bytes.Equal(tok.Payload, all) {
		t.Fatalf("got %v %q", tok.Kind, tok.Payload)
	}
}

func TestHex(t *testing.T) {
	var dst [4]byte
	for _, tc := range []struct {
		in string
		n  int
		ok bool
	}{
		{"", 0, true}, {"0aFf", 2, true}, {"0", 0, false}, {"0g", 1, false}, {"g0", 1, false},
		{"00112233", 4, true}, {"0011223344", 0, false}, {"\xff\xff", 1, false},
	} {
		n, ok := DecodeHex(dst[:], []byte(tc.in))
		if ok != tc.ok || ok && n != tc.n {
			t.Errorf("DecodeHex(%q) = %d, %v", tc.in, n, ok)
		}
	}
	for _, v := range []uint64{0, 1, 0xf, 0x10, 0xffff800000100000, ^uint64(0)} {
		got, rest, ok := ParseUint(append(AppendUint(nil, v), ";x"...))
		if got != v || string(rest) != ";x" || !ok {
			t.Errorf("%#x came back as %#x %q %v", v, got, rest, ok)
		}
	}
	if _, _, ok := ParseUint([]byte("10000000000000000")); ok {
		t.Error("65 bits were accepted")
	}
}

func TestNoAllocations(t *testing.T) {
	in := Append(nil, AppendHex(nil, make([]byte, 2048)))
	dst := make([]byte, 2048)
	var r Reader
	if n := testing.AllocsPerRun(100, func() {
		tok, _ := r.Next(in)
		if _, ok := DecodeHex(dst, tok.Payload); !ok {
			t.Fatal("not decoded")
		}
	}); n != 0 {
		t.Fatalf("%v allocations a packet", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"$OK#9a", "$0* #7a+", "%Stop:T05#00", "$}\x03#a0$", "-\x03noise$#00"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		if step < 1 || step > 4096 {
			step = 1
		}
		// However the bytes are cut up, the same tokens come out.
		a, b := read(300, string(in), step), read(300, string(in), len(in)+1)
		if strings.Join(a, "\x00") != strings.Join(b, "\x00") {
			t.Fatalf("%q in steps of %d: %q, in one: %q", in, step, a, b)
		}
		for _, tok := range a {
			if len(tok) > 300+len("data ") && !strings.HasPrefix(tok, "noise") {
				t.Fatalf("payload over the limit: %d", len(tok))
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("m1000,40"))
	f.Add([]byte("X0,3:$#}*"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Reader
		sent := Append(nil, in)
		tok, n := r.Next(sent)
		if len(in) <= DefaultMax && (tok.Kind != Data || !bytes.Equal(tok.Payload, in) || n != len(sent)) {
			t.Fatalf("%q came back as %v %q", in, tok.Kind, tok.Payload)
		}
	})
}

func BenchmarkMemoryReply(b *testing.B) {
	in := Append(nil, AppendHex(nil, make([]byte, 2048)))
	dst := make([]byte, 2048)
	var r Reader
	b.SetBytes(2048)
	for b.Loop() {
		tok, _ := r.Next(in)
		DecodeHex(dst, tok.Payload)
	}
}
