package unikraft

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

// CurrentSlots returns, for each processor whose index is known, the address of
// the word that points to the thread it runs. The words stay where they are, so
// a sampler that reads them tells threads apart by eight bytes a sample.
func (k *Kernel) CurrentSlots(ctx context.Context) (map[target.CPU]uint64, error) {
	base, size, ok := k.symbol("__uk_sched_thread_current")
	if !ok {
		return nil, absent("current threads", "no symbol __uk_sched_thread_current")
	}
	s := &survey{k: k, f: newFetcher(k.cfg.Memory), list: &kernel.ThreadList{}, known: map[uint64]*found{}}
	s.readCPUs(ctx)
	for more := true; more; {
		s.stepCPUs()
		var err error
		if more, err = s.f.run(ctx); err != nil {
			return nil, fmt.Errorf("current threads: %w", err)
		}
	}
	slots := map[target.CPU]uint64{}
	for _, c := range s.cpus {
		if c.index >= 0 && uint64(c.index) < max(size/8, 1) {
			slots[c.number] = base + 8*uint64(c.index)
		}
	}
	return slots, nil
}

// ThreadAt returns the number and name of the thread at addr, reading two
// ranges; it is much cheaper than Threads and numbers threads alike.
func (k *Kernel) ThreadAt(ctx context.Context, addr uint64) (id int, name string, err error) {
	l := &k.layout
	if !l.name.ok || l.size == 0 {
		return 0, "", absent("thread name", "struct uk_thread has no name")
	}
	s := &survey{k: k, f: newFetcher(k.cfg.Memory)}
	var b []byte
	for more := true; more; {
		var ok bool
		if b, ok, err = s.f.get(addr, int(l.size)); ok && err == nil {
			if p := l.name.value(b); p != 0 {
				var text []byte
				text, err = s.cstring(p)
				name = string(text)
			}
		}
		if err != nil {
			return 0, "", fmt.Errorf("thread at %#x: %w", addr, err)
		}
		if more, err = s.f.run(ctx); err != nil {
			return 0, "", fmt.Errorf("thread at %#x: %w", addr, err)
		}
	}
	if id = k.ids[addr]; id == 0 {
		k.lastID++
		id = k.lastID
		k.ids[addr] = id
	}
	return id, name, nil
}

// CPURegister returns the register that names a processor, by DWARF number, and
// what it holds on the one that runs a thread: the address of its struct lcpu in
// the kernel's table. ok is false where the kernel does not tell.
func (k *Kernel) CPURegister(ctx context.Context, thread uint64) (num int, value uint64, ok bool) {
	base, size, ok := k.symbol("__uk_sched_thread_current")
	all, allSize, has := k.symbol("lcpus")
	one, idx := (&layouter{img: k.cfg.Image}).size("lcpu"), k.layout.lcpuIndex
	if !ok || !has || one == 0 || !idx.ok || thread == 0 {
		return 0, 0, false
	}
	for i := range min(size/8, allSize/one, maxCPUs) {
		current, err := target.ReadUint(ctx, k.cfg.Memory, base+8*i, 8)
		if err != nil || current != thread {
			continue
		}
		b := make([]byte, idx.size)
		if target.ReadFull(ctx, k.cfg.Memory, b, all+i*one+idx.off) != nil || le64(b) != i {
			continue
		}
		return k.arch.cpuReg, all + i*one, true
	}
	return 0, 0, false
}
