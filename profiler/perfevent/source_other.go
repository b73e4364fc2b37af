//go:build !linux

package perfevent

import (
	"context"
	"time"
)

// Source samples threads, on Linux.
type Source struct{}

// Open is refused here.
func Open(Options) (*Source, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Source) Close() error { return nil }

// Event is nothing here.
func (*Source) Event() string { return "" }

// Run is refused here.
func (*Source) Run(context.Context, time.Duration) (*Result, error) { return nil, ErrUnsupported }
