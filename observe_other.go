//go:build !linux

package ukdbg

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

func openObserver(_ context.Context, spec target.Spec, _ *symbolizer.Image, _ Options) (observer, error) {
	return nil, fmt.Errorf("%s: observing a VM in its process is done on Linux: %w", spec, target.ErrUnsupported)
}

func notThisImage(error) bool { return false }
