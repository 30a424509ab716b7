// Package transfer decides which files may pass between host and guest, and
// under which names, and puts what has come where it belongs. It is a domain
// package: the agent asks it for every file, the command line and the guest's
// agent receive with it.
//
// Words: a place is a folder that received files do not get out of; a file is
// staged until all of it has come and nobody refuses it, and only then gets its
// name.
package transfer

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// Limits of names and trees.
const (
	// MaxName is the longest name of a file, in bytes.
	MaxName = 255
	// MaxPath is the longest path, in bytes.
	MaxPath = 4096
	// MaxDepth is how deep a tree may be.
	MaxDepth = 64
	// MaxEntries is how many files and folders a folder may have, and MaxTree a
	// tree.
	MaxEntries = 20_000
	MaxTree    = 200_000
)

// stagedPrefix begins the names of files that are staged.
const stagedPrefix = ".dormer-part-"

// Rules are those of one direction.
type Rules struct {
	// Allowed says whether files may go this way at all.
	Allowed bool
	// Extensions are those that may, without a dot; none: all.
	Extensions []string
}

// Check returns ErrDenied for a file that may not go this way, and what
// CheckName does.
func (r Rules) Check(file string) error {
	if !r.Allowed {
		return fmt.Errorf("the policy does not let files go this way: %w", dormer.ErrDenied)
	}
	if err := CheckName(file); err != nil {
		return err
	}
	if len(r.Extensions) == 0 {
		return nil
	}
	folded := name.Fold(file)
	for _, e := range r.Extensions {
		if rest, ok := strings.CutSuffix(folded, "."+name.Fold(e)); ok && rest != "" {
			return nil
		}
	}
	return fmt.Errorf("file %q: the policy lets only files pass that end in %s: %w", file, strings.Join(r.Extensions, ", "), dormer.ErrDenied)
}

// devices are names that Windows takes for devices, with any extension.
var devices = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true, "conin$": true, "conout$": true, "clock$": true,
}

// CheckName returns ErrInvalid for what must not become the name of a file or
// folder on either system: what leads elsewhere, what a system takes for
// something else, and what does not look like what it is.
func CheckName(s string) error {
	refuse := func(why string) error {
		return dormer.Invalidf("name", "of the file %q %s", cut(s), why)
	}
	switch {
	case s == "" || s == "." || s == "..":
		return refuse("names a folder")
	case len(s) > MaxName:
		return refuse(fmt.Sprintf("is longer than %d bytes", MaxName))
	case !utf8.ValidString(s):
		return refuse("is not valid UTF-8")
	case strings.ContainsAny(s, `/\`):
		return refuse(`contains / or \`)
	case strings.Contains(s, ":"):
		return refuse("contains a colon, which Windows takes for a hidden stream of a file")
	case strings.HasSuffix(s, ".") || strings.HasSuffix(s, " "):
		return refuse("ends with a dot or a space, which Windows drops")
	case strings.HasPrefix(strings.ToLower(s), stagedPrefix):
		return refuse("is one of files that are being received")
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return refuse("contains characters that cannot be seen")
		}
	}
	// Windows finds devices in all compatible writings, before any dot.
	stem, _, _ := strings.Cut(strings.ToLower(norm.NFKC.String(s)), ".")
	stem = strings.TrimRight(stem, " ")
	numbered := len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) && stem[3] >= '0' && stem[3] <= '9'
	if devices[stem] || numbered {
		return refuse("is that of a device of Windows")
	}
	return nil
}

// cut shortens what an error repeats.
func cut(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// CheckPath checks every name of a path below a place, with slashes. "." is the
// place itself.
func CheckPath(p string) error {
	if p == "." {
		return nil
	}
	if len(p) > MaxPath {
		return dormer.Invalidf("path", "is longer than %d bytes", MaxPath)
	}
	if path.IsAbs(p) || path.Clean(p) != p {
		return dormer.Invalidf("path", "%q leads out of its folder, or is not as it must be", cut(p))
	}
	parts := strings.Split(p, "/")
	if len(parts) > MaxDepth {
		return dormer.Invalidf("path", "is deeper than %d folders", MaxDepth)
	}
	for _, part := range parts {
		if err := CheckName(part); err != nil {
			return err
		}
	}
	return nil
}

// Names are those of one folder. Two that some system takes for the same do
// not both get in.
type Names map[string]string

// Add returns ErrConflict when another name is the same as file without regard
// to case and to how its letters are composed.
func (n Names) Add(file string) error {
	if err := CheckName(file); err != nil {
		return err
	}
	key := name.Fold(file)
	if other, ok := n[key]; ok {
		return fmt.Errorf("files %q and %q have names that are the same on some systems: %w", cut(other), cut(file), dormer.ErrConflict)
	}
	n[key] = file
	return nil
}
