package tracebuf

// NewRecord makes a record of parts that lie elsewhere than in a trace buffer,
// with the arguments packed as there; args is not copied. If they do not fit
// the definition, or there is none, the record's Problem says so.
func NewRecord(def *Definition, cookie, time uint64, args []byte) Record {
	r := Record{Cookie: cookie, Time: time, Size: recordHeader + len(args)}
	switch {
	case def == nil:
		r.Problem = UnknownCookie
	case !def.fits(args):
		r.Problem = BadSize
	default:
		r.Def, r.Args = def, args
	}
	return r
}
