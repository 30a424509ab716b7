package report_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/report"
)

// TestGroupsLeadToRows: in every report the values of a group find as many rows
// as it counts, whatever it is grouped by.
func TestGroupsLeadToRows(t *testing.T) {
	r := reporter(t)
	for _, kind := range report.Kinds() {
		if kind == report.Setup {
			r = setups(t, r)
		}
		for _, c := range kind.Columns() {
			if c.Name == "count" {
				continue
			}
			groups := objects(t, page(t, r, kind, report.Query{Days: 60, Group: []string{c.Name}}))
			if len(groups) == 0 {
				t.Errorf("%s has no groups of %s", kind, c.Name)
			}
			for _, g := range groups {
				d := json.NewDecoder(strings.NewReader(g))
				d.UseNumber()
				var values map[string]any
				if err := d.Decode(&values); err != nil {
					t.Fatal(err)
				}
				text := ""
				switch v := values[c.Name].(type) {
				case nil:
				case []any:
					var parts []string
					for _, p := range v {
						parts = append(parts, fmt.Sprint(p))
					}
					text = strings.Join(parts, ", ")
				default:
					text = fmt.Sprint(v)
				}
				rows := page(t, r, kind, report.Query{Days: 60, Equal: map[string]string{c.Name: text}}).Rows
				if fmt.Sprint(len(rows)) != fmt.Sprint(values["count"]) {
					t.Errorf("%s with %s=%q has %d rows, the group says %s", kind, c.Name, text, len(rows), g)
				}
			}
		}
	}
}
