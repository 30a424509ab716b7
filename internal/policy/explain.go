package policy

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

// The origins of a value.
const (
	// OriginPolicy is a value that is set in the document's spec.
	OriginPolicy = "policy"
	// OriginDefault is a value that nobody set.
	OriginDefault = "default"
	// OriginGrants is a value that came of the grants.
	OriginGrants = "grants"
)

// Explained is one value of an effective policy and where it comes from.
type Explained struct {
	// Path is the field of the effective policy, as deployment.offline.limit.
	// Entries of lists that have a name are named by it, as in
	// applications.published[hello].command.
	Path string
	// Value is what holds, as people read it. A list of a deployment, as
	// deployment.usb, has one Explained of the same path for each entry.
	Value string
	// Origin is OriginPolicy, OriginDefault or OriginGrants.
	Origin string
	// From are the places of the grants that the value comes from, ascending:
	// each that gives it, or part of it, or without which it would be another.
	// It is nil unless Origin is OriginGrants.
	From []int
}

// Explain says of each value of Combine(spec, grants) where it comes from, in
// the order of the effective policy. Secrets are hidden.
func Explain(spec Spec, grants []Grant) []Explained {
	e := Combine(spec, grants)
	var x explainer
	effective, author := reflect.ValueOf(&e).Elem(), reflect.ValueOf(&spec).Elem()
	for _, f := range document.Fields(effective.Type()) {
		switch f.Name {
		case "apiVersion", deployment:
		default:
			x.value(effective.Field(f.Index), byName(author, f.Name), f.Name)
		}
	}
	return append(x.out, explainGrants(&e.Deployment, grants)...)
}

// deployment is the field of an effective policy that the grants decide.
const deployment = "deployment"

// explainer walks an effective policy beside the Spec that it was made from.
type explainer struct {
	out []Explained
}

// authored is a field of the Spec, as its author wrote it; Value is invalid
// within what the author did not set.
type authored struct {
	reflect.Value
	tag reflect.StructTag
}

// byName returns the field of a struct that documents call so.
func byName(of reflect.Value, name string) authored {
	if !of.IsValid() || of.Kind() != reflect.Struct {
		return authored{}
	}
	for _, f := range document.Fields(of.Type()) {
		if f.Name == name {
			return authored{of.Field(f.Index), f.Tag}
		}
	}
	return authored{}
}

func (x *explainer) value(v reflect.Value, from authored, path string) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() && v.Type().Elem().Kind() == reflect.Struct && from.tag.Get("default") == "" {
			return // an action of another kind
		}
		if !v.IsNil() {
			v = v.Elem()
		}
	}
	_, isScalar := document.Scalar(v)
	switch {
	case isScalar, v.Kind() == reflect.Pointer, v.Kind() == reflect.Struct && v.NumField() == 0:
		x.leaf(v, from, path)
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
		x.entries(v, from, path)
	case v.Kind() == reflect.Slice:
		x.leaf(v, from, path)
	default:
		inner := set(from.Value)
		for _, f := range document.Fields(v.Type()) {
			a := byName(inner, f.Name)
			if a.tag == "" { // nobody wrote the section: its fields still have their defaults
				a.tag = f.Tag
			}
			x.value(v.Field(f.Index), a, document.Join(path, f.Name))
		}
	}
}

// entries goes through a list beside the entries that its author enabled.
func (x *explainer) entries(v reflect.Value, from authored, path string) {
	var written []reflect.Value
	if list := set(from.Value); list.IsValid() {
		for i := range list.Len() {
			if on := byName(list.Index(i), "enabled"); !on.IsValid() || on.IsZero() || on.Elem().Bool() {
				written = append(written, list.Index(i))
			}
		}
	}
	for i := range v.Len() {
		at := document.Index(path, i)
		if named, ok := v.Index(i).Interface().(identified); ok {
			at = path + "[" + named.identity() + "]"
		}
		var entry authored
		if i < len(written) {
			entry.Value = written[i]
		}
		x.value(v.Index(i), entry, at)
	}
}

func (x *explainer) leaf(v reflect.Value, from authored, path string) {
	one := Explained{Path: path, Origin: OriginDefault}
	if set(from.Value).IsValid() {
		one.Origin = OriginPolicy
	}
	absent := v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Struct && one.Origin == OriginDefault
	switch otherwise := from.tag.Get("default"); {
	case from.tag.Get("secret") != "" && !v.IsZero():
		one.Value = hidden
	case !absent:
		one.Value = shown(v)
	case otherwise != "":
		one.Value = otherwise
	default:
		one.Value = nothingText
	}
	x.out = append(x.out, one)
}

// nothingText is shown for texts and lists that are empty.
const nothingText = "none"

func (a EffectiveApplication) identity() string { return a.Name }
func (m EffectiveMenu) identity() string        { return m.Name }

