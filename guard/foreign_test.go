package guard

import (
	"context"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// What somebody else did meanwhile stands.
func TestForeign(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), Run: true})
	g.QMP(t, "stop", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, false, soon)

	// The same with a breakpoint, for which the guard has work to do.
	c = start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["fault_null"]}, Run: true})
	g.QMP(t, "stop", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, false, soon)

	// An operator who let it run is not undone either.
	c = start(t, order{Target: g.GDBAddr()})
	g.QMP(t, "cont", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, true, soon)
}

// A stopped VM that both processes left behind, and the operator stopped one
// that ran: recover tells the two apart.
func TestRecoverTellsForeign(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	for _, tc := range []struct {
		o       order
		act     string // the operator's
		running bool
	}{
		{order{}, "", true},
		{order{Run: true}, "stop", false},
		{order{Run: true, Break: []uint64{g.sym["fault_null"]}}, "stop", false},
		{order{Run: true, Break: []uint64{g.sym["serve"]}}, "", true},
		{order{Break: []uint64{g.sym["serve"]}}, "cont", true},
	} {
		tc.o.Target = g.GDBAddr()
		c := start(t, tc.o)
		killBoth(t, c)
		if tc.o.Run && len(tc.o.Break) > 0 && tc.act == "" {
			for began := time.Now(); g.Running(t) && time.Since(began) < soon; time.Sleep(time.Millisecond) {
			} // it is hit
		}
		if tc.act != "" {
			g.QMP(t, tc.act, nil)
		}
		list := Recover(context.Background(), Options{State: c.state})
		if len(list) != 1 || list[0].Err != nil || !list[0].Known || list[0].Running != tc.running {
			t.Errorf("%+v: %+v", tc, list)
		}
		g.mustBeAsFound(t, c.state, tc.running, soon)
		if again := Recover(context.Background(), Options{State: c.state}); len(again) != 0 {
			t.Errorf("twice: %+v", again)
		}
	}
}
