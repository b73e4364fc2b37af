package packet

// notHex marks bytes that are no hex digit in the table; no digit has its bit.
const notHex = 0x80

// nibble maps a hex digit to its value.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = notHex
	}
	for i := byte(0); i < 10; i++ {
		t['0'+i] = i
	}
	for i := byte(0); i < 6; i++ {
		t['a'+i] = 10 + i
		t['A'+i] = 10 + i
	}
	return t
}()

// DecodeHex decodes pairs of hex digits from src into dst without allocating
// and returns how many bytes it wrote. ok is false if src has an odd length, a
// byte that is no hex digit, or more bytes than dst has room for; what dst
// then holds is undefined.
func DecodeHex(dst, src []byte) (n int, ok bool) {
	if len(src)%2 != 0 || len(src)/2 > len(dst) {
		return 0, false
	}
	n = len(src) / 2
	dst = dst[:n]
	var bad byte
	for i := range dst {
		pair := src[2*i:]
		_ = pair[1]
		hi, lo := nibble[pair[0]], nibble[pair[1]]
		bad |= hi | lo
		dst[i] = hi<<4 | lo&0xf
	}
	return n, bad&notHex == 0
}

// ParseUint reads big-endian hex digits up to the first byte that is none. ok
// is false if there is no digit or the number does not fit 64 bits.
func ParseUint(p []byte) (v uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(p) && nibble[p[i]] != notHex; i++ {
		if v>>60 != 0 {
			return 0, p, false
		}
		v = v<<4 | uint64(nibble[p[i]])
	}
	return v, p[i:], i > 0
}
