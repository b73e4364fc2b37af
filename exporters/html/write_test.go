package html_test

import (
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/html"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

func write(t *testing.T, tr exporters.Trace, opt html.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(html.Write(f, tr, opt), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// A real browser draws the page from disk: the table's numbers are right, the
// guest's text stays text, nothing asks the network.
func TestInABrowser(t *testing.T) {
	const n = 3000
	path := write(t, exporttest.Trace(n), html.Options{MaxSpans: 1000})
	dom, console, shot := exporttest.Chromium(t, path)
	if !strings.Contains(dom, `data-ready="yes"`) {
		t.Fatalf("the page's script did not come to its end; console:\n%s", console)
	}
	for _, want := range []string{
		// name, count, errors, quantiles, longest, total
		`<td>request_serve</td><td>3,000</td><td class="bad">600</td><td>400.0 µs</td><td>400.0 µs</td><td>400.0 µs</td><td>400.0 µs</td><td>400.0 µs</td><td>1.20 s</td></tr>`,
		`<td>vfs_open</td><td>3,000</td><td>0</td><td>10.0 µs</td>`,
		`Showing the 1,000 longest of 9,000 spans, the first 5,000 of 6,000 other records`,
		`3.00 s · 9,000 spans · from 2023-11-14 22:13:20.000 UTC`,
		`>worker-1</div>`, `>vfs_read</div>`, // in the flame graph
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(dom, "<img") || strings.Contains(dom, "onerror=alert(1)>") {
		t.Error("the guest's text became a part of the page")
	}
	// The hostile thread's box in the flame graph shows its name as it is.
	if !strings.Contains(dom, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("the hostile name is not shown")
	}
	for line := range strings.Lines(console) {
		if strings.Contains(line, "CONSOLE") || strings.Contains(line, "Content Security Policy") {
			t.Errorf("console: %s", line)
		}
	}
	colours(t, shot)
}

// colours looks at the screenshot: text, lines, and the spans' colours where the
// timeline and the flame graph are.
func colours(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[3]uint32]int{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			if d := max(r, g, b) - min(r, g, b); d > 0x2000 {
				seen[[3]uint32{r, g, b}]++
			}
		}
	}
	large := 0
	for _, n := range seen {
		if n > 1000 {
			large++
		}
	}
	if large < 3 {
		t.Errorf("%d large coloured areas in the screenshot, want one for each of three names", large)
	}
	if keep := os.Getenv("UKDBG_KEEP_SCREENSHOT"); keep != "" {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(keep, data, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// The page refers to nothing outside itself, and its policy forbids it.
func TestSelfContained(t *testing.T) {
	data, err := os.ReadFile(write(t, exporttest.Trace(3), html.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if m := regexp.MustCompile(`(?i)(src|href)\s*=\s*["']|url\(|@import|https?://`).FindAllString(page, -1); len(m) > 0 {
		t.Errorf("the page refers to %q", m)
	}
	if !strings.Contains(page, "default-src 'none'; script-src 'sha256-") || strings.Count(page, "<script") != 2 {
		t.Error("no policy, or more scripts than its own")
	}
	if i := strings.Index(page, "</script><img"); i >= 0 {
		t.Errorf("the guest's text ends the data at %d", i)
	}
}

// A trace of nothing is a page, too; the size is bounded whatever the length.
func TestSizes(t *testing.T) {
	empty := write(t, exporters.Trace{Spans: exporters.Of()}, html.Options{})
	dom, console, _ := exporttest.Chromium(t, empty)
	if !strings.Contains(dom, `data-ready="yes"`) || !strings.Contains(dom, "0 ns · 0 spans") {
		t.Errorf("an empty page: %s\n%s", dom, console)
	}
	var sizes []int64
	for _, n := range []int{5_000, 50_000} {
		info, err := os.Stat(write(t, exporttest.Trace(n), html.Options{MaxSpans: 1000, MaxInstants: 1000}))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	if sizes[1] > sizes[0]*5/4 {
		t.Errorf("ten times the spans make the page grow: %s bytes", fmt.Sprint(sizes))
	}
}
