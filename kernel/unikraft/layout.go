package unikraft

import "fmt"

// field is one member of a struct as this image lays it out.
type field struct {
	off, size uint64
	ok        bool
}

// layouter looks members up and remembers the required ones that are missing.
type layouter struct {
	img     Image
	missing []string
}

// optional looks up a member that some releases or configurations lack.
func (l *layouter) optional(structure string, paths ...string) field {
	for _, p := range paths {
		off, size, err := l.img.Field(structure, p)
		if err == nil && off < maxStruct && size <= maxStruct {
			return field{off, size, true}
		}
	}
	return field{}
}

// required looks up a member without which nothing can be said.
func (l *layouter) required(structure, path string) field {
	f := l.optional(structure, path)
	if !f.ok {
		why := fmt.Sprintf("struct %s has no usable member %s", structure, path)
		if _, _, err := l.img.Field(structure, path); err != nil {
			why += ": " + err.Error()
		}
		l.missing = append(l.missing, why)
	}
	return f
}

// size looks up the size of a struct, 0 if there is none or it is absurd.
func (l *layouter) size(structure string) uint64 {
	n, err := l.img.SizeOf(structure)
	if err != nil || n > maxStruct {
		return 0
	}
	return n
}

// maxStruct bounds the size of any struct read: an image may be malformed.
const maxStruct = 64 << 10

// get takes an integer member out of the bytes of its struct.
func (f field) get(b []byte) (v uint64, ok bool) {
	if !f.ok || f.size == 0 || f.size > 8 || f.off+f.size > uint64(len(b)) {
		return 0, false
	}
	for i := int(f.size) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[int(f.off)+i])
	}
	return v, true
}

// value is get with 0 for what is not there; only for pointers, where 0 ends a
// walk, and after get was checked.
func (f field) value(b []byte) uint64 {
	v, _ := f.get(b)
	return v
}

// threadLayout is struct uk_thread, struct uk_sched, struct schedcoop and struct
// lcpu of this image.
type threadLayout struct {
	size                        uint64
	ctx                         field
	ip, sp, flags, listNext     field
	listPrev, queueNext, wakeup field
	queuePrev                   field
	exec, name, sched           field
	stack, auxStack             field

	schedSize, coopSize           uint64
	schedNext, threads, exited    field
	runQueue, sleepQueue          field
	idle, lastSwitch              field
	threadsLast, runLast          field
	sleepLast, lcpuIndex          field
	entrySize                     uint64
	entryNext, entryThread, first field
	missing                       []string
}

func newThreadLayout(img Image) threadLayout {
	l := &layouter{img: img}
	t := threadLayout{
		size:      l.size("uk_thread"),
		ctx:       l.optional("uk_thread", "ctx"),
		ip:        l.required("uk_thread", "ctx.ip"),
		sp:        l.required("uk_thread", "ctx.sp"),
		flags:     l.required("uk_thread", "flags"),
		listNext:  l.required("uk_thread", "thread_list.tqe_next"),
		listPrev:  l.optional("uk_thread", "thread_list.tqe_prev"),
		queuePrev: l.optional("uk_thread", "queue.tqe_prev"),
		queueNext: l.optional("uk_thread", "queue.tqe_next"),
		wakeup:    l.optional("uk_thread", "wakeup_time"),
		exec:      l.optional("uk_thread", "exec_time"),
		name:      l.optional("uk_thread", "name"),
		sched:     l.optional("uk_thread", "sched"),
		stack:     l.optional("uk_thread", "_mem.stack"),
		auxStack:  l.optional("uk_thread", "_mem.auxstack"),

		schedSize:   l.size("uk_sched"),
		coopSize:    l.size("schedcoop"),
		schedNext:   l.required("uk_sched", "next"),
		threads:     l.required("uk_sched", "thread_list.tqh_first"),
		threadsLast: l.optional("uk_sched", "thread_list.tqh_last"),
		runLast:     l.optional("schedcoop", "run_queue.tqh_last"),
		sleepLast:   l.optional("schedcoop", "sleep_queue.tqh_last"),
		exited:      l.optional("uk_sched", "exited_threads.tqh_first"),
		runQueue:    l.optional("schedcoop", "run_queue.tqh_first"),
		sleepQueue:  l.optional("schedcoop", "sleep_queue.tqh_first"),
		idle:        l.optional("schedcoop", "idle"),
		lastSwitch:  l.optional("schedcoop", "ts_prev_switch"),
		lcpuIndex:   l.optional("lcpu", "idx"),

		entrySize:   l.size("uk_waitq_entry"),
		entryNext:   l.optional("uk_waitq_entry", "thread_list.stqe_next"),
		entryThread: l.optional("uk_waitq_entry", "thread"),
		first:       l.optional("uk_waitq", "wait_list.stqh_first"),
	}
	if t.size == 0 {
		l.missing = append(l.missing, "there is no struct uk_thread")
	}
	if t.schedSize == 0 {
		l.missing = append(l.missing, "there is no struct uk_sched")
	}
	t.missing = l.missing
	return t
}
