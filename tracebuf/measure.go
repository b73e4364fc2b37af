package tracebuf

// MeasureAll takes the scanner's next records as Measure does, as many as it can
// until dst is full, and returns the intervals they end. It stops at a bad
// record, which is then the scanner's current one; more is false at the end of
// the data. Intervals of records without a Position are numbered from 1.
func (p *Pairer) MeasureAll(s *Scanner, dst []Interval) (_ []Interval, more bool) {
	p.lean = true
	for len(dst) < cap(dst) {
		if !s.Scan() {
			return dst, false
		}
		r := &s.rec
		if r.Problem != Good {
			return dst, true
		}
		i := r.Def.Index
		if i >= len(p.roles) || i >= len(p.met) {
			continue // of other definitions than the pairer's
		}
		p.met[i]++
		role := &p.roles[i]
		// Where nothing tells threads apart and calls nest, as nearly everywhere,
		// a begin goes on the one stack and an end takes it off.
		if r.Ext == nil && !role.switches && len(p.running) < 2 {
			if role.kind == instant {
				continue
			}
			t := &p.threads.list[p.current]
			if role.kind == begins && len(t.stack) < min(cap(t.stack), maxOpen) {
				p.lastID++
				t.stack = t.stack[:len(t.stack)+1]
				o := &t.stack[len(t.stack)-1]
				o.id, o.base, o.def, o.start, o.unsure = p.lastID, role.base, i, r.Time, false
				o.inner, o.waited, o.lost = 0, t.waited, false
				continue
			}
			if top := len(t.stack) - 1; role.kind != begins && top >= 0 && t.stack[top].base == role.base {
				dst = dst[:len(dst)+1]
				t.close(&dst[len(dst)-1], top, r.Time, role.kind == fails, p.current)
				continue
			}
		}
		if iv, ok := p.Measure(r); ok {
			dst = append(dst, iv)
		}
	}
	return dst, true
}

// close ends the innermost open span, which is at top of the stack.
func (t *threadState) close(iv *Interval, top int, time uint64, failed bool, thread int) {
	o := &t.stack[top]
	iv.ID, iv.Base, iv.Start, iv.End, iv.Inner = o.id, o.base, o.start, time, o.inner
	iv.Waited, iv.Failed, iv.Ambiguous, iv.OnThread = sub(t.waited, o.waited), failed, o.unsure, thread
	iv.AcrossLost = o.lost
	if top > 0 {
		t.stack[top-1].inner += sub(time, o.start)
	}
	t.stack = t.stack[:top]
}

// Met is how many records of the definition with an index MeasureAll took.
func (p *Pairer) Met(def int) uint64 { return p.met[def] }
