package unikraft

import (
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/kernel"
)

// blocking are the functions a thread blocks in, by the start of their names,
// and what they wait for. "" stands for the machinery below them, which says
// nothing. The first that fits counts.
var blocking = []struct{ prefix, what string }{
	{"uk_mutex_", "a mutex"},
	{"_uk_mutex_", "a mutex"},
	{"uk_rmutex_", "a mutex"},
	{"uk_rwlock_", "a read-write lock"},
	{"uk_semaphore_", "a semaphore"},
	{"uk_sys_futex", "a futex"},
	{"futex_wait", "a futex"},
	{"uk_sched_thread_sleep", "time"},
	{"uk_waitpid", "a child"},
	{"sys_arch_sem_wait", "a semaphore of lwIP"},
	{"sys_arch_mbox_fetch", "a message for lwIP"},
	{"eventpoll_wait", "events"},
	{"uk_sys_epoll", "events"},
	{"uk_sys_poll", "events"},
	{"ukarch_ctx_", ""},
	{"restore_point", ""},
	{"schedcoop_", ""},
	{"uk_sched_", ""},
	{"uk_thread_", ""},
	{"uk_waitq_", ""},
	{"__wq_wait_", ""},
}

// RefineWait says what a blocked thread waits for by the functions on its
// stack, innermost first, inlined ones included. It changes nothing where the
// wait queues told it already, or where the functions tell nothing.
func RefineWait(t *kernel.Thread, functions []string) {
	if t.Wait != "" || t.State != kernel.Waiting && t.State != kernel.Sleeping {
		return
	}
	what := ""
	for i, fn := range functions {
		b := slices.IndexFunc(blocking, func(b struct{ prefix, what string }) bool { return strings.HasPrefix(fn, b.prefix) })
		if b < 0 {
			if i == 0 {
				return // it does not stand in the scheduler: nothing is known
			}
			if what == "" {
				what = "a wake-up"
			}
			if what == "time" {
				return // that it sleeps is its state
			}
			t.Wait = what + ", in " + fn
			return
		}
		if w := blocking[b].what; w != "" {
			what = w
		}
	}
}
