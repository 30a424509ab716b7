package ldap

import (
	"strings"
	"testing"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer/internal/name"
)

// alternatives returns the comparisons of a compiled filter of called.
func alternatives(t *testing.T, f filter) []*ber.Packet {
	t.Helper()
	p, err := goldap.CompileFilter(f.text)
	if err != nil {
		t.Fatalf("%q does not compile: %v", f.text, err)
	}
	if p.Tag == goldap.FilterOr {
		return p.Children
	}
	return []*ber.Packet{p}
}

func TestCalledFitsTheNameAlone(t *testing.T) {
	for _, who := range []string{
		"alice", "Bo\u0301b", "Bób", "*", "a*b", "a)(uid=*", "(|(uid=*)", `a\2a`, `\`, "\x00", " a ", "a=b", "ß", "日本", "x\xffy", "#", "<SID=S-1-1-0>",
	} {
		checkCalled(t, who)
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"alice", "*", "a)(uid=*", `a\2a`, "\x00", "Bo\u0301b", "x\xffy", "&", "!(a=b)", ":dn:=", "~="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, who string) {
		if who == "" {
			return
		}
		checkCalled(t, who)
		if askable(who) && (!utf8.ValidString(who) || strings.ContainsRune(who, 0)) {
			t.Errorf("%q is asked for", who)
		}
	})
}

// checkCalled: what a server decodes is the name, as it is or with accents
// written otherwise, and a comparison with nothing else.
func checkCalled(t *testing.T, who string) {
	t.Helper()
	for _, comparison := range alternatives(t, called(who, "uid")) {
		if comparison.Tag != goldap.FilterEqualityMatch || len(comparison.Children) != 2 {
			t.Fatalf("%q became another filter: %v", who, comparison)
		}
		attribute, value := comparison.Children[0].Data.String(), comparison.Children[1].Data.String()
		if attribute != "uid" || value != who && name.Fold(value) != name.Fold(who) {
			t.Errorf("%q became %s=%q", who, attribute, value)
		}
	}
	for _, comparison := range alternatives(t, calledLike(who, "uid")) {
		if comparison.Tag != goldap.FilterSubstrings || len(comparison.Children[1].Children) != 1 {
			t.Fatalf("prefix %q became another filter: %v", who, comparison)
		}
		initial := comparison.Children[1].Children[0]
		if value := initial.Data.String(); initial.Tag != goldap.FilterSubstringsInitial || value != who && name.Fold(value) != name.Fold(who) {
			t.Errorf("prefix %q became %q", who, value)
		}
	}
}

func TestAskable(t *testing.T) {
	for who, want := range map[string]bool{
		"alice": true, "*": true, "a)(b": true, "Bób": true, "": false, "a\x00": false, "a\nb": false, "x\xff": false,
		strings.Repeat("a", MaxNameBytes): true, strings.Repeat("a", MaxNameBytes+1): false,
	} {
		if askable(who) != want {
			t.Errorf("askable(%q) = %t", who, !want)
		}
	}
}

func TestConfiguredFilter(t *testing.T) {
	for text, want := range map[string]string{"uid=a": "(uid=a)", " (uid=a) ": "(uid=a)", "(&(a=b)(c=d))": "(&(a=b)(c=d))"} {
		if f, err := configured(text); err != nil || f.text != want {
			t.Errorf("%q: %q, %v", text, f.text, err)
		}
	}
	for _, text := range []string{"", "(uid=a", "(uid=a))(x=y", "uid"} {
		if f, err := configured(text); err == nil {
			t.Errorf("%q was taken for the filter %q", text, f.text)
		}
	}
}
