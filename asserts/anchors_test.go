package asserts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestAnchors compares with a plain search on text made of the anchors' own
// pieces.
func TestAnchors(t *testing.T) {
	m := newAnchors(allAnchors())
	rng := rand.New(rand.NewPCG(1, 2))
	var words []string
	for _, a := range allAnchors() {
		words = append(words, a.text, a.text[1:], a.text[:len(a.text)-1], a.text[2:4])
	}
	for range 2000 {
		var b []byte
		for range rng.IntN(12) {
			b = append(b, words[rng.IntN(len(words))]...)
			if rng.IntN(2) == 0 {
				b = append(b, byte(rng.IntN(256)))
			}
		}
		var want uint64
		first := -1
		for _, a := range allAnchors() {
			if i := bytes.Index(b, []byte(a.text)); i >= 0 {
				want |= a.bit
				if first < 0 || i < first {
					first = i
				}
			}
		}
		if at, _ := m.next(b); at != first {
			t.Fatalf("%q: first at %d, want %d", b, at, first)
		}
		if got := m.all(b); got != want {
			t.Fatalf("%q: bits %x, want %x", b, got, want)
		}
	}
}

// TestAnchorsAreEnough: a format begins only where one of its anchors is, so
// text without anchors may be passed unread.
func TestAnchorsAreEnough(t *testing.T) {
	for i := range formats {
		if len(formats[i].anchors) == 0 {
			t.Errorf("%s has no anchors", formats[i].name)
		}
		for _, a := range formats[i].anchors {
			if len(a) < anchorLen {
				t.Errorf("%s: anchor %q is shorter than %d bytes", formats[i].name, a, anchorLen)
			}
		}
	}
	if len(formats) >= 63 {
		t.Fatalf("%d formats do not fit the bits", len(formats))
	}
	for _, name := range logNames(t) {
		for n, line := range strings.Split(string(readLog(t, name)), "\n") {
			var s segment
			check := func(seg *segment) {
				for i := range formats {
					if formats[i].begin(seg, nil) != nil && !containsAny(line, formats[i].anchors) {
						t.Errorf("%s:%d: %s begins without one of its anchors: %q", name, n+1, formats[i].name, line)
					}
				}
			}
			splitSegments(clean([]byte(line)), 1, 0, func(seg *segment) { s = *seg; check(&s) })
		}
	}
}

func containsAny(s string, list []string) bool {
	for _, a := range list {
		if strings.Contains(s, a) {
			return true
		}
	}
	return false
}

func BenchmarkAnchors(b *testing.B) {
	m := newAnchors(allAnchors())
	var log []byte
	for i := range 5000 {
		log = fmt.Appendf(log, "[%5d.%06d] Info: <init> [libukallocpool] <pool.c @  390> request %d served in 20 us from 10.0.0.3\r\n", i/100, i%1000000, i)
		log = fmt.Appendf(log, "10.0.0.3 - - [22/Nov/2026:01:00:00 +0000] \"GET /item/%d HTTP/1.1\" 200 612 \"-\" \"curl/7.88.1\"\r\n", i)
	}
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if at, _ := m.next(log); at >= 0 {
			b.Fatal(string(log[at : at+20]))
		}
	}
}
