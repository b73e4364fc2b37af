package transport

import (
	"net/http"
	"testing"
	"time"
)

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0x0a, 0x04, 0x08, 0x02, 0x12, 0x00})
	f.Add([]byte{0, 0, 0, 0, 1, 0x0a})
	f.Add([]byte{0x1a, 0x02, 0x0a, 0x00, 0x12, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if after, _ := retryInfo(data); after < 0 {
			t.Errorf("asked to wait %v", after)
		}
		if text := statusMessage(data, "application/x-protobuf") + statusMessage(data, "application/json"); len(text) > 800 {
			t.Errorf("messages of %d bytes", len(text))
		}
		if m, err := unframe(data, ""); err == nil && len(m) != len(data)-5 {
			t.Errorf("message of %d bytes in %d", len(m), len(data))
		}
		if m, err := unframe(data, "gzip"); err == nil && len(m) > maxReply {
			t.Errorf("message of %d bytes", len(m))
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "x": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", v, got, want)
		}
	}
}
