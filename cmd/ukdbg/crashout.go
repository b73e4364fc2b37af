package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
)

// faultOutput writes faults as they are found. end is called once, after the
// last, whether or not reading went well.
type faultOutput interface {
	fault(rep ukdbg.FaultReport) error
	end() error
}

// output is the form the flags ask for. none is what a text says when there is
// no fault, log the file the faults are read from, "" if none.
func (f *crashFlags) output(e env, none, log string) faultOutput {
	switch {
	case f.sarif:
		return &faultSARIF{w: e.out, o: asserts.SARIFOptions{Log: log, Version: version}}
	case f.json && f.follow:
		return &faultLines{json.NewEncoder(e.out)}
	case f.json:
		return &faultArray{w: e.out}
	}
	return &faultText{w: e.out, none: none}
}

// faultText writes them for people.
type faultText struct {
	w    io.Writer
	none string
	n    int
}

func (t *faultText) fault(rep ukdbg.FaultReport) error {
	if t.n++; t.n > 1 {
		if _, err := fmt.Fprintln(t.w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(t.w, rep.Text)
	return err
}

func (t *faultText) end() error {
	if t.n > 0 {
		return nil
	}
	_, err := fmt.Fprintln(t.w, t.none)
	return err
}

// faultArray writes {"faults": […]}, each fault when it is found: a log of any
// length takes no more memory.
type faultArray struct {
	w io.Writer
	n int
}

func (a *faultArray) fault(rep ukdbg.FaultReport) error {
	f, err := faultOf(rep)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(f, "    ", "  ")
	if err != nil {
		return err
	}
	sep := ",\n"
	if a.n++; a.n == 1 {
		sep = "{\n  \"faults\": [\n"
	}
	_, err = fmt.Fprintf(a.w, "%s    %s", sep, text)
	return err
}

func (a *faultArray) end() error {
	text := "\n  ]\n}\n"
	if a.n == 0 {
		text = "{\n  \"faults\": []\n}\n"
	}
	_, err := io.WriteString(a.w, text)
	return err
}

// faultLines writes {"faults": [FAULT]} on a line of its own for each fault of a
// log that does not end.
type faultLines struct{ enc *json.Encoder }

func (l *faultLines) fault(rep ukdbg.FaultReport) error {
	f, err := faultOf(rep)
	if err != nil {
		return err
	}
	l.enc.SetEscapeHTML(false)
	return l.enc.Encode(faultsJSON{Faults: []faultJSON{f}})
}

func (l *faultLines) end() error { return nil }

// faultSARIF writes one SARIF log; it names the rules first, so it holds the
// faults until the end.
type faultSARIF struct {
	w   io.Writer
	o   asserts.SARIFOptions
	all []asserts.Named
}

func (s *faultSARIF) fault(rep ukdbg.FaultReport) error {
	s.all = append(s.all, asserts.Named{Fault: rep.Fault, Names: rep.Names, Functions: rep.Functions})
	return nil
}

func (s *faultSARIF) end() error { return asserts.WriteSARIF(s.w, s.all, s.o) }
