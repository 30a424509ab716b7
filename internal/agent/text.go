package agent

import "strings"

// Limits of what the server is told, in bytes but for maxFields: it refuses a poll with longer
// texts, and some of them come from guests.
const (
	maxDetailText = 1000
	maxGuestText  = 255
	maxOrderText  = 4000
	maxHostText   = 255
	maxFields     = 200
)

// fieldsOf returns as many fields of a policy as the server is told of.
func fieldsOf(list []string) []string { return list[:min(len(list), maxFields)] }

// cut returns at most limit bytes of s, whole characters, as printable UTF-8.
func cut(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= limit {
		return s
	}
	end := 0
	for i, r := range s {
		if i+len(string(r)) > limit {
			break
		}
		end = i + len(string(r))
	}
	return s[:end]
}
