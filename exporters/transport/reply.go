package transport

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/wire"
)

// statusMessage returns what an HTTP receiver says about a failure: the message
// (field 2) of a google.rpc.Status, that of an error in JSON, or plain text.
func statusMessage(data []byte, contentType string) string {
	if strings.HasPrefix(contentType, "text/plain") {
		return OneLine(data)
	}
	if strings.HasPrefix(contentType, "application/json") {
		// As Connect and gRPC's gateways write it.
		var status struct{ Message string }
		_ = json.Unmarshal(data, &status)
		return OneLine(status.Message)
	}
	if !strings.HasPrefix(contentType, "application/x-protobuf") {
		return ""
	}
	var text string
	_ = wire.Fields(data, func(f wire.Field) error {
		if f.Num == 2 {
			text = OneLine(f.Bytes)
		}
		return nil
	})
	return text
}

// retryInfo finds a google.rpc.RetryInfo (retry_delay = 1: seconds = 1, nanos =
// 2) among the details (field 3, an Any: type_url = 1, value = 2) of an encoded
// google.rpc.Status.
func retryInfo(status []byte) (after time.Duration, told bool) {
	_ = wire.Fields(status, func(f wire.Field) error {
		if f.Num != 3 {
			return nil
		}
		var typ string
		var value []byte
		if err := wire.Fields(f.Bytes, func(f wire.Field) error {
			switch f.Num {
			case 1:
				typ = string(f.Bytes)
			case 2:
				value = f.Bytes
			}
			return nil
		}); err != nil || !strings.HasSuffix(typ, "/google.rpc.RetryInfo") {
			return err
		}
		return wire.Fields(value, func(f wire.Field) error {
			if f.Num != 1 {
				return nil
			}
			told = true
			return wire.Fields(f.Bytes, func(f wire.Field) error {
				const most = 24 * time.Hour
				switch f.Num {
				case 1:
					after += time.Duration(min(f.Value, uint64(most/time.Second))) * time.Second
				case 2:
					after += time.Duration(min(f.Value, uint64(time.Second)))
				}
				after = min(after, most)
				return nil
			})
		})
	})
	return after, told
}

// OneLine makes a receiver's words fit for one line of a terminal.
func OneLine[T string | []byte](b T) string {
	const most = 300
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
	s = strings.TrimSpace(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
