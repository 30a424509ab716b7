// Package name compares names the way people do: without regard to case and
// to how accents are encoded. It is a leaf.
package name

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form of a name that is equal for names that must not stand
// beside each other: NFC, folded, and NFC again.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return folded(s)
		}
	}
	return strings.ToLower(s) // of ASCII that is the same, and lists fold many names
}

func folded(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}
