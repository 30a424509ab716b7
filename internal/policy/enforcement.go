package policy

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

// The times at which a change takes effect that programs ask about; there are
// others for people.
const (
	whenNextStart = "next start"
	enforcedYes   = "yes"
	enforcedNo    = "no"
)

// Enforcement says what clients do with one field of a document.
type Enforcement struct {
	// Path is the field as docs/policy.md has it: spec.machine.onStop,
	// grants[].clipboard.
	Path string
	// When says when a change takes effect.
	When string
	// Enforced is false for a field that clients do nothing for. Only are the
	// values that they do something for; none: all.
	Enforced bool
	Only     []string
	// Hosts and Guests say where it is enforced; empty: on all.
	Hosts, Guests string
	// Note says why it is not enforced and what happens instead, or what else
	// people should know.
	Note string
	// otherwise is the default as people read it.
	otherwise string
}

// Enforcements lists the fields of a document that do not divide into others,
// in the order of the document, without apiVersion and kind.
func Enforcements() []Enforcement { return enforcements }

// enforcements are made once: the types do not change while a program runs.
var enforcements = listEnforcements()

func listEnforcements() []Enforcement {
	var out []Enforcement
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for _, f := range document.Fields(t) {
			at, inner := document.Join(path, f.Name), f.Inner()
			switch {
			case inner != nil:
				if f.Type.Kind() == reflect.Slice {
					at += "[]"
				}
				walk(inner, at)
			case f.Tag.Get("const") == "":
				out = append(out, enforcementOf(at, f.Tag))
			}
		}
	}
	walk(reflect.TypeFor[Document](), "")
	return out
}

func enforcementOf(path string, tag reflect.StructTag) Enforcement {
	e := Enforcement{
		Path: path, When: tag.Get("when"), Hosts: tag.Get("hosts"), Guests: tag.Get("guests"), Note: tag.Get("note"),
		otherwise: tag.Get("default"),
	}
	switch s := tag.Get("enforced"); s {
	case "", enforcedNo:
	case enforcedYes:
		e.Enforced = true
	default:
		e.Enforced, e.Only = true, strings.Split(s, ", ")
	}
	return e
}

// NotEnforced lists, in the order of the document, the fields that this policy
// sets to something that clients do nothing for. Nothing that protects anybody
// is among them: such a field is a requirement instead.
func (e *Effective) NotEnforced() []string {
	var out []string
	plain := Combine(Spec{}, []Grant{{}})
	for _, f := range enforcements {
		if f.Enforced && f.Only == nil {
			continue
		}
		otherwise := plain.valuesAt(f.Path)
		for at, value := range e.valuesAt(f.Path) {
			if value != otherwise[at] && value != f.otherwise && !slices.Contains(f.Only, value) {
				out = append(out, f.Path)
				break
			}
		}
	}
	return out
}

// AtNextStart lists, in the order of the document, the fields that differ
// between two policies and whose change waits for the next start of a machine
// that runs.
func AtNextStart(old, next *Effective) []string {
	var out []string
	for _, f := range enforcements {
		if f.When == whenNextStart && f.Enforced && !sameValues(old.valuesAt(f.Path), next.valuesAt(f.Path)) {
			out = append(out, f.Path)
		}
	}
	return out
}

func sameValues(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for at, value := range a {
		if other, ok := b[at]; !ok || other != value {
			return false
		}
	}
	return true
}

// valuesAt returns what the policy has at a field of the document: one value,
// or one for each entry of the lists above it that has any, by the entry's name
// or place. An effective policy has no principals.
func (e *Effective) valuesAt(path string) map[string]string {
	rest, ok := strings.CutPrefix(path, "spec.")
	if !ok {
		if rest, ok = strings.CutPrefix(path, "grants[]."); !ok {
			return nil
		}
		rest = document.Join(deployment, rest)
	}
	out := map[string]string{}
	var walk func(v reflect.Value, parts []string, at string)
	walk = func(v reflect.Value, parts []string, at string) {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		if len(parts) == 0 {
			if !v.IsZero() {
				out[at] = shown(v)
			}
			return
		}
		part, isList := strings.CutSuffix(parts[0], "[]")
		inner := byName(v, part).Value
		switch {
		case !inner.IsValid():
		case !isList:
			walk(inner, parts[1:], at)
		default:
			for i := range inner.Len() {
				id := document.Index("", i)
				if named, ok := inner.Index(i).Interface().(identified); ok {
					id = "[" + named.identity() + "]"
				}
				walk(inner.Index(i), parts[1:], at+id)
			}
		}
	}
	walk(reflect.ValueOf(e).Elem(), strings.Split(rest, "."), "")
	return out
}
