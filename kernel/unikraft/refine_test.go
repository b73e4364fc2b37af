package unikraft

import (
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
)

func TestRefineWait(t *testing.T) {
	for _, c := range []struct {
		state  kernel.State
		before string
		stack  []string
		want   string
	}{
		{kernel.Waiting, "", []string{"schedcoop_schedule", "uk_sched_yield", "uk_mutex_lock", "cache_get", "serve"}, "a mutex, in cache_get"},
		{kernel.Waiting, "", []string{"uk_waitq_block", "uk_semaphore_down", "next"}, "a semaphore, in next"},
		{kernel.Waiting, "", []string{"schedcoop_schedule", "uk_sched_yield", "app_wait"}, "a wake-up, in app_wait"},
		{kernel.Waiting, "mutex m", []string{"uk_semaphore_down", "next"}, "mutex m"},
		{kernel.Sleeping, "", []string{"schedcoop_schedule", "uk_sched_thread_sleep", "main"}, ""},
		{kernel.Sleeping, "", []string{"uk_sched_thread_sleep", "uk_semaphore_down_to", "next"}, "a semaphore, in next"},
		{kernel.Waiting, "", []string{"serve", "uk_mutex_lock"}, ""},
		{kernel.Ready, "", []string{"uk_mutex_lock", "serve"}, ""},
		{kernel.Waiting, "", nil, ""},
		{kernel.Waiting, "", []string{"uk_mutex_lock"}, ""},
	} {
		th := kernel.Thread{State: c.state, Wait: c.before}
		RefineWait(&th, c.stack)
		if th.Wait != c.want {
			t.Errorf("%v: %q, want %q", c.stack, th.Wait, c.want)
		}
	}
}
