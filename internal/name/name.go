// Package name compares names the way people do: without regard to case and
// to how accents are encoded. It is a leaf.
package name

import (
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form of a name that is equal for names that must not stand
// beside each other: NFC, folded, and NFC again.
func Fold(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}
