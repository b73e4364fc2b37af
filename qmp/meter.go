package qmp

import (
	"sync"
	"time"
)

const (
	// batchCommands and batchTime are what one connection may take before Yield
	// gives the monitor to others. With the one command that may be under way they
	// bound what another client waits for us. Of the shortest commands both are about
	// the same.
	batchCommands = 24
	batchTime     = 20 * time.Millisecond
)

// Use is what a monitor was used for.
type Use struct {
	// Connections is how often it was taken, Commands what was run on it.
	Connections, Commands int
	// Longest is for how long it was held at most, from its greeting until we closed
	// the connection: what another client waited for us at most.
	// Most is the most commands run in one connection.
	Longest time.Duration
	Most    int
}

// Meter adds up the use of monitors. It may be shared by goroutines, and nil counts
// nothing.
type Meter struct {
	mu  sync.Mutex
	use Use
}

// Use returns what was added up so far.
func (m *Meter) Use() Use {
	if m == nil {
		return Use{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.use
}

func (m *Meter) add(commands int, held time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.use.Connections++
	m.use.Commands += commands
	m.use.Most = max(m.use.Most, commands)
	m.use.Longest = max(m.use.Longest, held)
}
