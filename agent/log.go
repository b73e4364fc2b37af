package agent

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// logger writes what an operator ought to know, a line each. A supervisor adds the
// time and the name.
type logger struct {
	mu   sync.Mutex
	w    io.Writer
	last map[string]string
	at   map[string]time.Time
}

// repeat is after how long the same is said again, and maxTopics bounds what is
// remembered of what was said.
const (
	repeat    = 10 * time.Minute
	maxTopics = 4096
)

func newLogger(w io.Writer) *logger {
	return &logger{w: w, last: map[string]string{}, at: map[string]time.Time{}}
}

// printf writes a line. What comes from guests and files is escaped.
func (l *logger) printf(format string, args ...any) {
	text := clean(fmt.Sprintf(format, args...))
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s\n", text) // nobody to tell that it cannot be told
}

// once writes a line about a topic unless the last one about it was the same.
func (l *logger) once(topic, format string, args ...any) {
	text := clean(fmt.Sprintf(format, args...))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[topic] == text && time.Since(l.at[topic]) < repeat {
		return
	}
	if len(l.last) >= maxTopics {
		clear(l.last)
		clear(l.at)
	}
	l.last[topic], l.at[topic] = text, time.Now()
	fmt.Fprintf(l.w, "%s\n", text)
}

// forget drops what was said about topics that begin with prefix.
func (l *logger) forget(prefix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range l.last {
		if strings.HasPrefix(t, prefix) {
			delete(l.last, t)
			delete(l.at, t)
		}
	}
}

// clean makes a line of a text: control characters are written as Go has them.
func clean(s string) string {
	s = strings.ReplaceAll(s, "\n", "; ") // several errors in one
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfffd || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			q := strconv.QuoteToGraphic(s)
			q = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(q[1 : len(q)-1])
			return q
		}
	}
	return s
}
