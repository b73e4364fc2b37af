package collectortest

import (
	"bytes"
	"net/http"
	"testing"
)

const oneSpan = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",` +
	`"spanId":"0102030405060708","name":"by hand","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`

// The collector is told by a request written by hand, so that this test shares
// nothing with the exporter that is later tested against it.
func TestCollectorKeepsWhatItAccepts(t *testing.T) {
	c := Run(t, Options{Refuse: 1})
	post := func() int {
		resp, err := http.Post("http://"+c.HTTP+"/v1/traces", "application/json", bytes.NewBufferString(oneSpan))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := post(); code != http.StatusServiceUnavailable {
		t.Errorf("refused export answered %d, want 503", code)
	}
	if code := post(); code != http.StatusOK {
		t.Fatalf("export answered %d, want 200", code)
	}
	spans, err := c.Spans()
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != 1 || spans[0].Name() != "by hand" {
		t.Fatalf("collector kept %d spans, want the one it accepted", len(spans))
	}
}
