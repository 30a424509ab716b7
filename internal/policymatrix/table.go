package policymatrix

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// ways are the ways from the strongest.
var ways = []How{RealGuest, Monitor, Product, Text}

// Read reads the records of a run. ErrCorrupt with the line for what is none.
func Read(r io.Reader) ([]Record, error) {
	var out []Record
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var record Record
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil || !slices.Contains(ways, record.How) {
			return nil, fmt.Errorf("line %d is no record of the policy matrix: %w", n, dormer.ErrCorrupt)
		}
		out = append(out, record)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return out, nil
}

// Row is one field of the workspace document.
type Row struct {
	policy.Enforcement
	// How is the strongest way in which it was exercised; "" for none.
	How How
	// Tests are the tests that did, those of the strongest way first; Failed
	// are those of them that did not pass.
	Tests, Failed []string
}

// Verdict is what a Row comes to.
type Verdict string

// The verdicts. All but Passed are faults.
const (
	Passed  Verdict = "pass"
	Failed  Verdict = "FAIL"
	Missing Verdict = "MISSING"
	// TooWeak is a field that clients enforce and that was not seen to have any
	// effect.
	TooWeak Verdict = "TOO WEAK"
)

// Verdict returns what the row comes to.
func (r Row) Verdict() Verdict {
	switch {
	case len(r.Failed) > 0:
		return Failed
	case r.How == "":
		return Missing
	case r.How == Text && r.Enforced:
		return TooWeak
	default:
		return Passed
	}
}

// Rows sums up the records of a run: a row for each field, in the order of the
// document.
func Rows(records []Record) []Row {
	by := map[string][]Record{}
	for _, r := range records {
		by[r.Field] = append(by[r.Field], r)
	}
	var out []Row
	for _, field := range policy.Enforcements() {
		row := Row{Enforcement: field}
		for _, way := range ways {
			for _, r := range by[field.Path] {
				if r.How != way || slices.Contains(row.Tests, r.Test) {
					continue
				}
				if row.How == "" {
					row.How = way
				}
				row.Tests = append(row.Tests, r.Test)
			}
		}
		for _, r := range by[field.Path] {
			if !r.Pass && !slices.Contains(row.Failed, r.Test) {
				row.Failed = append(row.Failed, r.Test)
			}
		}
		out = append(out, row)
	}
	return out
}

// shownTests is how many tests a line of the table names.
const shownTests = 3

// Print prints the table and its totals, and reports whether every field has
// passed.
func Print(w io.Writer, rows []Row) (bool, error) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIELD\tEXERCISED BY\tRESULT\tTESTS")
	ways, verdicts := map[How]int{}, map[Verdict]int{}
	for _, r := range rows {
		how := string(r.How)
		if how == "" {
			how = "nothing"
		}
		ways[r.How]++
		verdicts[r.Verdict()]++
		tests := r.Tests
		if len(r.Failed) > 0 {
			tests = r.Failed
		}
		text := strings.Join(tests[:min(len(tests), shownTests)], ", ")
		if more := len(tests) - shownTests; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Path, how, r.Verdict(), text)
	}
	if err := t.Flush(); err != nil {
		return false, fmt.Errorf("print the policy matrix: %w", err)
	}
	good := verdicts[Passed] == len(rows)
	_, err := fmt.Fprintf(w, "\n%d fields: %d real guest, %d monitor, %d product, %d text only, %d nothing\n%d passed, %d failed, %d missing, %d too weak\n",
		len(rows), ways[RealGuest], ways[Monitor], ways[Product], ways[Text], ways[""],
		verdicts[Passed], verdicts[Failed], verdicts[Missing], verdicts[TooWeak])
	return good, err
}
