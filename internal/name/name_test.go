package name

import "testing"

func TestFold(t *testing.T) {
	same := [][2]string{{"Office", "OFFICE"}, {"Büro", "BU\u0308RO"}, {"straße", "STRASSE"}, {"", ""}}
	for _, p := range same {
		if Fold(p[0]) != Fold(p[1]) {
			t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", p[0], Fold(p[0]), p[1], Fold(p[1]))
		}
	}
	if Fold("office") == Fold("office2") {
		t.Error("different names fold to the same")
	}
}
