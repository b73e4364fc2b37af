package vmm

import (
	"testing"

	"github.com/ukdbg/ukdbg/internal/proctest"
)

// fake is a made-up /proc.
type fake struct {
	*proctest.Proc
	t *testing.T
}

func newFake(t *testing.T) fake { return fake{proctest.New(t), t} }

func (f fake) proc() Proc { return Proc(f.Dir) }

func (f fake) byPID(pid int) Process {
	f.t.Helper()
	p, err := f.proc().ByPID(pid)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}
