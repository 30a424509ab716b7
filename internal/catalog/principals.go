package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
)

// resolvePrincipals fills in the keys of the principals of all grants and
// writes their names as the directories do. A principal of the current revision
// stays granted by its key: when it was renamed, is gone, or cannot be asked
// for, that is a warning, since it must not keep others from changing the
// workspace.
func (c *Catalog) resolvePrincipals(ctx context.Context, doc, current *policy.Document) (warnings []dormer.FieldError, err error) {
	// Nobody waits long for what is only a hint.
	quick, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s := settler{current: current, silent: make(map[string]error)}
	s.hint = func(p policy.Principal) string { return s.elsewhere(quick, c.cfg.Directories, p) }
	var wrong []dormer.FieldError
	for i := range doc.Grants {
		p := &doc.Grants[i].Principal
		path := fmt.Sprintf("grants[%d].principal", i)
		found, err := s.settle(ctx, c.directory(p.DirectoryName()), *p)
		if err != nil {
			return nil, err
		}
		if found.wrong != "" {
			wrong = append(wrong, dormer.FieldError{Path: path + found.at, Message: found.wrong})
			continue
		}
		if found.warning != "" {
			warnings = append(warnings, dormer.FieldError{Path: path, Message: found.warning})
		}
		*p = found.principal
	}
	if len(wrong) > 0 {
		return nil, &dormer.InvalidError{Fields: wrong}
	}
	return warnings, nil
}

func (c *Catalog) directory(named string) access.Directory {
	for _, d := range c.cfg.Directories {
		if name.Fold(d.Name()) == name.Fold(named) {
			return d.Directory
		}
	}
	return nil
}

// settler finds the principals of one document in their directories.
type settler struct {
	current *policy.Document // nil: there is none yet
	silent  map[string]error // directories that did not answer; they are not waited for again
	hint    func(policy.Principal) string
}

// settled is what became of a principal: what is stored, with a warning if
// there is one, or what is wrong with which field of it.
type settled struct {
	principal policy.Principal
	warning   string
	wrong, at string
}

// maxCandidates is how many principals a message names that may be meant.
const maxCandidates = 10

func (s *settler) settle(ctx context.Context, d access.Directory, p policy.Principal) (settled, error) {
	old, had := s.current.Granted(p)
	if d == nil {
		if had {
			return settled{principal: old, warning: fmt.Sprintf("%s %.80q was not checked: %.80q is not a directory of this instance any more", p.Kind, p.Name, p.DirectoryName())}, nil
		}
		return settled{at: ".directory", wrong: fmt.Sprintf("%.80q is not a directory of this instance", p.DirectoryName())}, nil
	}
	found, err := s.ask(d, func() (dormer.Principal, error) { return d.Resolve(ctx, p.Kind, p.Name) })
	_, ambiguous := errors.AsType[*access.AmbiguousError](err)
	switch {
	case err == nil && (p.Key == "" || p.Key == found.Key):
		out := settled{principal: p}
		out.principal.Key, out.principal.Name = found.Key, found.Name
		if p.Directory != "" {
			out.principal.Directory = d.Name() // it is part of the key
		}
		if had && old.Key != found.Key {
			out.warning = fmt.Sprintf("%s %.80q is another one than before: the name was given anew in directory %s", p.Kind, p.Name, d.Name())
		}
		return out, nil
	case had && (err == nil || ambiguous || errors.Is(err, dormer.ErrNotFound)):
		return s.byKey(ctx, d, old, err == nil)
	case had && errors.Is(err, dormer.ErrUnavailable):
		return unchecked(old), nil
	case err == nil:
		return settled{at: ".key", wrong: fmt.Sprintf("is not the key of %s %.80q: name and key disagree", p.Kind, p.Name)}, nil
	case ambiguous:
		return settled{wrong: err.Error()}, nil
	case errors.Is(err, dormer.ErrNotFound):
		return s.unknown(ctx, d, p)
	}
	return settled{}, asking(d, p, err)
}

// byKey finds a granted principal whose name is not the directory's any more.
// taken says that another one has the name.
func (s *settler) byKey(ctx context.Context, d access.Directory, old policy.Principal, taken bool) (settled, error) {
	now, err := s.ask(d, func() (dormer.Principal, error) { return d.Lookup(ctx, old.Resolved()) })
	other := ""
	if taken {
		other = "; another one goes by that name now, and gets the grant when the key is taken out of the document"
	}
	switch {
	case err == nil:
		renamed := old
		renamed.Name = now.Name
		out := settled{principal: renamed}
		if now.Name != old.Name {
			out.warning = fmt.Sprintf("%s %.80q is called %.80q now in directory %s: write that into the file that this is from%s", old.Kind, old.Name, now.Name, d.Name(), other)
		}
		return out, nil
	case errors.Is(err, dormer.ErrNotFound):
		return settled{principal: old, warning: fmt.Sprintf("there is no %s %.80q any more in directory %s%s", old.Kind, old.Name, d.Name(), other)}, nil
	case errors.Is(err, dormer.ErrUnavailable):
		return unchecked(old), nil
	}
	return settled{}, asking(d, old, err)
}

