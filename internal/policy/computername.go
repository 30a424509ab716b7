package policy

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/dormer-project/dormer"
)

// maxComputerName is the longest NetBIOS name, in characters.
const maxComputerName = 15

// machinePart is how many characters of a machine's identity a name carries:
// 30 bits.
const machinePart = 6

// reservedNames are names that domains keep for themselves, as far as they can
// be made of letters, digits and hyphens.
var reservedNames = []string{
	"ANONYMOUS", "BATCH", "BUILTIN", "DIALUP", "DOMAIN", "ENTERPRISE", "GATEWAY", "GW", "INTERACTIVE", "INTERNET", "LOCAL", "LOCALHOST",
	"NETWORK", "NULL", "PROXY", "RESTRICTED", "SELF", "SERVER", "SERVICE", "SYSTEM", "TAC", "USERS", "WORLD",
}

// randomLetters are what # stands for: no letter that is read as a digit.
const randomLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NameVars are the values of the variables of a computer name pattern.
type NameVars struct {
	User, Domain, Host, Workspace string
	// Machine is the machine's identity; a name carries its first 6 characters.
	Machine string
}

// piece is a part of a pattern: constant text, a variable or one random
// character.
type piece struct {
	text     string
	variable string
	random   bool
}

func parsePattern(pattern string) ([]piece, error) {
	var pieces []piece
	for s := pattern; s != ""; {
		switch {
		case s[0] == '#':
			pieces = append(pieces, piece{random: true})
			s = s[1:]
		case s[0] == '{':
			name, rest, ok := strings.Cut(s[1:], "}")
			switch {
			case !ok:
				return nil, errors.New("a { is not closed")
			case name != "user" && name != "domain" && name != "host" && name != "workspace" && name != "machine":
				return nil, errors.New("names an unknown variable; there are {user}, {domain}, {host}, {workspace} and {machine}")
			}
			pieces = append(pieces, piece{variable: name})
			s = rest
		default:
			end := strings.IndexAny(s, "#{")
			if end < 0 {
				end = len(s)
			}
			if strings.ContainsFunc(s[:end], func(r rune) bool { return nameRune(r) < 0 }) {
				return nil, errors.New("may contain only letters without accents, digits and hyphens beside variables and #")
			}
			pieces = append(pieces, piece{text: s[:end]})
			s = s[end:]
		}
	}
	return pieces, nil
}

// CheckComputerName returns what is wrong with a pattern, as a sentence for
// people, or nil. A pattern that cannot be unique in an instance is refused:
// it needs a #, {machine} or {host}.
func CheckComputerName(pattern string) error {
	if len(pattern) > 200 {
		return errors.New("is longer than 200 characters")
	}
	pieces, err := parsePattern(pattern)
	if err != nil {
		return err
	}
	kept, unique, constant := 0, false, 0
	hostAt := -1
	for _, p := range pieces {
		switch {
		case p.random:
			kept++
			unique = true
		case p.variable == "machine":
			kept += machinePart
			unique = true
		case p.variable == "host" && hostAt < 0:
			hostAt = constant
		default:
			constant += len(p.text)
		}
	}
	switch {
	case kept > maxComputerName:
		return fmt.Errorf("has more than %d random characters (# counts 1, {machine} counts %d)", maxComputerName, machinePart)
	case unique:
	case hostAt < 0:
		return errors.New("cannot be unique: all machines of a user would have one name; add # for random characters, {machine} or {host}")
	case hostAt >= maxComputerName:
		return errors.New("cannot be unique: the text before {host} fills the 15 characters of a name")
	}
	if len(pieces) == 1 && pieces[0].variable == "host" {
		return errors.New("is the name of the host itself, which the guest must not take; add text or #")
	}
	if strings.HasPrefix(pattern, "-") || strings.HasSuffix(pattern, "-") {
		return errors.New("must not begin or end with a hyphen")
	}
	return nil
}

// ComputerNameWarning says what is allowed in a pattern but probably not meant, or
// nothing.
func ComputerNameWarning(pattern string) string {
	if uniqueByChance(pattern) {
		return "has fewer than 3 random characters, which give too few names for many machines"
	}
	return ""
}

// uniqueByChance reports whether a pattern relies on fewer than 3 random
// characters alone.
func uniqueByChance(pattern string) bool {
	n := strings.Count(pattern, "#")
	return n > 0 && n < 3 && !strings.Contains(pattern, "{machine}") && !strings.Contains(pattern, "{host}")
}

