package tracebuf

import "strconv"

// threads are those a trace names, by number. Number 0 is the unknown one.
type threads struct {
	list   []threadState
	byName map[string]int
	addrs  map[uint64]int
}

type threadState struct {
	name  string
	stack []openSpan
	// waited is how long it did not run so far; since is when it stopped
	// running, meaningful if off.
	waited, since uint64
	off           bool
}

func newThreads() threads {
	return threads{list: make([]threadState, 1), byName: map[string]int{"": 0}, addrs: map[uint64]int{}}
}

// of returns the thread that argument arg of a switch names.
func (t *threads) of(r *Record, arg int, nameOf func(uint64) string) (int, bool) {
	if arg < 0 || arg >= len(r.Def.Args) {
		return 0, false
	}
	if r.Def.Args[arg].Type == ArgString {
		return t.named(r.Bytes(arg))
	}
	if nameOf == nil {
		return 0, false
	}
	addr := r.Uint(arg)
	if i, ok := t.addrs[addr]; ok {
		return i, true
	}
	i, ok := t.named([]byte(nameOf(addr)))
	if ok {
		t.addrs[addr] = i
	}
	return i, ok
}

func (t *threads) named(name []byte) (int, bool) {
	if i, ok := t.byName[string(name)]; ok {
		return i, true
	}
	if len(t.list) >= maxThreads {
		return 0, false
	}
	i := len(t.list)
	t.list = append(t.list, threadState{name: string(name)})
	t.byName[string(name)] = i
	return i, true
}

// byAddr returns the thread of an extended record. Two of one name are two.
func (t *threads) byAddr(addr uint64, nameOf func(uint64) string) int {
	if i, ok := t.addrs[addr]; ok {
		return i
	}
	if len(t.list) >= maxThreads {
		return 0
	}
	name := ""
	if nameOf != nil {
		name = nameOf(addr)
	}
	if name == "" && addr != 0 {
		name = "0x" + strconv.FormatUint(addr, 16)
	}
	i := len(t.list)
	t.list = append(t.list, threadState{name: name})
	t.addrs[addr] = i
	return i
}

func (t *threads) leaves(i int, time uint64) {
	if th := &t.list[i]; i != 0 && !th.off {
		th.off, th.since = true, time
	}
}

func (t *threads) runs(i int, time uint64) {
	if th := &t.list[i]; th.off {
		th.off = false
		th.waited += sub(time, th.since)
	}
}
