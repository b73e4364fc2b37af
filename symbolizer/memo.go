package symbolizer

import "sync"

// Memo holds in memory what was made of an image at some cost, in the compact form in
// which it would be kept on disk: for another Image of the same file, which then need
// not read what the first one read, nor hold it.
type Memo struct {
	mu     sync.Mutex
	offers map[string]func() []byte
	values map[string][]byte
}

// UseMemo makes the image take what the memo holds, and offer to it what it makes
// itself. It must be called before the image is used.
func (im *Image) UseMemo(m *Memo) { im.cache.memo = m }

func (m *Memo) get(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name]
}

func (m *Memo) offer(name string, produce func() []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.offers == nil {
		m.offers = map[string]func() []byte{}
	}
	m.offers[name] = produce
}

// Make makes what was offered since it was called last, and tells how many values that
// are. The images that offered it must be open.
func (m *Memo) Make() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, produce := range m.offers {
		if b := produce(); b != nil {
			if m.values == nil {
				m.values = map[string][]byte{}
			}
			m.values[name] = b
			n++
		}
	}
	m.offers = nil
	return n
}
