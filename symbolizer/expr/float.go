package expr

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// layout is how a floating-point number is kept in memory, little-endian.
type layout struct {
	bits, exponent, mantissa int
	// explicit: the leading bit of the mantissa is stored (x87).
	explicit bool
}

// The layouts told apart by their size in bytes: IEEE half, single and double,
// and in 16 bytes the x87 format or, on arm64, IEEE quad. The x87 one is told by
// its padding: six zero bytes.
func layoutOf(data []byte) (layout, bool) {
	switch len(data) {
	case 2:
		return layout{16, 5, 10, false}, true
	case 4:
		return layout{32, 8, 23, false}, true
	case 8:
		return layout{64, 11, 52, false}, true
	case 10, 12:
		return layout{80, 15, 64, true}, true
	case 16:
		if isX87(data) {
			return layout{80, 15, 64, true}, true
		}
		return layout{128, 15, 112, false}, true
	}
	return layout{}, false
}

func isX87(data []byte) bool {
	for _, c := range data[10:16] {
		if c != 0 {
			return false
		}
	}
	// An IEEE quad whose upper bytes are zero is a denormal or zero; an x87
	// number other than zero has its leading bit or exponent set.
	return data[9] != 0 || data[8] != 0 || data[7]&0x80 != 0
}

// floatText writes a number with as many digits as tell it from its neighbours.
func floatText(data []byte) string {
	f, ok := layoutOf(data)
	if !ok {
		return fmt.Sprintf("<float of %d bytes>", len(data))
	}
	x := number(data[:f.bits/8], false)
	sign := x.Bit(f.bits-1) == 1
	exp := int(new(big.Int).And(new(big.Int).Rsh(x, uint(f.mantissa)), big.NewInt(1<<f.exponent-1)).Int64())
	man := new(big.Int).And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(f.mantissa)), big.NewInt(1)))
	minus := ""
	if sign {
		minus = "-"
	}
	maxExp := 1<<f.exponent - 1
	if exp == maxExp {
		frac := man
		if f.explicit {
			frac = new(big.Int).SetBit(man, f.mantissa-1, 0)
		}
		if frac.Sign() == 0 {
			return minus + "inf"
		}
		return minus + "nan(0x" + man.Text(16) + ")"
	}
	if man.Sign() == 0 && exp == 0 {
		return minus + "0"
	}
	bias := 1<<(f.exponent-1) - 1
	e := exp - bias
	switch {
	case f.explicit:
		if exp == 0 {
			e++
		}
		e -= f.mantissa - 1
	case exp == 0:
		e += 1 - f.mantissa
	default:
		man.SetBit(man, f.mantissa, 1)
		e -= f.mantissa
	}
	precision := f.mantissa
	if !f.explicit {
		precision++
	}
	v := new(big.Float).SetPrec(256).SetInt(man)
	v.SetMantExp(v, e)
	if sign {
		v.Neg(v)
	}
	digits := 2 + int(float64(precision)*math.Log10(2))
	return general(v.Text('e', digits-1), digits)
}

// general turns C's %.Ne into %.Ng: trailing zeros dropped, plain notation where
// the exponent is small.
func general(s string, digits int) string {
	mant, expText, _ := strings.Cut(s, "e")
	exp, _ := strconv.Atoi(expText)
	neg := strings.HasPrefix(mant, "-")
	d := strings.Replace(strings.TrimPrefix(mant, "-"), ".", "", 1)
	d = strings.TrimRight(d, "0")
	if d == "" {
		d = "0"
	}
	out := ""
	switch {
	case exp < -4 || exp >= digits:
		out = d[:1]
		if len(d) > 1 {
			out += "." + d[1:]
		}
		out += fmt.Sprintf("e%+03d", exp)
	case exp < 0:
		out = "0." + strings.Repeat("0", -exp-1) + d
	case len(d) <= exp+1:
		out = d + strings.Repeat("0", exp+1-len(d))
	default:
		out = d[:exp+1] + "." + d[exp+1:]
	}
	if neg {
		out = "-" + out
	}
	return out
}

// floatBytes is the inverse for what expressions compute with.
func floatBytes(v float64, size int64) []byte {
	if size == 4 {
		b := math.Float32bits(float32(v))
		return []byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)}
	}
	b := math.Float64bits(v)
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(b >> (8 * i))
	}
	return out
}
