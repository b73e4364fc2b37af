package unikraft

import (
	"strconv"
	"strings"
)

// keptWaits names the wait objects kept of an image on disk; it carries the
// version of the form below.
const keptWaits = "unikraft.waits.1"

// encodeWaits writes wait objects, a line each: kind, name, and the three
// addresses in hexadecimal, between tabs. It is nil if a name does not fit in.
func encodeWaits(all []WaitObject) []byte {
	out := []byte("waits\n")
	for _, o := range all {
		if strings.ContainsAny(o.Name, "\t\n") {
			return nil
		}
		out = append(out, o.Kind+"\t"+o.Name...)
		for _, v := range []uint64{o.Addr, o.Queue, o.Owner} {
			out = strconv.AppendUint(append(out, '\t'), v, 16)
		}
		out = append(out, '\n')
	}
	return out
}

// decodeWaits reads what encodeWaits wrote.
func decodeWaits(text []byte) ([]WaitObject, bool) {
	rest, ok := strings.CutPrefix(string(text), "waits\n")
	if !ok {
		return nil, false
	}
	var out []WaitObject
	for line := range strings.Lines(rest) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 || len(out) > maxQueues {
			return nil, false
		}
		o := WaitObject{Kind: f[0], Name: f[1]}
		for i, p := range []*uint64{&o.Addr, &o.Queue, &o.Owner} {
			v, err := strconv.ParseUint(f[2+i], 16, 64)
			if err != nil {
				return nil, false
			}
			*p = v
		}
		out = append(out, o)
	}
	return out, true
}
