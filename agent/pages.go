package agent

import (
	"context"

	"github.com/ukdbg/ukdbg/agent/config"
)

// pages are the agent's own pages.
type pages struct{ at string }

func (p *pages) address() string {
	if p == nil {
		return ""
	}
	return p.at
}

func (p *pages) close() {}

// serve opens the pages.
func (a *agent) serve(ctx context.Context, c *config.Config) (*pages, error) { return &pages{}, nil }
