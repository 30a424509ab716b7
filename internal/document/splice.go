package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/dormer-project/dormer"
)

// Edit is a value that a text gets at a path, as spec.sites[0].people[1].active.
// Entries of lists must be there; fields on the way that are not are made.
type Edit struct {
	Path  string
	Value any // an int or a string
}

// Splice puts values into a text in YAML or JSON that a Reader has read, and
// leaves everything else as it is: comments, order, indentation. The error is a
// *dormer.InvalidError with the path of a value that cannot be put there, as
// one of several lines. YAML can be laid out in odd ways: whoever calls it reads
// the result and makes sure that it says what it should.
func Splice(raw []byte, edits []Edit) (out []byte, err error) {
	// As in yamlTree: other people's code on foreign input.
	defer func() {
		if recover() != nil {
			out, err = nil, syntax(0, notYAML)
		}
	}()
	if rest, ok := bytes.CutPrefix(raw, []byte("\ufeff")); ok {
		out, err = Splice(rest, edits)
		return append([]byte("\ufeff"), out...), err
	}
	file, err := parser.Parse(lexer.Tokenize(string(raw)), 0)
	if err != nil || len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, syntax(0, notYAML)
	}
	s := splicer{raw: raw, lines: bytes.SplitAfter(raw, []byte("\n")), quoted: bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))}
	at := 0
	for _, l := range s.lines {
		s.offsets = append(s.offsets, at)
		at += len(l)
	}
	for _, e := range edits {
		if err := s.edit(file.Docs[0].Body, e); err != nil {
			return nil, err
		}
	}
	for _, m := range s.missing {
		if err := s.insert(m); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.pieces, func(a, b piece) int { return cmp.Compare(a.from, b.from) })
	done := 0
	for _, p := range s.pieces {
		out = append(append(out, raw[done:p.from]...), p.text...)
		done = p.to
	}
	return append(out, raw[done:]...), nil
}

// splicer finds where in a text values go.
type splicer struct {
	raw     []byte
	lines   [][]byte
	offsets []int // of the lines
	quoted  bool  // JSON
	pieces  []piece
	missing []*missing
}

// piece is a text that takes the place of another.
type piece struct {
	from, to int
	text     string
}

// missing are fields that a mapping lacks.
type missing struct {
	path   string // of the first of them, for errors
	of     ast.Node
	key    ast.Node // of the mapping, nil at the top
	fields branch
}

// branch is fields in order.
type branch []*twig

// twig is a field with a value, or with fields of its own.
type twig struct {
	name   string
	value  any
	fields branch
}

// add adds the fields that lead to a value.
func (b *branch) add(names []string, value any) {
	i := slices.IndexFunc(*b, func(t *twig) bool { return t.name == names[0] })
	if i < 0 {
		i = len(*b)
		*b = append(*b, &twig{name: names[0]})
	}
	if t := (*b)[i]; len(names) == 1 {
		t.value = value
	} else {
		t.fields.add(names[1:], value)
	}
}

// steps are the parts of a path: names, and positions in lists.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' })
}

// edit notes where a value goes.
func (s *splicer) edit(at ast.Node, e Edit) error {
	var key ast.Node
	names := steps(e.Path)
	for i, name := range names {
		if list, ok := at.(*ast.SequenceNode); ok {
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(list.Values) {
				return dormer.Invalidf(e.Path, "is not in the text")
			}
			at, key = list.Values[n], nil
			continue
		}
		pair := field(at, name)
		if pair == nil {
			return s.lacks(at, key, e, names[i:])
		}
		at, key = pair.Value, pair.Key
	}
	from, to, ok := s.scalar(at)
	if !ok {
		return dormer.Invalidf(e.Path, "is not a value on one line, so it cannot be changed in place")
	}
	s.pieces = append(s.pieces, piece{from, to, s.text(e.Value)})
	return nil
}

// lacks notes fields that a mapping lacks.
func (s *splicer) lacks(at, key ast.Node, e Edit, names []string) error {
	for _, n := range names {
		if _, err := strconv.Atoi(n); err == nil {
			return dormer.Invalidf(e.Path, "is not in the text")
		}
	}
	i := slices.IndexFunc(s.missing, func(m *missing) bool { return m.of == at })
	if i < 0 {
		i = len(s.missing)
		s.missing = append(s.missing, &missing{path: e.Path, of: at, key: key})
	}
	s.missing[i].fields.add(names, e.Value)
	return nil
}

// field finds a field of a mapping; nil where it is not there.
func field(n ast.Node, name string) *ast.MappingValueNode {
	for _, pair := range pairs(n) {
		if pair.Key.GetToken().Value == name {
			return pair
		}
	}
	return nil
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}
	default:
		return nil
	}
}

