package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pieces is an input that comes in pieces: sizes tells how long each is, over and over.
type pieces struct {
	data  []byte
	sizes []byte
	n     int
	end   error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, p.end
	}
	size := len(b)
	if len(p.sizes) > 0 {
		size = 1 + int(p.sizes[p.n%len(p.sizes)])*4
		p.n++
	}
	n := copy(b[:min(size, len(b))], p.data)
	p.data = p.data[n:]
	return n, nil
}

// queriesOf are the queries of an input, and what ended it.
func queriesOf(in io.Reader, whole bool) ([]query, error) {
	f := feed{whole: whole}
	f.changed.L = &f.mu
	go f.read(in)
	var all []query
	for {
		got, err := f.take()
		all = append(all, got...)
		if err != nil {
			return all, err
		}
	}
}

// TestQueries: the queries of an input are those of its lines, in whatever pieces it
// comes, up to the first line that is too long. It is no fuzz target because TestMain
// builds the command, in every worker anew: its inputs are drawn from words that matter.
func TestQueries(t *testing.T) {
	words := []string{"0x10", "ffffffff80000000", "0XaB", "11111111111111111", "not one", "0x", "\n", "\n", "\n", "\r\n", " ", "\t", "\x00", "\xff",
		strings.Repeat("1", maxQuery-1), strings.Repeat(" ", maxQuery), strings.Repeat("\n", 100)}
	failed := errors.New("read error")
	r := rand.New(rand.NewPCG(3, 4))
	ends := map[error]int{}
	for range 2000 {
		var data []byte
		for range r.IntN(12) {
			data = append(data, words[r.IntN(len(words))]...)
		}
		sizes := make([]byte, r.IntN(4))
		for i := range sizes {
			sizes[i] = byte(r.IntN(256) >> r.IntN(8))
		}
		end := []error{io.EOF, failed}[r.IntN(2)]
		want, wantErr := wantQueries(data, end)
		ends[wantErr]++
		got, err := queriesOf(&pieces{data: data, sizes: sizes, end: end}, r.IntN(2) == 0)
		if err != wantErr || !slices.Equal(got, want) {
			t.Fatalf("%q in pieces of %v: %+v, %v\nwant %+v, %v", data, sizes, got, err, want, wantErr)
		}
	}
	if len(ends) != 3 {
		t.Errorf("not every end was met: %v", ends)
	}
}

// wantQueries are the queries of an input that ends with an error, told from it as a whole.
func wantQueries(data []byte, end error) (want []query, err error) {
	for len(data) > 0 {
		line, rest, ended := bytes.Cut(data, []byte{'\n'})
		if len(line) > maxQuery {
			return want, errLongLine
		}
		if !ended && end != io.EOF {
			break // cut off: it may be the beginning of another address
		}
		data = rest
		if text := strings.TrimSpace(string(line)); text != "" {
			q := query{bad: text}
			digits := strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
			if v, err := strconv.ParseUint(digits, 16, 64); err == nil && len(digits) <= 16 {
				q = query{addr: v}
			}
			want = append(want, q)
		}
	}
	return want, end
}
