package exporttest

import (
	"bytes"
	"encoding/json"
	"os/exec"
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
	dir, err := npmFolder("duckdb-1.5.6", duckdb)
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
