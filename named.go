package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/target"
)

// reachable turns a guest's name into the way to it that stops nothing.
func reachable(ctx context.Context, spec target.Spec) (target.Spec, error) {
	if !spec.Named() {
		return spec, nil
	}
	way, _, err := hosts.New().Resolve(ctx, spec)
	return way, mark(err, ErrUnreachable)
}
