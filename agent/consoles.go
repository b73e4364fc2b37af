package agent

// consoles follows the consoles of all guests.
type consoles struct{ a *agent }

// follower is one guest's console.
type follower struct{}

func newConsoles(a *agent) *consoles { return &consoles{a} }

func (c *consoles) stop(g *guest) {}

func (c *consoles) close() {}