// offset is the place of a token.
func (s *splicer) offset(t *token.Token) int {
	line := s.lines[t.Position.Line-1]
	n := 0
	for range t.Position.Column - 1 {
		_, size := utf8.DecodeRune(line[n:])
		n += size
	}
	return s.offsets[t.Position.Line-1] + n
}

// scalar is where a value stands that is on one line.
func (s *splicer) scalar(n ast.Node) (from, to int, ok bool) {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
	default:
		return 0, 0, false
	}
	t := n.GetToken()
	from = s.offset(t)
	rest := s.raw[from:]
	if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
		rest = rest[:i]
	}
	switch t.Type {
	case token.DoubleQuoteType:
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\\' {
				i++
			} else if rest[i] == '"' {
				return from, from + i + 1, true
			}
		}
		return 0, 0, false
	case token.SingleQuoteType:
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\'' && i+1 < len(rest) && rest[i+1] == '\'' {
				i++
			} else if rest[i] == '\'' {
				return from, from + i + 1, true
			}
		}
		return 0, 0, false
	default:
		return from, from + len(t.Value), bytes.HasPrefix(rest, []byte(t.Value))
	}
}

// plain are texts that every reader of YAML takes for texts: sizes, times and
// shares.
var plain = regexp.MustCompile(`^[0-9]+(KiB|MiB|GiB|TiB|[dhms]|%)$`)

// text is a value as it is written.
func (s *splicer) text(v any) string {
	text, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	if !s.quoted && plain.MatchString(text) {
		return text
	}
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // no string does that
	}
	return string(b)
}

// insert notes where fields go that a mapping lacks.
func (s *splicer) insert(m *missing) error {
	switch v := m.of.(type) {
	case *ast.NullNode:
		if m.key == nil || v.GetToken().Type != token.ImplicitNullType {
			break
		}
		line := m.key.GetToken().Position.Line
		s.below(line, m.key.GetToken().Position.Column+1, m.fields)
		return nil
	case *ast.MappingNode:
		if v.IsFlowStyle {
			end := len(bytes.TrimRight(s.raw[:s.offset(v.End)], " \t\r\n"))
			text := s.inline(m.fields)
			if len(v.Values) > 0 {
				text = ", " + text
			}
			s.pieces = append(s.pieces, piece{end, end, text})
			return nil
		}
		s.block(v.Values, m.fields)
		return nil
	case *ast.MappingValueNode:
		s.block([]*ast.MappingValueNode{v}, m.fields)
		return nil
	}
	return dormer.Invalidf(m.path, "cannot be put there: what is around it is no set of fields")
}

// block adds fields to a mapping over several lines: after the last of its
// values that are on one line, or at its end.
func (s *splicer) block(values []*ast.MappingValueNode, fields branch) {
	column := values[0].Key.GetToken().Position.Column
	for _, pair := range slices.Backward(values) {
		if _, _, ok := s.scalar(pair.Value); ok && pair.Value.GetToken().Position.Line == pair.Key.GetToken().Position.Line {
			s.below(pair.Key.GetToken().Position.Line, column-1, fields)
			return
		}
	}
	last := values[len(values)-1].Key.GetToken().Position.Line
	for i := last; i < len(s.lines); i++ {
		line := s.lines[i]
		text := bytes.TrimLeft(line, " ")
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		deep := len(line) - len(text)
		if deep < column-1 || deep == column-1 && text[0] != '#' && !bytes.HasPrefix(text, []byte("- ")) {
			break
		}
		last = i + 1
	}
	s.below(last, column-1, fields)
}

// below adds fields after a line, indented by so many columns.
func (s *splicer) below(line, indent int, fields branch) {
	end := "\n"
	if bytes.HasSuffix(s.lines[line-1], []byte("\r\n")) {
		end = "\r\n"
	}
	at := s.offsets[line-1] + len(s.lines[line-1])
	var b strings.Builder
	if !bytes.HasSuffix(s.lines[line-1], []byte("\n")) {
		b.WriteString(end)
	}
	s.outline(&b, indent, end, fields)
	s.pieces = append(s.pieces, piece{at, at, b.String()})
}

func (s *splicer) outline(b *strings.Builder, indent int, end string, fields branch) {
	for _, t := range fields {
		b.WriteString(strings.Repeat(" ", indent) + t.name + ":")
		if t.fields == nil {
			b.WriteString(" " + s.text(t.value) + end)
			continue
		}
		b.WriteString(end)
		s.outline(b, indent+2, end, t.fields)
	}
}

// inline writes fields on one line.
func (s *splicer) inline(fields branch) string {
	texts := make([]string, len(fields))
	for i, t := range fields {
		name := t.name
		if s.quoted {
			name = `"` + name + `"`
		}
		if t.fields != nil {
			texts[i] = name + ": {" + s.inline(t.fields) + "}"
			continue
		}
		texts[i] = name + ": " + s.text(t.value)
	}
	return strings.Join(texts, ", ")
}
