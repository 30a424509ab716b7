package policy

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

// ChangeKind says how a field changed.
type ChangeKind string

// The kinds of change. A field that is set for the first time, or no longer,
// is changed as well when it has a default; added and removed are fields
// without one, and whole grants, applications, menus and drives.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// hidden stands for values that are not shown.
const hidden = "(hidden)"

// Change is one field that differs between two documents.
type Change struct {
	// Path is the field; applications, menus and drives are named by their
	// name and grants by their principal, as in
	// grants[local/user/alice].offline.limit.
	Path string     `json:"path"`
	Kind ChangeKind `json:"kind"`
	Old  string     `json:"old,omitzero"`
	New  string     `json:"new,omitzero"`
	// OldOrigin and NewOrigin are "default" where the value was not set and
	// the default holds.
	OldOrigin string `json:"old_origin,omitzero"`
	NewOrigin string `json:"new_origin,omitzero"`
}

// Diff compares two documents field by field, in the order of the document.
// Grants and applications are matched by principal and name, so that moving
// one in its list shows as another order only. Either document may be nil:
// everything was added or removed.
func Diff(a, b *Document) []Change {
	var d differ
	if a == nil {
		a = &Document{}
	}
	if b == nil {
		b = &Document{}
	}
	d.fields(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), "")
	return d.changes
}

type differ struct {
	changes []Change
	// whole is true within an entry of a list that was added or removed as a
	// whole: no default took or takes the place of its fields.
	whole bool
}

// entry compares an entry of a list with nothing.
func (d *differ) entry(a, b reflect.Value, path string) {
	before := d.whole
	d.whole = true
	d.fields(a, b, path)
	d.whole = before
}

// identified is implemented by entries of lists that have a name of their
// own, unique in the list of a valid document.
type identified interface{ identity() string }

func (a Application) identity() string  { return a.Name }
func (m Menu) identity() string         { return m.Name }
func (n NetworkDrive) identity() string { return strings.ToUpper(n.Letter) }
func (f SharedFolder) identity() string { return f.Name }
func (g Grant) identity() string {
	return g.Principal.DirectoryName() + "/" + string(g.Principal.Kind) + "/" + g.Principal.Name
}

// fields compares two structs of one type. An invalid value stands for one
// that is not there.
func (d *differ) fields(a, b reflect.Value, path string) {
	t := a
	if !t.IsValid() {
		t = b
	}
	for _, f := range document.Fields(t.Type()) {
		d.value(part(a, f.Index), part(b, f.Index), document.Join(path, f.Name), f.Tag)
	}
}

func part(v reflect.Value, i int) reflect.Value {
	if !v.IsValid() {
		return v
	}
	return v.Field(i)
}

// set returns the value that a field has, or an invalid one.
func set(v reflect.Value) reflect.Value {
	if !v.IsValid() || v.Kind() != reflect.Struct && v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int {
		return reflect.Value{}
	}
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

func (d *differ) value(a, b reflect.Value, path string, tag reflect.StructTag) {
	a, b = set(a), set(b)
	t := a
	if !t.IsValid() {
		t = b
	}
	if !t.IsValid() {
		return
	}
	_, isScalar := document.Scalar(t)
	switch {
	case isScalar:
		d.scalar(a, b, path, tag)
	case t.Kind() == reflect.Slice && t.Type().Elem().Implements(reflect.TypeFor[identified]()):
		d.named(a, b, path)
	case t.Kind() == reflect.Slice && t.Type().Elem().Kind() == reflect.Struct:
		d.numbered(a, b, path)
	case t.Kind() == reflect.Slice:
		d.scalar(a, b, path, tag)
	case t.NumField() == 0:
		d.scalar(a, b, path, tag)
	default:
		d.fields(a, b, path)
	}
}

// shown returns a value as people read it: on one line.
func shown(v reflect.Value) string {
	if text, ok := document.Scalar(v); ok {
		return text
	}
	if v.Kind() != reflect.Slice {
		return "yes"
	}
	if v.Len() == 0 {
		return "none"
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i], _ = document.Scalar(v.Index(i))
	}
	return strings.Join(items, ", ")
}

func (d *differ) scalar(a, b reflect.Value, path string, tag reflect.StructTag) {
	c := Change{Path: path, Kind: Changed}
	if a.IsValid() {
		c.Old = shown(a)
	}
	if b.IsValid() {
		c.New = shown(b)
	}
	if a.IsValid() && b.IsValid() && reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	otherwise, hasDefault := tag.Lookup("default")
	hasDefault = hasDefault && !d.whole
	switch {
	case a.IsValid() && b.IsValid():
	case hasDefault && a.IsValid():
		c.New, c.NewOrigin = otherwise, OriginDefault
	case hasDefault:
		c.Old, c.OldOrigin = otherwise, OriginDefault
	case a.IsValid():
		c.Kind = Removed
	default:
		c.Kind = Added
	}
	if tag.Get("secret") != "" {
		if c.Old != "" {
			c.Old = hidden
		}
		if c.New != "" {
			c.New = hidden
		}
	}
	d.changes = append(d.changes, c)
}

// named compares lists whose entries have names.
func (d *differ) named(a, b reflect.Value, path string) {
	olds, news := identities(a), identities(b)
	for i, id := range olds {
		at := path + "[" + id + "]"
		j := slices.IndexFunc(news, func(other string) bool { return name.Fold(other) == name.Fold(id) })
		if j < 0 {
			d.changes = append(d.changes, Change{Path: at, Kind: Removed, Old: id})
			continue
		}
		d.fields(a.Index(i), b.Index(j), at)
	}
	for j, id := range news {
		if i := slices.IndexFunc(olds, func(other string) bool { return name.Fold(other) == name.Fold(id) }); i < 0 {
			at := path + "[" + id + "]"
			d.changes = append(d.changes, Change{Path: at, Kind: Added, New: id})
			d.entry(reflect.Value{}, b.Index(j), at)
		}
	}
	if before, after := both(olds, news), both(news, olds); !slices.Equal(before, after) {
		d.changes = append(d.changes, Change{
			Path: path + ".order", Kind: Changed, Old: strings.Join(identities(a), ", "), New: strings.Join(news, ", "),
		})
	}
}

func identities(v reflect.Value) []string {
	if !v.IsValid() {
		return nil
	}
	out := make([]string, v.Len())
	for i := range out {
		if named, ok := v.Index(i).Interface().(identified); ok {
			out[i] = named.identity()
		}
	}
	return out
}

// both returns the folded entries of a that are in b too, in the order of a.
func both(a, b []string) []string {
	var out []string
	for _, s := range a {
		if slices.ContainsFunc(b, func(other string) bool { return name.Fold(other) == name.Fold(s) }) {
			out = append(out, name.Fold(s))
		}
	}
	return out
}

// numbered compares lists whose order counts: rules, rows and actions.
func (d *differ) numbered(a, b reflect.Value, path string) {
	olds, news := 0, 0
	if a.IsValid() {
		olds = a.Len()
	}
	if b.IsValid() {
		news = b.Len()
	}
	for i := range max(olds, news) {
		at := document.Index(path, i)
		switch {
		case i >= olds:
			d.entry(reflect.Value{}, b.Index(i), at)
		case i >= news:
			d.entry(a.Index(i), reflect.Value{}, at)
		default:
			d.fields(a.Index(i), b.Index(i), at)
		}
	}
}