func unchecked(p policy.Principal) settled {
	return settled{principal: p, warning: fmt.Sprintf("%s %.80q was not checked: its directory does not answer now", p.Kind, p.Name)}
}

// unknown says who may be meant by a name that is nobody's account name.
func (s *settler) unknown(ctx context.Context, d access.Directory, p policy.Principal) (settled, error) {
	out := settled{wrong: fmt.Sprintf("there is no %s %.80q in directory %s", p.Kind, p.Name, d.Name())}
	entries, err := d.Match(ctx, p.Kind, p.Name, maxCandidates)
	switch {
	case err != nil:
		return settled{}, asking(d, p, err)
	case len(entries) == 0:
		out.wrong += s.hint(p)
	case len(entries) == 1:
		out.wrong += fmt.Sprintf("; is %.80q meant? %s", entries[0].Principal.Name, entries[0].Detail)
	case len(entries) > 1:
		out.wrong += ": " + (&access.AmbiguousError{Candidates: entries}).Error()
	}
	return out, nil
}

// elsewhere says how a principal is to be written that another directory has:
// the one that its name says, as CORP\name or name@corp.example.com, or the only
// one that has somebody of that name. Directories that do not answer are left out.
func (s *settler) elsewhere(ctx context.Context, all []access.Mount, p policy.Principal) string {
	match := func(d access.Mount, who string) []access.Entry {
		if s.silent[d.Name()] != nil {
			return nil
		}
		entries, err := d.Match(ctx, p.Kind, who, maxCandidates)
		if err != nil {
			return nil // it is only a hint
		}
		return entries
	}
	var found []access.Entry
	for _, d := range all {
		if local, ok := d.Within(p.Name); ok {
			entries := match(d, p.Name)
			if len(entries) == 0 {
				entries = match(d, local)
			}
			if len(entries) == 1 {
				local = entries[0].Principal.Name
			}
			return fmt.Sprintf("; a grant names the directory by itself: write `directory: %s` and `name: %.80s`", d.Name(), local)
		}
		if p.Directory == "" {
			found = append(found, match(d, p.Name)...)
		}
	}
	if len(found) != 1 {
		return ""
	}
	one := found[0].Principal
	if name.Fold(one.Name) == name.Fold(p.Name) {
		return fmt.Sprintf("; there is one in directory %s: add `directory: %s`", one.Directory, one.Directory)
	}
	return fmt.Sprintf("; there is one in directory %s: write `directory: %s` and `name: %.80s`", one.Directory, one.Directory, one.Name)
}

// ask asks a directory, once more only when it has answered before.
func (s *settler) ask(d access.Directory, question func() (dormer.Principal, error)) (dormer.Principal, error) {
	if err := s.silent[d.Name()]; err != nil {
		return dormer.Principal{}, err
	}
	found, err := question()
	if errors.Is(err, dormer.ErrUnavailable) {
		s.silent[d.Name()] = err
	}
	return found, err
}

func asking(d access.Directory, p policy.Principal, err error) error {
	return fmt.Errorf("look %s %.80q up in directory %s: %w", p.Kind, p.Name, d.Name(), err)
}

// State is what a directory says of a principal that was granted something.
type State string

// The states of principals.
const (
	StateFound   State = "found"
	StateRenamed State = "renamed"
	StateGone    State = "gone"
	// StateUnknown: the directory does not answer, or is not one of this
	// instance any more.
	StateUnknown State = "unknown"
)

// PrincipalState is the principal of a grant and what its directory says of it
// now.
type PrincipalState struct {
	Grant     int // place in the document, from 0
	Principal dormer.Principal
	State     State
	Name      string // its name now
	Detail    string
}

// Principals asks for the principals of a workspace's grants, in the order of
// the document. ErrNotFound when there is no such workspace; a directory that
// does not answer is told in the states.
func (c *Catalog) Principals(ctx context.Context, id dormer.WorkspaceID) ([]PrincipalState, error) {
	doc, err := c.stored(ctx, id)
	if err != nil {
		return nil, err
	}
	s := settler{silent: make(map[string]error)}
	out := make([]PrincipalState, len(doc.Grants))
	for i, g := range doc.Grants {
		p := g.Principal.Resolved()
		out[i] = PrincipalState{Grant: i, Principal: p, State: StateFound}
		one := &out[i]
		d := c.directory(p.Directory)
		if d == nil {
			one.State, one.Detail = StateUnknown, fmt.Sprintf("%.80q is not a directory of this instance any more", p.Directory)
			continue
		}
		now, err := s.ask(d, func() (dormer.Principal, error) { return d.Lookup(ctx, p) })
		switch {
		case err == nil && now.Name == p.Name:
			one.Name = now.Name
		case err == nil:
			one.State, one.Name, one.Detail = StateRenamed, now.Name, "the next commit writes the new name"
		case errors.Is(err, dormer.ErrNotFound):
			one.State, one.Detail = StateGone, "it stays granted until it is taken out; somebody new of that name does not get it"
		case errors.Is(err, dormer.ErrUnavailable):
			one.State, one.Detail = StateUnknown, fmt.Sprintf("directory %s does not answer now", d.Name())
		default:
			return nil, asking(d, g.Principal, err)
		}
	}
	return out, nil
}
