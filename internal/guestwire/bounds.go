package guestwire

import (
	"strings"
	"unicode/utf8"
)

// Bounds of what a guest says of itself, in bytes and in number. A frame may be
// much longer, and what is said here goes on to logs, events and the server.
const (
	maxName         = 255
	maxNames        = 100
	maxCapability   = 64
	maxCapabilities = 256
)

// Printable returns at most limit bytes of s, whole characters, on one line and
// without control characters.
func Printable(s string, limit int) string {
	s = s[:min(len(s), 4*limit)] // no more is looked at
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
		if i+utf8.RuneLen(r) > limit {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return s[:end]
}

// Bounded returns h with no more than a guest needs to say.
func (h Hello) Bounded() Hello {
	h.Software, h.System = Printable(h.Software, maxName), Printable(h.System, maxName)
	var can []Capability
	for _, c := range h.Capabilities[:min(len(h.Capabilities), maxCapabilities)] {
		if len(c) <= maxCapability {
			can = append(can, c)
		}
	}
	h.Capabilities = can
	return h
}

// Bounded returns s with no more than a guest needs to say.
func (s Status) Bounded() Status {
	s.Hostname, s.System = Printable(s.Hostname, maxName), Printable(s.System, maxName)
	s.DefaultUser, s.SignedOn = Printable(s.DefaultUser, maxName), Printable(s.SignedOn, maxName)
	s.Users, s.Mounted = boundedNames(s.Users), boundedNames(s.Mounted)
	s.Uptime, s.Idle, s.Applications = max(0, s.Uptime), max(0, s.Idle), max(0, s.Applications)
	return s
}

func boundedNames(all []string) []string {
	var out []string
	for _, n := range all[:min(len(all), maxNames)] {
		out = append(out, Printable(n, maxName))
	}
	return out
}
