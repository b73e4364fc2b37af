package exporttest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// CheckPprof checks that what a receiver parsed is Profile: its sample types, all
// that was counted, the stack with its inlined frame, the thread as a label.
func CheckPprof(t testing.TB, p *profile.Profile) {
	t.Helper()
	var types []string
	for _, st := range p.SampleType {
		types = append(types, st.Type+"/"+st.Unit)
	}
	if want := []string{"samples/count", "cpu/nanoseconds"}; !slices.Equal(types, want) {
		t.Fatalf("sample types %v, want %v", types, want)
	}
	var count, value int64
	threads := map[string]int64{}
	for _, s := range p.Sample {
		count += s.Value[0]
		value += s.Value[1]
		for _, name := range s.Label["thread"] {
			threads[name] += s.Value[0]
		}
	}
	if count != 100 || value != 1e9 {
		t.Errorf("%d samples of %d ns, want 100 of 1e9", count, value)
	}
	if threads["worker-1"] != 80 {
		t.Errorf("samples by thread: %v", threads)
	}
	first := p.Sample[0].Location[0].Line
	if len(first) != 2 || first[0].Function.Name != "memcpy_fast" || first[1].Function.Name != "serve" || first[1].Line != 131 {
		t.Errorf("innermost frames: %+v", first)
	}
	if p.TimeNanos != 1_700_000_000e9 || p.DurationNanos != 1e9 || p.PeriodType.Type != "cpu" {
		t.Errorf("from %d for %d ns, period of %s", p.TimeNanos, p.DurationNanos, p.PeriodType.Type)
	}
}

// BasicAuth reads the credentials of RFC 7617.
func BasicAuth(h http.Header) (user, password string, ok bool) {
	code, ok := strings.CutPrefix(h.Get("Authorization"), "Basic ")
	text, err := base64.StdEncoding.DecodeString(code)
	if !ok || err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}
