package ctype

// uleb decodes an unsigned LEB128 number and tells its length, 0 if it is cut
// off (DWARF 5, section 7.6).
func uleb(b []byte) (v uint64, n int) {
	for i, x := range b {
		if i < 10 {
			v |= uint64(x&0x7f) << (7 * i)
		}
		if x&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}
