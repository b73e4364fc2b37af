package agent

import (
	"context"
	"sync"
	"time"
)

// pool runs pieces of work, so many at a time. A piece that does not end in time is
// left to itself: its place is given to others.
type pool struct {
	mu    sync.Mutex
	free  int
	stuck int // pieces that have outlived their time and did not end yet
	wg    sync.WaitGroup
}

func newPool(size int) *pool { return &pool{free: size} }

// try starts work if there is a place for it. Its context ends after limit; when it
// did not return a while after that, late is called, once, and it loses its place.
// done is called when work has returned, however late.
func (p *pool) try(ctx context.Context, limit time.Duration, work func(context.Context), late, done func()) bool {
	p.mu.Lock()
	if p.free <= 0 {
		p.mu.Unlock()
		return false
	}
	p.free--
	p.mu.Unlock()
	p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		lost := false // its place was given back; guarded by mu
		watch := time.AfterFunc(limit+limit/2+grace, func() {
			p.mu.Lock()
			ended := lost
			if !ended {
				lost = true
				p.free++
				p.stuck++
			}
			p.mu.Unlock()
			if !ended {
				late()
			}
		})
		work(ctx)
		watch.Stop()
		p.mu.Lock()
		if lost {
			p.stuck--
		} else {
			lost = true
			p.free++
		}
		p.mu.Unlock()
		done()
	})
	return true
}

// grace is what work may take beyond its time to give back what it has.
const grace = 2 * time.Second

// count tells how many places are free, and how many pieces are stuck.
func (p *pool) count() (free, stuck int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free, p.stuck
}

// resize changes the number of places by d, by the return of those that work if
// need be.
func (p *pool) resize(d int) {
	p.mu.Lock()
	p.free += d
	p.mu.Unlock()
}

// wait waits for all work, at most for d.
func (p *pool) wait(d time.Duration) {
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}
