package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/imageindex"
)

// imageMatch is the image of a guest and whether its bytes are the guest's.
type imageMatch struct {
	Path string
	// Hash is what the index says the image is, or what to look for; "" without an
	// index.
	Hash string
	// Match is nil where they could not be compared; Why says why, or why there
	// is no image.
	Match *bool
	Why   string
}

// matchImage looks for the guest's image, in the index if there is one, and compares
// it with its memory, if that can be read without a stop.
func matchImage(ctx context.Context, g *hosts.Guest, ix *imageindex.Index) imageMatch {
	m := imageMatch{}
	if ix != nil {
		found, err := ukdbg.FindImage(ctx, ix, &g.Process, ukdbg.Options{})
		m.Path, m.Hash = cmp.Or(found.Debug, found.Kernel), found.Hash
		switch {
		case err != nil:
			m.Why = err.Error()
			return m
		case found.Proved:
			m.set(true)
			return m
		case found.Debug == "":
			m.Path, m.Why = "", found.How
			return m
		}
	} else if m.Path, m.Why = hosts.Image(&g.Process); m.Path == "" {
		return m
	}
	if _, ok := g.Way(hosts.Memory); !ok {
		m.Why = "memory cannot be read from here"
		return m
	}
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: fmt.Sprintf("pid:%d", g.PID), Image: m.Path})
	switch {
	case err == nil:
		m.set(true)
		_ = s.Close(context.WithoutCancel(ctx)) // only looked at
	case errors.Is(err, ukdbg.ErrMismatch):
		m.set(false)
		m.Why = err.Error()
	default:
		m.Why = err.Error()
	}
	return m
}

func (m *imageMatch) set(yes bool) { m.Match = &yes }

// short is for a column.
func (m imageMatch) short() string {
	switch {
	case m.Path == "":
		return "-"
	case m.Match == nil:
		return base(m.Path) + " ?"
	case *m.Match:
		return base(m.Path) + " ✔"
	}
	return base(m.Path) + " ✘"
}

func (m imageMatch) String() string {
	switch {
	case m.Path == "":
		return "none (" + m.Why + ")"
	case m.Match == nil && m.Why == "":
		return m.Path + ", not compared with the guest"
	case m.Match == nil:
		return m.Path + ", not compared with the guest: " + m.Why
	case *m.Match:
		return m.Path + " matches the guest"
	}
	return m.Path + " is not what this guest runs"
}
