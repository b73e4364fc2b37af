package otlp

import (
	"testing"

	"github.com/ukdbg/ukdbg/exporters/delivery"
)

func FuzzReply(f *testing.F) {
	f.Add([]byte{0x0a, 0x04, 0x08, 0x02, 0x12, 0x00})
	f.Add([]byte{0x1a, 0x02, 0x0a, 0x00, 0x12, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseReply(data); err != nil && r != (delivery.Reply{}) {
			t.Errorf("%+v of an answer that is none", r)
		}
	})
}
