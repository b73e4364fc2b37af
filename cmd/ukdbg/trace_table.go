package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
)

// column is one of an answer's columns. In a table a value is shown for people;
// JSON and CSV have it as it is.
type column struct {
	// key names it in JSON and CSV, head in the table; "" leaves it out there.
	key, head string
	// left aligns the table's column to the left.
	left bool
}

// cell is one value: a string, an integer, a float, a bool, nil for what is not
// known, or nanos.
type cell any

// nanos is a duration in nanoseconds.
type nanos uint64

// shown is a value whose table form is not its own.
type shown struct {
	value cell
	text  string
}

// table writes rows in the form the flags ask for.
type table struct {
	columns []column
	rows    [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) write(e env, form string) error {
	switch form {
	case "json":
		return t.json(e)
	case "csv":
		return t.csv(e)
	}
	return t.text(e)
}

func (t *table) text(e env) error {
	tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = len([]rune(c.head))
		for _, r := range t.rows {
			widths[i] = max(widths[i], len([]rune(people(r[i]))))
		}
	}
	line := func(text func(i int) string) {
		for i, c := range t.columns {
			if c.head == "" {
				continue
			}
			s := text(i)
			if c.left {
				s += strings.Repeat(" ", widths[i]-len([]rune(s)))
			}
			fmt.Fprint(tw, s, "\t")
		}
		fmt.Fprintln(tw)
	}
	line(func(i int) string { return t.columns[i].head })
	for _, r := range t.rows {
		line(func(i int) string { return people(r[i]) })
	}
	return tw.Flush()
}

// people writes a value for a table.
func people(c cell) string {
	switch v := c.(type) {
	case nil:
		return "-"
	case shown:
		return asserts.Escape(v.text)
	case nanos:
		return ukdbg.Nanoseconds(uint64(v))
	case string:
		if v == "" {
			return "-"
		}
		return asserts.Escape(v)
	case float64:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case bool:
		if v {
			return "yes"
		}
		return ""
	}
	return fmt.Sprint(c)
}

// plainValue is a cell as JSON has it.
func plainValue(c cell) any {
	switch v := c.(type) {
	case shown:
		return plainValue(v.value)
	case nanos:
		return uint64(v)
	}
	return c
}

func (t *table) json(e env) error {
	for _, r := range t.rows {
		var b strings.Builder
		b.WriteByte('{')
		first := true
		for i, c := range t.columns {
			v := plainValue(r[i])
			if v == nil || v == "" {
				continue // what is not known is absent
			}
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			fmt.Fprintf(&b, "%q:%s", c.key, text)
		}
		if _, err := fmt.Fprintln(e.out, b.String()+"}"); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) csv(e env) error {
	w := csv.NewWriter(e.out)
	line := make([]string, len(t.columns))
	for i, c := range t.columns {
		line[i] = c.key
	}
	if err := w.Write(line); err != nil {
		return err
	}
	for _, r := range t.rows {
		for i := range t.columns {
			line[i] = ""
			if v := plainValue(r[i]); v != nil {
				line[i] = fmt.Sprint(v)
			}
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
