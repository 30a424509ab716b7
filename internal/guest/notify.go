package guest

import (
	"strings"
	"unicode"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Limits of messages, in bytes.
const (
	maxTitle = 256
	maxText  = 4 << 10
)

func checkNote(r guestwire.NotifyRequest) error {
	if r.Title == "" && r.Text == "" {
		return dormer.Invalidf("text", "is missing")
	}
	if len(r.Title) > maxTitle || len(r.Text) > maxText {
		return dormer.Invalidf("text", "is longer than %d bytes", maxText)
	}
	return nil
}

// printable takes out what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (!unicode.IsPrint(r) || r == unicode.ReplacementChar) {
			return ' '
		}
		return r
	}, s)
}
