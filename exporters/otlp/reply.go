package otlp

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

var errReply = errors.New("the answer is not an OTLP export response")

// fields walks the fields of a protobuf message. Varints are given as v, bytes
// as b; other types are skipped.
func fields(data []byte, visit func(num protowire.Number, v uint64, b []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if typ == protowire.VarintType || typ == protowire.BytesType {
			if err := visit(num, v, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseReply reads an ExportTraceServiceResponse: partial_success = 1 with
// rejected_spans = 1 and error_message = 2.
func parseReply(data []byte) (reply, error) {
	var r reply
	err := fields(data, func(num protowire.Number, _ uint64, b []byte) error {
		if num != 1 {
			return nil
		}
		return fields(b, func(num protowire.Number, v uint64, b []byte) error {
			switch num {
			case 1:
				r.rejected = int64(v)
			case 2:
				r.message = oneLine(b)
			}
			return nil
		})
	})
	if err != nil {
		return reply{}, errReply
	}
	return r, nil
}

// statusMessage returns what an HTTP receiver says about a failure: the message
// (field 2) of a google.rpc.Status, or plain text.
func statusMessage(data []byte, contentType string) string {
	if strings.HasPrefix(contentType, "text/plain") {
		return oneLine(data)
	}
	if !strings.HasPrefix(contentType, "application/x-protobuf") {
		return ""
	}
	var text string
	_ = fields(data, func(num protowire.Number, _ uint64, b []byte) error {
		if num == 2 {
			text = oneLine(b)
		}
		return nil
	})
	return text
}

// retryInfo finds a google.rpc.RetryInfo (retry_delay = 1: seconds = 1, nanos =
// 2) among the details (field 3, an Any: type_url = 1, value = 2) of an encoded
// google.rpc.Status.
func retryInfo(status []byte) (after time.Duration, told bool) {
	_ = fields(status, func(num protowire.Number, _ uint64, detail []byte) error {
		if num != 3 {
			return nil
		}
		var typ string
		var value []byte
		if err := fields(detail, func(num protowire.Number, _ uint64, b []byte) error {
			switch num {
			case 1:
				typ = string(b)
			case 2:
				value = b
			}
			return nil
		}); err != nil || !strings.HasSuffix(typ, "/google.rpc.RetryInfo") {
			return err
		}
		return fields(value, func(num protowire.Number, _ uint64, delay []byte) error {
			if num != 1 {
				return nil
			}
			told = true
			return fields(delay, func(num protowire.Number, v uint64, _ []byte) error {
				const most = 24 * time.Hour
				switch num {
				case 1:
					after += time.Duration(min(v, uint64(most/time.Second))) * time.Second
				case 2:
					after += time.Duration(min(v, uint64(time.Second)))
				}
				after = min(after, most)
				return nil
			})
		})
	})
	return after, told
}

// oneLine makes a receiver's words fit for one line of a terminal.
func oneLine(b []byte) string {
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
