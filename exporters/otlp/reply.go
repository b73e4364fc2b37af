package otlp

import (
	"errors"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

var errReply = errors.New("the answer is not an OTLP export response")

// parseReply reads an export response, which is of one form for all signals:
// partial_success = 1 with rejected_spans (…_log_records, _data_points, _profiles)
// = 1 and error_message = 2.
func parseReply(data []byte) (delivery.Reply, error) {
	var r delivery.Reply
	err := wire.Fields(data, func(f wire.Field) error {
		if f.Num != 1 {
			return nil
		}
		return wire.Fields(f.Bytes, func(f wire.Field) error {
			switch f.Num {
			case 1:
				r.Rejected = int64(f.Value)
			case 2:
				r.Message = transport.OneLine(f.Bytes)
			}
			return nil
		})
	})
	if err != nil {
		return delivery.Reply{}, errReply
	}
	return r, nil
}
