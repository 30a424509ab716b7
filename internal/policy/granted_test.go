package policy

import (
	"testing"

	"github.com/dormer-project/dormer"
)

// TestGranted: a principal of a stored document is found by its name, and by
// nothing else once a key is given.
func TestGranted(t *testing.T) {
	alice := Principal{Kind: dormer.KindUser, Name: "Alice", Key: "k1"}
	doc := &Document{Grants: []Grant{{Principal: alice}, {Principal: Principal{Kind: dormer.KindUser, Name: "bob"}}}}
	for what, c := range map[string]struct {
		doc  *Document
		p    Principal
		want bool
	}{
		"by name":             {doc, Principal{Kind: dormer.KindUser, Name: "alice"}, true},
		"by name and key":     {doc, alice, true},
		"the directory named": {doc, Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Name: "alice"}, true},
		"another key":         {doc, Principal{Kind: dormer.KindUser, Name: "alice", Key: "k2"}, false},
		"another kind":        {doc, Principal{Kind: dormer.KindGroup, Name: "alice"}, false},
		"another directory":   {doc, Principal{Directory: "corp", Kind: dormer.KindUser, Name: "alice"}, false},
		"never looked up":     {doc, Principal{Kind: dormer.KindUser, Name: "bob"}, false},
		"no document":         {nil, alice, false},
	} {
		got, ok := c.doc.Granted(c.p)
		if ok != c.want || ok && got != alice {
			t.Errorf("%s: %+v, %t", what, got, ok)
		}
	}
}
