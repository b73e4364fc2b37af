package ukdbg_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// maxPerSession is what one more session on an image that is open may hold between
// two looks at its guest: 200 guests of 10 images are to fit into 300 MiB.
const maxPerSession = 256 << 10

// A further session on an image that is open costs little memory, though it has
// listed threads and unwound their stacks.
func TestMemoryOfFurtherSessions(t *testing.T) {
	ctx := context.Background()
	g := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.WaitConsole(t, "requests served", 30*time.Second)
	images := ukdbg.NewImages(0)
	held := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	var sessions []*ukdbg.Session
	open := func() {
		s, err := ukdbg.Open(ctx, ukdbg.Options{Target: "qmp:" + g.QMPPath, Image: g.Debug, Images: images})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
		if _, err := tour(ctx, s); err != nil {
			t.Fatal(err)
		}
		s.Look()
	}
	before := held()
	open()
	first := held()
	const more = 8
	for range more {
		open()
	}
	each := (held() - first) / more
	t.Logf("first session and image: %d KiB; each further session: %d KiB", (first-before)>>10, each>>10)
	if each > maxPerSession {
		t.Errorf("a further session holds %d bytes, want at most %d", each, maxPerSession)
	}
	for _, s := range sessions {
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := images.Close(); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(sessions)
}
