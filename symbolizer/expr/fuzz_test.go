package expr_test

import (
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/expr"
)

func FuzzExpression(f *testing.F) {
	path := build(f, []string{"gcc", "-g", "-O1"}, "testdata/rich.c")
	e := newEnv(f, path)
	for _, c := range expressions {
		f.Add(c)
	}
	f.Add("((((((((((1))))))))))")
	f.Add("*&*&*&arr[1]")
	f.Add("(int (*(*)(void))[3])0")
	f.Add("longtext@100000")
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 1000 {
			return
		}
		e.History, e.Vars = e.History[:min(len(e.History), 5)], nil
		_ = expr.Check(src)
		_, _, _ = e.Print(src, 0)
		_, _, _ = e.Print(src, 'x')
		_, _ = e.Ptype(src)
		_, _ = e.Whatis(src)
		_, _ = e.Examine(src, "3")
	})
}
