package placement

import (
	"errors"
	"strings"
	"testing"

	dormer "github.com/dormer-project/dormer"
)

func TestSuppositionsAreRead(t *testing.T) {
	for _, text := range []string{
		"users=+2000@Berlin", "users=-1@St. Gallen @ Lake", "separate=department:Payroll", "separate=country:DE", "isolate=site:Plant: hall 2",
		"isolate=network:Laboratory", "trust=a.example.test:b.example.test", "distrust=a.example.test:b.example.test", "capacity=20000",
		"without=separation:Payroll", "without=network:Laboratory", "separate=domain:a.example.test",
	} {
		s, err := ParseSupposition(text)
		if err != nil || s.String() != text {
			t.Errorf("%s: is %q, %v", text, s, err)
		}
	}
}

func TestWhatIsNoSuppositionIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"":                           `write one as users=+2000@Berlin, separate=`,
		"user=+1@Berlin":             `"user=+1@Berlin" is no supposition`,
		"users":                      `is no supposition`,
		"users=+2000":                "after the number stands @ and a site, as in users=+2000@Berlin",
		"users=+2000@":               "after the number stands @",
		"users=2000@Berlin":          "begins with + or -",
		"users=+0@Berlin":            "from 1 to 10000000",
		"users=+2,000@Berlin":        "from 1 to 10000000",
		"users=+10000001@Berlin":     "from 1 to 10000000",
		"users=--5@Berlin":           "from 1 to 10000000",
		"capacity=0":                 "from 1 to 10000000",
		"capacity=many":              "as in capacity=20000",
		"trust=a.example.test":       "two domains with : between",
		"trust=:b.example.test":      "two domains",
		"trust=A.test:a.test":        "accepts its own people",
		"separate=Payroll":           "begin with one of site, country, domain, department, network",
		"separate=people:Payroll":    "begin with one of",
		"isolate=site:":              "then : and its name",
		"without=department:Payroll": "begin with one of separation, network",
	} {
		_, err := ParseSupposition(text)
		if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseSupposition(f *testing.F) {
	for _, v := range verbs {
		f.Add(v.example)
	}
	f.Add("users=-99999999999@x")
	m := large(3)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSupposition(text)
		if err != nil {
			if !errors.Is(err, dormer.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseSupposition(s.String())
		if err != nil || again != s {
			t.Fatalf("%q is written %q, which is %+v, %v", text, s, again, err)
		}
		if _, err := ExplainWith(t.Context(), m, s); err != nil && !errors.Is(err, dormer.ErrInvalid) {
			t.Fatal(err)
		}
	})
}
