package access

import (
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// mounts are the directories by all that people call them.
type mounts struct {
	all      []Mount
	byName   map[string]Mount // all maps by folded names
	prefixes map[string]Mount // names too
	suffixes map[string]Mount
	standard Mount // for users who name no directory
}

// newMounts returns an *InvalidError when two directories go by one name or
// when standard is none of them.
func newMounts(all []Mount, standard string) (mounts, error) {
	m := mounts{all: all, byName: map[string]Mount{}, prefixes: map[string]Mount{}, suffixes: map[string]Mount{}}
	add := func(to map[string]Mount, what, called string, d Mount) error {
		folded := name.Fold(called)
		if other, twice := to[folded]; (twice && other.Name() != d.Name()) || folded == "" {
			return dormer.Invalidf("directories", "%s: %s %q is empty or that of another directory", d.Name(), what, called)
		}
		to[folded] = d
		return nil
	}
	for _, d := range all {
		folded := name.Fold(d.Name())
		if _, twice := m.byName[folded]; twice || folded == "" {
			return mounts{}, dormer.Invalidf("directories", "name %q is empty or used twice", d.Name())
		}
		m.byName[folded] = d
		for _, called := range append([]string{d.Name()}, d.Prefixes...) {
			if err := add(m.prefixes, "prefix", called, d); err != nil {
				return mounts{}, err
			}
		}
		for _, called := range d.Suffixes {
			if err := add(m.suffixes, "suffix", called, d); err != nil {
				return mounts{}, err
			}
		}
		if _, ok := d.Directory.(ForeignGrouper); len(d.Trusts) > 0 && !ok {
			return mounts{}, dormer.Invalidf("directories", "%s: it has no groups for users of other directories, so that it cannot trust any", d.Name())
		}
	}
	for _, d := range all {
		for _, trusted := range d.Trusts {
			if _, ok := m.byName[name.Fold(trusted)]; !ok || name.Fold(trusted) == name.Fold(d.Name()) {
				return mounts{}, dormer.Invalidf("directories", "%s: trusts %q, which is no other directory that is configured", d.Name(), trusted)
			}
		}
	}
	var ok bool
	if m.standard, ok = m.byName[name.Fold(standard)]; !ok {
		return mounts{}, dormer.Invalidf("default", "names a directory that is not configured")
	}
	return m, nil
}

// of returns the directory that a principal is from.
func (m mounts) of(p dormer.Principal) (Mount, bool) {
	d, ok := m.byName[name.Fold(p.Directory)]
	return d, ok
}

// ofRealm returns the directory of a Kerberos realm. Realms are compared as
// they are written: EXAMPLE.COM and example.com are two.
func (m mounts) ofRealm(realm string) (Mount, bool) {
	for _, d := range m.all {
		if d.Realm != "" && d.Realm == realm {
			return d, true
		}
	}
	return Mount{}, false
}

// trusting returns the directories whose groups may hold users of another.
func (m mounts) trusting(directory string) []Mount {
	var out []Mount
	for _, d := range m.all {
		if d.trusts(directory) {
			out = append(out, d)
		}
	}
	return out
}

func (m Mount) trusts(directory string) bool {
	return slices.ContainsFunc(m.Trusts, func(t string) bool { return name.Fold(t) == name.Fold(directory) })
}

// Within returns the name in m of PREFIX\name or name@SUFFIX; ok is false when
// neither is of m.
func (m Mount) Within(who string) (local string, ok bool) {
	fits := func(part string) func(string) bool {
		return func(called string) bool { return name.Fold(called) == name.Fold(part) }
	}
	if prefix, rest, has := strings.Cut(who, `\`); has {
		return rest, slices.ContainsFunc(append([]string{m.Name()}, m.Prefixes...), fits(prefix))
	}
	if before, suffix, has := cutLast(who, "@"); has {
		return before, slices.ContainsFunc(m.Suffixes, fits(suffix))
	}
	return who, false
}

// route is the directory that a name belongs to.
type route struct {
	Mount
	// name is what the directory is asked for.
	name string
	// account is the same for all spellings of the name that differ in how they
	// name the directory, so that they share one limit of attempts.
	account string
	// known is false when PREFIX\ names no directory: nobody goes by that name.
	// named says that the name says which directory is meant.
	known, named bool
}

// route finds the directory of PREFIX\name, name@suffix (which the directory
// gets whole) or a plain name. What follows an @ and is no known suffix may
// still be a name in the default directory: a mail address, an old domain.
func (m mounts) route(who string) route {
	if prefix, rest, ok := strings.Cut(who, `\`); ok {
		if d, ok := m.prefixes[name.Fold(prefix)]; ok {
			local := rest
			if before, after, ok := cutLast(rest, "@"); ok {
				if other, ok := m.suffixes[name.Fold(after)]; ok && other.Name() == d.Name() {
					local = before
				}
			}
			return route{Mount: d, name: rest, account: accountOf(d, local), known: true, named: true}
		}
		return route{name: who, account: "\\" + name.Fold(who), named: true}
	}
	if local, suffix, ok := cutLast(who, "@"); ok {
		if d, ok := m.suffixes[name.Fold(suffix)]; ok {
			return route{Mount: d, name: who, account: accountOf(d, local), known: true, named: true}
		}
	}
	return route{Mount: m.standard, name: who, account: accountOf(m.standard, who), known: true}
}

func accountOf(d Mount, local string) string { return name.Fold(d.Name() + `\` + local) }

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
