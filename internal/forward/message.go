package forward

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// facilities of RFC 5424 that events may go under.
var facilities = map[string]int{
	"user": 1, "daemon": 3, "auth": 4, "authpriv": 10,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// Facilities returns the names of the facilities.
func Facilities() []string { return slices.Sorted(maps.Keys(facilities)) }

// severities of RFC 5424.
var severities = map[dormer.Severity]int{dormer.Error: 3, dormer.Warning: 4, dormer.Information: 6}

const (
	// maxDatagram is the longest message over UDP, in bytes: what RFC 5426 says
	// that receivers should take.
	maxDatagram = 2048
	// Longest fields of the header, in bytes.
	maxHostname = 255
	// syslogTime is the form of a time: RFC 3339 with microseconds.
	syslogTime = "2006-01-02T15:04:05.000000Z"
)

// byteOrderMark begins a text that is UTF-8 and not ASCII alone.
const byteOrderMark = "\uFEFF"

// message writes an event as RFC 5424 says.
func (s *Syslog) message(i dormer.InstanceID, r event.Row) []byte {
	severity, ok := severities[r.Severity]
	if !ok {
		severity = 3
	}
	host, program := r.Host, "dormer"
	if r.Client == "" {
		program = "dormerd" // the server's own
	}
	if host == "" {
		host = s.cfg.Hostname
	}
	var b []byte
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(s.facility*8+severity), 10)
	b = append(b, ">1 "...)
	b = r.Time.UTC().AppendFormat(b, syslogTime)
	b = append(b, ' ')
	b = append(b, headerField(host, maxHostname)...)
	b = append(b, ' ')
	b = append(b, program...)
	b = append(b, " - E"...)
	b = strconv.AppendInt(b, int64(r.Code), 10)
	b = append(b, " [dormer@"...)
	b = strconv.AppendInt(b, int64(s.cfg.Enterprise), 10)
	b = s.parameters(b, i, r)
	b = append(b, `][origin software="dormerd" swVersion="`...)
	b = appendValue(b, s.cfg.Version)
	b = append(b, `"] `...)
	text := oneLine(r.Description)
	if strings.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf }) {
		b = append(b, byteOrderMark...)
	}
	return append(b, text...)
}

// parameters writes the fields of the event that are not empty.
func (*Syslog) parameters(b []byte, i dormer.InstanceID, r event.Row) []byte {
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	for _, p := range []struct{ name, value string }{
		{"id", number(r.ID)},
		{"instance", string(i)},
		{"client", string(r.Client)},
		{"code", strconv.Itoa(r.Code)},
		{"category", r.Category},
		{"user", r.User},
		{"workspace", string(r.Workspace)},
		{"workspaceName", r.WorkspaceName},
		{"guest", r.Guest},
		{"image", r.Image},
		{"policyRevision", number(int64(r.PolicyRevision))},
		{"clientVersion", r.ClientVersion},
		{"count", number(int64(r.Count))},
		{"received", received(r)},
	} {
		if p.value == "" {
			continue
		}
		b = append(b, ' ')
		b = append(b, p.name...)
		b = append(b, '=', '"')
		b = appendValue(b, p.value)
		b = append(b, '"')
	}
	return b
}

func received(r event.Row) string {
	if r.Received.IsZero() {
		return ""
	}
	return r.Received.UTC().Format(syslogTime)
}

// headerField keeps what a field of the header may hold: printable ASCII without
// spaces; "-" where nothing is left.
func headerField(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '_'
		}
		return c
	}, s)
	if s = s[:min(len(s), most)]; s == "" {
		return "-"
	}
	return s
}

// appendValue writes a value of the structured data.
func appendValue(b []byte, s string) []byte {
	for _, c := range oneLine(s) {
		if c == '"' || c == '\\' || c == ']' {
			b = append(b, '\\')
		}
		b = utf8.AppendRune(b, c)
	}
	return b
}

// oneLine makes a text valid UTF-8 without control characters: a receiver that
// writes lines cannot be made to write others.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cutMessage cuts the text of a message so that it has at most so many bytes. A
// message whose structured data alone is longer loses that.
func cutMessage(m []byte, most int) []byte {
	if len(m) <= most {
		return m
	}
	begin := bytes.IndexByte(m, '[')
	end := bytes.Index(m, []byte(`"] `)) + 2 // no value has a bracket that is not escaped
	if begin > 0 && end > 1 && end+1 > most {
		m = append(append(append([]byte{}, m[:begin]...), '-'), m[end:]...)
	}
	if len(m) > most {
		m = m[:most]
		if last := lastRune(m); !utf8.FullRune(last) {
			m = m[:len(m)-len(last)]
		}
	}
	return m
}

// lastRune returns the bytes from the beginning of the last character on.
func lastRune(m []byte) []byte {
	for i := len(m) - 1; i >= 0 && i > len(m)-utf8.UTFMax; i-- {
		if utf8.RuneStart(m[i]) {
			return m[i:]
		}
	}
	return nil
}
