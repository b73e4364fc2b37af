package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// consoleReports is how many reports a measured console log has.
const consoleReports = 1000

// consoleLog measures reading a console log of 1 GiB with a thousand reports of
// every format there is a log of, and the memory it takes beside that of a log an
// eighth as long.
func consoleLog(page *strings.Builder, ukdbg, dir string, n int) error {
	logs, err := filepath.Glob("asserts/testdata/logs/*.log")
	if err != nil || len(logs) == 0 {
		return fmt.Errorf("no logs in asserts/testdata/logs: %w", err)
	}
	big, small := filepath.Join(dir, "console.log"), filepath.Join(dir, "console-small.log")
	if err := writeConsole(big, logs, 1<<30, consoleReports); err != nil {
		return err
	}
	if err := writeConsole(small, logs, 1<<27, consoleReports/8); err != nil {
		return err
	}
	size, err := os.Stat(big)
	if err != nil {
		return err
	}
	mib := float64(size.Size()) / (1 << 20)
	answer := filepath.Join(dir, "faults.json")
	ours := command{args: []string{ukdbg, "crash", big, "--json"}, out: answer}
	peer := command{args: []string{"grep", "-c", "-E", "CRIT:|BUG:|panic|Assertion|Aborted", big}}
	var speed, theirs []float64
	for i := range min(n, 5) + 1 {
		a, err := ours.time()
		if err != nil {
			return err
		}
		b, err := peer.time()
		if err != nil {
			return err
		}
		if i > 0 { // the first warms the file cache
			speed, theirs = append(speed, mib/a*1000), append(theirs, mib/b*1000)
		}
	}
	if err := reportsFound(answer); err != nil {
		return err
	}
	fmt.Fprintf(page, "| 1 GiB console log with %d reports: MiB/s | %s | grep -E for five words: %s | %.1f × | at least 300 |\n",
		consoleReports, spread(speed), spread(theirs), median(theirs)/median(speed))
	var peaks [2]float64
	for i, path := range []string{big, small} {
		if peaks[i], err = runPeak(exec.Command(ukdbg, "crash", path, "--json")); err != nil {
			return err
		}
	}
	fmt.Fprintf(page, "| its peak memory, MiB | %.1f | an eighth of the log: %.1f | | the same |\n", peaks[0]/1024, peaks[1]/1024)
	return nil
}

// reportsFound checks the measured answer: no report was passed over.
func reportsFound(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var a struct{ Faults []json.RawMessage }
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	if len(a.Faults) < consoleReports {
		return fmt.Errorf("%d faults found, not the %d that are there", len(a.Faults), consoleReports)
	}
	return nil
}

// writeConsole writes about size bytes of ordinary console text with the given
// number of logs of real reports in it, at even distances.
func writeConsole(path string, logs []string, size, reports int) error {
	var texts [][]byte
	for _, l := range logs {
		text, err := os.ReadFile(l)
		if err != nil {
			return err
		}
		if !slices.Contains(text, '\n') {
			text = append(text, '\n')
		}
		texts = append(texts, text)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	line, written := 0, 0
	for r := range reports {
		for written < size/reports*(r+1) {
			line++
			k, _ := fmt.Fprintf(w, "10.0.%d.%d - - [22/Nov/2026:01:%02d:%02d +0000] \"GET /item/%d HTTP/1.1\" 200 %d \"-\" \"curl/7.88.1\"\n",
				line>>8&255, line&255, line/60%60, line%60, line, line%4096)
			written += k
			if line%4 == 0 {
				k, _ = fmt.Fprintf(w, "[%5d.%06d] Info: <init> [libukallocpool] <pool.c @  390> request %d served in %d us\r\n",
					line/1000, line%1000*1000, line, line%977)
				written += k
			}
		}
		if _, err := w.Write(texts[r%len(texts)]); err != nil {
			return err
		}
	}
	return w.Flush()
}
