package ldap

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// filter is a search filter (RFC 4515). It is built by the functions of this
// file alone, which escape whatever comes from outside.
type filter struct{ text string }

// escape writes a value so that no byte of it means anything in a filter.
func escape(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(" -_.,=@:/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String()
}

// equal fits objects that have the value. The value is not empty.
func equal(attribute, value string) filter {
	return filter{"(" + attribute + "=" + escape(value) + ")"}
}

// begins fits objects that have a value that begins with prefix; with an empty
// one, those that have any.
func begins(attribute, prefix string) filter {
	return filter{"(" + attribute + "=" + escape(prefix) + "*)"}
}

// every fits what all fit.
func every(of ...filter) filter { return join("&", of) }

// either fits what one of them fits.
func either(of ...filter) filter { return join("|", of) }

func join(operator string, of []filter) filter {
	if len(of) == 1 {
		return of[0]
	}
	var b strings.Builder
	b.WriteString("(" + operator)
	for _, f := range of {
		b.WriteString(f.text)
	}
	b.WriteString(")")
	return filter{b.String()}
}

// configured is a filter that the administrator wrote.
func configured(text string) (filter, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "(") {
		text = "(" + text + ")"
	}
	if _, err := goldap.CompileFilter(text); err != nil {
		return filter{}, errors.New("is not a filter, as (objectClass=person)")
	}
	return filter{text}, nil
}

// askable reports whether something can go by that name, so that a server is
// asked for it.
func askable(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}

// spellings returns the ways in which a server may have written a name: not
// every one treats a letter with its accent and the two apart as the same.
func spellings(name string) []string {
	all := []string{norm.NFC.String(name)}
	if d := norm.NFD.String(name); d != all[0] {
		all = append(all, d)
	}
	return all
}

// called fits objects that go by that name in one of the attributes. More fits
// it than does: servers ignore spaces, some of them accents. The caller
// compares what comes back.
func called(name string, attributes ...string) filter {
	return spelled(equal, name, attributes)
}

// calledLike fits objects one of whose attributes begins with prefix, with the
// same reservation.
func calledLike(prefix string, attributes ...string) filter {
	return spelled(begins, prefix, attributes)
}

func spelled(compare func(attribute, value string) filter, name string, attributes []string) filter {
	var oneOf []filter
	for _, attribute := range attributes {
		for _, spelling := range spellings(name) {
			oneOf = append(oneOf, compare(attribute, spelling))
		}
	}
	return either(oneOf...)
}
