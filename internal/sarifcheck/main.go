// Sarifcheck tells whether its standard input is a valid SARIF 2.1.0 log by the
// OASIS schema. Tests of ukdbg run it; it is a module of its own, so that ukdbg
// does not depend on a validator.
//
// The schema is the one the pinned github.com/owenrumney/go-sarif carries.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	_ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif" // pins the schema
	"github.com/xeipuuv/gojsonschema"
)

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(r io.Reader) error {
	text, err := schema()
	if err != nil {
		return fmt.Errorf("finding the schema: %w", err)
	}
	log, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	res, err := gojsonschema.Validate(gojsonschema.NewStringLoader(text), gojsonschema.NewBytesLoader(log))
	if err != nil {
		return err
	}
	var all []error
	for _, e := range res.Errors() {
		all = append(all, errors.New(e.String()))
	}
	return errors.Join(all...)
}

// schema returns the text of go-sarif's constant called schema.
func schema() (string, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "pkg", "report", "v210", "sarif", "schema.go")
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return "", err
	}
	for _, d := range parsed.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || len(gen.Specs) == 0 {
			continue
		}
		spec, ok := gen.Specs[0].(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "schema" || len(spec.Values) != 1 {
			continue
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			return strconv.Unquote(lit.Value)
		}
	}
	return "", fmt.Errorf("%s has no constant called schema", file)
}
