package agent

import "github.com/dormer-project/dormer/internal/guestwire"

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
func cut(s string, limit int) string { return guestwire.Printable(s, limit) }
