// Package policymatrix collects what tests exercise of the workspace document,
// field by field, for the table that `make policy-matrix` prints. Only tests
// import it.
package policymatrix

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/dormer-project/dormer/internal/policy"
)

// How says how a field was exercised.
type How string

// The ways, from the strongest.
const (
	// RealGuest: its effect was seen inside a guest, or in what a real guest did.
	RealGuest How = "real guest"
	// Monitor: the hypervisor of a real machine was asked what is attached.
	Monitor How = "monitor"
	// Product: its effect was seen in the real programs, without a guest where
	// none is concerned.
	Product How = "product"
	// Text: its value was decoded, combined and delivered, nothing more.
	Text How = "text only"
)

// Variable names the environment variable with the file that records go to;
// without it nothing is recorded.
const Variable = "DORMER_POLICY_MATRIX"

// Record is one line of that file.
type Record struct {
	Field string `json:"field"`
	How   How    `json:"how"`
	Test  string `json:"test"`
	Pass  bool   `json:"pass"`
}

// known reports whether a workspace document has that field.
func known(field string) bool {
	return slices.ContainsFunc(policy.Enforcements(), func(e policy.Enforcement) bool { return e.Path == field })
}

// Exercised notes, when the test ends, that it exercised these fields, written
// as in docs/policy.md: "spec.machine.onStop", "grants[].clipboard". A field that
// does not exist fails the test.
func Exercised(t testing.TB, how How, fields ...string) {
	t.Helper()
	for _, field := range fields {
		if !known(field) {
			t.Errorf("policy matrix: %s is no field of the workspace document that does not divide into others; docs/policy.md lists them", field)
		}
	}
	path := os.Getenv(Variable)
	if path == "" {
		return
	}
	t.Cleanup(func() {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Errorf("record for the policy matrix: %v", err)
			return
		}
		defer f.Close()
		for _, field := range fields {
			b, err := json.Marshal(Record{Field: field, How: how, Test: t.Name(), Pass: !t.Failed() && !t.Skipped()})
			if err == nil {
				_, err = f.Write(append(b, '\n'))
			}
			if err != nil {
				t.Errorf("record for the policy matrix: %v", err)
			}
		}
	})
}
