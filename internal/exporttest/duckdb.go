package exporttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// duckdb is the npm package that holds DuckDB as a library, with its version.
const duckdb = "@duckdb/node-api@1.5.6-r.1"

const duckdbScript = `
const { DuckDBInstance } = require("@duckdb/node-api");
(async () => {
  const c = await (await DuckDBInstance.create(":memory:")).connect();
  const r = await c.runAndReadAll(process.argv[1]);
  console.log(JSON.stringify(r.getRowsJson()));
})().catch(e => { console.error(String(e)); process.exit(1); });
`

// DuckDB runs one query and returns its rows; numbers of 64 bits come as text.
// The first use on a machine installs DuckDB into the user's cache folder.
func DuckDB(t testing.TB, query string) [][]any {
	t.Helper()
	dir, err := duckdbFolder()
	if err != nil {
		t.Fatalf("no DuckDB to read Parquet with (make tools installs npm): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", duckdbScript, query)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("DuckDB: %s: %v: %s", query, err, stderr.String())
	}
	var rows [][]any
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("DuckDB's answer: %v: %s", err, out)
	}
	return rows
}

func duckdbFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "ukdbg", "duckdb-1.5.6")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@duckdb", "node-api")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "duckdb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := os.WriteFile(filepath.Join(temp, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", duckdb)
	cmd.Dir = temp
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install %s: %w: %s", duckdb, err, text)
	}
	// Another test may have been first; then its folder is as good.
	if err := os.Rename(temp, dir); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil {
			return "", err
		}
	}
	return dir, nil
}
