package symbolizer

import "sync"

type cfiData struct{ once sync.Once }
