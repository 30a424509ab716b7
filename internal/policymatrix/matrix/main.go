// Command matrix prints what a run of the tests exercised of the workspace
// document: a line for each field, how it was exercised most strongly, by which
// tests, and whether they passed; then the totals.
//
//	go run ./internal/policymatrix/matrix build/policy-matrix.jsonl
//
// It exits with 1 when a field was not exercised, a test of it failed, or one
// that clients enforce was exercised as text only.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

func main() {
	good, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
	}
	if err != nil || !good {
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string, out io.Writer) (bool, error) {
	if len(args) != 1 {
		return false, dormer.Invalidf("file", "name the file with the records of a run")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return false, fmt.Errorf("open the records: %w", err)
	}
	defer f.Close()
	records, err := policymatrix.Read(f)
	if err != nil {
		return false, err
	}
	return policymatrix.Print(out, policymatrix.Rows(records))
}
