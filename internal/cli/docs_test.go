package cli_test

import (
	"github.com/rogpeppe/go-internal/testscript"
)

func document(ts *testscript.TestScript, neg bool, args []string) {
	ts.Fatalf("later")
}
