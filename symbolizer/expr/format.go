package expr

import (
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// formatted writes a scalar in the printer's format. size is the unit of the x
// command in bytes, 0 for print: it makes x and t show all their digits.
func (p *printer) formatted(t, s *ctype.Type, data []byte, size int64) error {
	format := p.format
	signed := s.Signed
	switch format {
	case 'x', 'z':
		h := number(data, false).Text(16)
		if format == 'z' || size > 0 {
			h = strings.Repeat("0", max(0, 2*len(data)-len(h))) + h
		}
		p.put("0x" + h)
	case 'd':
		p.put(decimal(data, true))
	case 'u':
		p.put(decimal(data, false))
	case 'o':
		if o := number(data, false).Text(8); o != "0" {
			p.put("0" + o)
		} else {
			p.put("0")
		}
	case 't':
		b := number(data, false).Text(2)
		if size > 0 {
			b = strings.Repeat("0", max(0, 8*len(data)-len(b))) + b
		}
		p.put(b)
	case 'a':
		p.put(p.env.address(ctype.Extract(data, 0, 0, signed)))
	case 'c':
		x := ctype.Extract(data, 0, 8, signed)
		p.put(decimal([]byte{byte(x)}, signed) + " " + charText(ctype.Basic(ctype.Char, "char", 1, signed), x))
	case 'f':
		if _, ok := layoutOf(data); ok && len(data) >= 4 && (s.Kind == ctype.Float || len(data) == 4 || len(data) == 8) {
			p.put(floatText(data))
			return nil
		}
		p.put(decimal(data, signed))
	default:
		q := &printer{env: p.env}
		err := q.scalar(t, s, data)
		p.put(q.b.String())
		return err
	}
	return nil
}