// ExpandComputerName makes a name from a pattern that CheckComputerName
// accepts: at most 15 capital letters, digits and hyphens. Variables and then
// text are cut from the end to make room; random characters and {machine} are
// kept. Whether the name is taken is for the caller to find out, who asks
// again when it is.
func ExpandComputerName(pattern string, vars NameVars, random io.Reader) (string, error) {
	pieces, err := parsePattern(pattern)
	if err != nil {
		return "", fmt.Errorf("computer name: pattern %w", err)
	}
	// Chance may give a name that no computer may have.
	for range nameDraws {
		var name string
		if name, err = expandPieces(pieces, vars, random); err == nil || !strings.Contains(pattern, "#") {
			return name, err
		}
	}
	return "", err
}

// PreviewComputerNames makes n names that machines would get from a pattern,
// each for a machine of its own. A pattern that is refused is an ErrInvalid at
// the field pattern. Whether a name is taken is seen when a machine gets it.
func PreviewComputerNames(pattern string, vars NameVars, n int, random io.Reader) ([]string, error) {
	if err := CheckComputerName(pattern); err != nil {
		return nil, dormer.Invalidf("pattern", "%s", err.Error())
	}
	names := make([]string, 0, n)
	for range n {
		var err error
		if vars.Machine, err = dormer.NewID(random); err != nil {
			return nil, err
		}
		name, err := ExpandComputerName(pattern, vars, random)
		if err != nil {
			return nil, dormer.Invalidf("pattern", "%s", err.Error())
		}
		names = append(names, name)
	}
	return names, nil
}

// nameDraws is how often random characters are drawn for one name.
const nameDraws = 20

func expandPieces(pieces []piece, vars NameVars, random io.Reader) (string, error) {
	values := map[string]string{
		"user": vars.User, "domain": vars.Domain, "host": vars.Host, "workspace": vars.Workspace, "machine": vars.Machine,
	}
	var letters []nameLetter
	for _, p := range pieces {
		text, cut := p.text, cutText
		switch {
		case p.random:
			var b [1]byte
			if _, err := io.ReadFull(random, b[:]); err != nil {
				return "", fmt.Errorf("computer name: %w", err)
			}
			text, cut = string(randomLetters[int(b[0])%len(randomLetters)]), cutNever
		case p.variable == "machine":
			text, cut = cleanName(values["machine"]), cutNever
			text = text[:min(len(text), machinePart)]
		case p.variable != "":
			text, cut = values[p.variable], cutFirst
		}
		for _, r := range cleanName(text) {
			letters = append(letters, nameLetter{r, cut})
		}
	}
	letters = cutLetters(letters)
	if len(letters) > maxComputerName {
		return "", errors.New("computer name: the pattern has more than 15 random characters")
	}
	var name strings.Builder
	for _, l := range letters {
		name.WriteRune(l.c)
	}
	out := strings.Trim(name.String(), "-")
	switch {
	case out == "":
		return "", errors.New("computer name: nothing is left of it that a computer name may contain")
	case strings.Trim(out, "0123456789") == "":
		return "", errors.New("computer name: would be all digits, which a computer name must not be")
	case slices.Contains(reservedNames, out):
		return "", fmt.Errorf("computer name: would be %s, which is reserved", out)
	}
	return out, nil
}

// nameLetter is a character of a name and when it is cut.
type nameLetter struct {
	c   rune
	cut int
}

// Variables are cut before constant text, so that "{host}-VM" never becomes
// the name of the host itself.
const (
	cutFirst = iota
	cutText
	cutNever
)

// cutLetters cuts what may be cut, from the end, until the name fits.
func cutLetters(letters []nameLetter) []nameLetter {
	for _, cut := range []int{cutFirst, cutText} {
		for at := len(letters) - 1; at >= 0 && len(letters) > maxComputerName; at-- {
			if letters[at].cut == cut {
				letters = append(letters[:at], letters[at+1:]...)
			}
		}
	}
	return letters
}

// cleanName turns s into capital letters, digits and hyphens; letters lose
// their accents, everything else is dropped.
func cleanName(s string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(s) {
		if r = nameRune(r); r >= 0 {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// nameRune returns the character as it stands in a name, or -1.
func nameRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return unicode.ToUpper(r)
	case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-':
		return r
	case r == '_':
		return '-'
	default:
		return -1
	}
}