// explainGrants says which grants the values of d come from. What each gives
// alone, and what the others would give without it, decide.
func explainGrants(d *EffectiveDeployment, grants []Grant) []Explained {
	least, plain := nothing(), alone(&Grant{})
	unset, otherwise := leavesOf(&least), leavesOf(&plain)
	without := withoutEach(grants)
	by, others := make([][]leaf, len(grants)), make([][]leaf, len(grants))
	for i := range grants {
		own := alone(&grants[i])
		by[i], others[i] = leavesOf(&own), leavesOf(&without[i])
	}
	var out []Explained
	for n, l := range leavesOf(d) {
		isDefault := len(grants) > 0 && slices.Equal(l.values, otherwise[n].values)
		silent := make([]bool, len(grants)) // what is not enabled gives the least of everything
		for i := range grants {
			said := by[i][n].values
			silent[i] = off(grants[i].Enabled) && slices.Equal(said, unset[n].values)
			isDefault = isDefault && (silent[i] || slices.Equal(said, otherwise[n].values))
		}
		for _, value := range l.values {
			one := Explained{Path: document.Join(deployment, l.path), Value: value, Origin: OriginDefault}
			if !isDefault {
				one.Origin = OriginGrants
				gave := func(i int) bool {
					return !silent[i] && by[i][n].gives(value) || !slices.Contains(others[i][n].values, value)
				}
				if one.From = places(len(grants), gave); one.From == nil {
					one.From = places(len(grants), func(i int) bool { return by[i][n].gives(value) })
				}
			}
			out = append(out, one)
		}
	}
	return out
}

// places lists those of the first n numbers that fit.
func places(n int, fits func(int) bool) []int {
	var out []int
	for i := range n {
		if fits(i) {
			out = append(out, i)
		}
	}
	return out
}

// alone is what one grant comes to.
func alone(g *Grant) EffectiveDeployment {
	d, one := nothing(), resolveGrant(g)
	d.join(&one)
	return d
}

// withoutEach returns, for each grant, what the others come to.
func withoutEach(grants []Grant) []EffectiveDeployment {
	out := make([]EffectiveDeployment, len(grants))
	before := nothing()
	for i := range grants {
		out[i] = before
		g := resolveGrant(&grants[i])
		before.join(&g)
	}
	after := nothing()
	for i := len(grants) - 1; i >= 0; i-- {
		out[i].join(&after)
		g := resolveGrant(&grants[i])
		after.join(&g)
	}
	return out
}

// leaf is a value of a deployment that does not divide into fields.
type leaf struct {
	path string
	// values are the entries of a list, else the one value; never none.
	values []string
}

// gives reports whether l holds a value or part of it.
func (l leaf) gives(value string) bool {
	return slices.ContainsFunc(l.values, func(own string) bool {
		return own == value || slices.ContainsFunc(ways(own), func(way string) bool { return slices.Contains(ways(value), way) })
	})
}

// ways are the two parts of a Direction that leads both ways.
func ways(value string) []string {
	switch Direction(value) {
	case DirectionBoth:
		return []string{string(DirectionHostToGuest), string(DirectionGuestToHost)}
	case DirectionHostToGuest, DirectionGuestToHost:
		return []string{value}
	default:
		return nil
	}
}

// leavesOf lists the values of d, always the same leaves in the same order.
func leavesOf(d *EffectiveDeployment) []leaf {
	var out []leaf
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		text, isScalar := document.Scalar(v)
		switch {
		case isScalar:
			out = append(out, leaf{path, []string{text}})
		case v.Kind() == reflect.Slice:
			l := leaf{path: path}
			for i := range v.Len() {
				l.values = append(l.values, entryText(v.Index(i)))
			}
			out = append(out, l)
		default:
			for _, f := range document.Fields(v.Type()) {
				walk(v.Field(f.Index), document.Join(path, f.Name))
			}
		}
	}
	walk(reflect.ValueOf(d).Elem(), "")
	for i := range out {
		if text, ok := emptyTexts[out[i].path]; ok && (len(out[i].values) == 0 || out[i].values[0] == Duration(0).String()) {
			out[i].values = []string{text(d)}
		} else if len(out[i].values) == 0 {
			out[i].values = []string{nothingText}
		}
	}
	return out
}

// emptyTexts say what an empty value of a deployment means.
var emptyTexts = map[string]func(*EffectiveDeployment) string{
	"expires": func(d *EffectiveDeployment) string {
		if d.Enabled {
			return "never"
		}
		return nothingText
	},
	"offline.limit": func(d *EffectiveDeployment) string {
		if d.Offline.Allow == OfflineUnrestricted {
			return "no limit"
		}
		return nothingText
	},
	"fileTransfer.hostToGuest.extensions": func(d *EffectiveDeployment) string { return d.FileTransfer.HostToGuest.allExtensions() },
	"fileTransfer.guestToHost.extensions": func(d *EffectiveDeployment) string { return d.FileTransfer.GuestToHost.allExtensions() },
}

func (t EffectiveTransfer) allExtensions() string {
	if t.Allowed {
		return "all"
	}
	return nothingText
}

// entryText shows an entry of a list of a deployment.
func entryText(v reflect.Value) string {
	if f, ok := v.Interface().(SharedFolder); ok {
		return f.Name + ": " + f.Path + " (" + string(f.Access) + ")"
	}
	text, ok := document.Scalar(v)
	if !ok {
		panic("policy: no text for " + v.Type().String())
	}
	return strings.TrimSpace(text)
}
