package design

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

func computed(t testing.TB, o *organization.Organization) *plan.Plan {
	t.Helper()
	p, err := plan.Compute(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// small is one site and one image.
func small(t testing.TB) *organization.Organization {
	t.Helper()
	o, err := organization.Decode([]byte(`apiVersion: dormer/v1
kind: Organization
metadata: {name: Small}
spec:
  sites: [{name: Office, people: [{users: 40}]}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
  growth: {yearly: 10%}
`), "small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func written(t *testing.T, p *plan.Plan, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, p, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextFitsTheTerminal(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"small": computed(t, small(t)), "example": example(t), "large": largePlan(t)} {
		for _, width := range []int{72, 80, 100, 140} {
			for i, line := range strings.Split(written(t, p, width), "\n") {
				if n := cells(line); n > width {
					t.Errorf("%s, %d columns: line %d has %d: %s", name, width, i+1, n, line)
				}
			}
		}
	}
}

func TestManySitesAreCutInATerminalAlone(t *testing.T) {
	p := largePlan(t)
	brief := written(t, p, 100)
	if !strings.Contains(brief, "more (--wide, Markdown, HTML and JSON have all of them)") || strings.Count(brief, "\n") > 4000 {
		t.Errorf("200 sites take %d lines", strings.Count(brief, "\n"))
	}
	whole := written(t, p, 0)
	if strings.Contains(whole, "--wide") {
		t.Error("what is complete speaks of what it leaves out")
	}
	for _, s := range p.Scope.Sites {
		if !strings.Contains(whole, s.Site) {
			t.Errorf("%s is missing", s.Site)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		room int
		want []string
	}{
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 20, []string{"one two three"}},
		{"one two three", 8, []string{"one two", "three"}},
		{"unbreakable", 4, []string{"unbr", "eaka", "ble"}},
		{"ab unbreakable", 4, []string{"ab", "unbr", "eaka", "ble"}},
		{"日本語", 4, []string{"日本", "語"}}, // two columns each
		{"", 4, []string{""}},
		{"corp.example.test", 15, []string{"corp.example.", "test"}}, // at a dot where there is one
		{"a.unbreakable", 6, []string{"a.unbr", "eakabl", "e"}},      // unless little were left
	} {
		got := wrap(c.text, c.room)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.room, got, c.want)
		}
	}
}

func TestColumnsAreLeftOutByRank(t *testing.T) {
	in := table{Columns: []column{left("Name"), left("First").rank(2), left("Second").rank(1), right("Number")}}
	in.add(strings.Repeat("n", 26), strings.Repeat("a", 26), strings.Repeat("b", 26), 1234567)
	p := &page{width: 42}
	p.table(in)
	if s := p.String(); strings.Contains(s, "FIRST") || !strings.Contains(s, "SECOND") || !strings.Contains(s, "1,234,567") ||
		!strings.Contains(s, "left out for want of room: First") {
		t.Errorf("left out the wrong one:\n%s", s)
	}
}

func TestMarkdownEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"plain":               "plain",
		"# no heading":        `\# no heading`,
		"1. no list":          `1\. no list`,
		"2024":                "2024",
		"0.25 s":              "0.25 s",
		"- no list":           `\- no list`,
		"a|b":                 `a\|b`,
		"<b>":                 "&lt;b&gt;",
		"AT&T":                "AT&amp;T",
		"[a](b)":              `\[a\](b)`,
		"https://example.com": `https:\//example.com`,
		"@all":                "&#64;all",
	} {
		if got := markdown(in); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
}
