package document

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	notYAML = "cannot be read as YAML from here on; look for a wrong indentation, a missing quote or a missing colon"
	tabbed  = "begins with a tab, which YAML does not allow; indent with spaces"
)

// unreadable says why a line is no YAML, as far as that can be seen.
func unreadable(raw []byte, line int) error {
	n := 0
	for text := range bytes.Lines(raw) {
		if n++; n == line {
			blank := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
			if bytes.IndexByte(blank, '\t') >= 0 {
				return syntax(line, tabbed)
			}
			break
		}
	}
	return syntax(line, notYAML)
}

// yamlTree reads one YAML document. Anchors, aliases, merge keys, tags,
// directives and complex keys are refused: no document needs any of them, and
// without them no text can be more than it looks.
func (r *Reader) yamlTree(raw []byte) (root *node, err error) {
	line := 0
	// The parser is other people's code on foreign input: should it panic, the
	// document is unreadable and nothing else.
	defer func() {
		if recover() != nil {
			root, err = nil, syntax(line, notYAML)
		}
	}()
	tokens := lexer.Tokenize(string(raw))
	if err := r.checkTokens(raw, tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil {
			line = e.GetToken().Position.Line
		}
		return nil, unreadable(raw, line)
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d)
		}
	}
	switch {
	case len(docs) == 0:
		return nil, syntax(0, "the document is empty")
	case len(file.Docs) > 1 && len(docs) > 1:
		return nil, syntax(docs[1].Body.GetToken().Position.Line, "a second document begins here; a file holds one")
	}
	return fromAST(docs[0].Body)
}

// checkTokens refuses what is not for documents and bounds nesting before the
// parser recurses into it.
func (r *Reader) checkTokens(raw []byte, tokens token.Tokens) error {
	flow, fields := 0, 0
	dashLine, dashes := 0, 0
	var siblings columns
	for i, t := range tokens {
		line := t.Position.Line
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return syntax(line, "anchors, aliases and merge keys are not allowed; write the value out")
		case token.TagType, token.DirectiveType:
			return syntax(line, "tags and directives are not allowed")
		case token.MappingKeyType:
			return syntax(line, "a field name must be plain text; '?' is not allowed")
		case token.InvalidType:
			return unreadable(raw, line)
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType:
			if line != dashLine {
				dashLine, dashes = line, 0
			}
			dashes++
			fields++
			siblings.leave(t.Position.Column)
		case token.MappingValueType:
			fields++
			if flow == 0 && i > 0 && siblings.add(tokens[i-1].Position.Column) > r.MaxSiblings {
				return syntax(line, "has too many fields at this level")
			}
		case token.CollectEntryType:
			fields++
		default:
		}
		if flow > r.MaxDepth || dashes > r.MaxDepth || t.Position.Column > 4*r.MaxDepth && t.Type == token.SequenceEntryType {
			return syntax(line, "is nested too deeply")
		}
		if fields > r.MaxFields {
			return syntax(line, r.TooMany)
		}
	}
	return nil
}

// columns counts what begins at each column since something stood further
// left: the fields of one mapping.
type columns []struct{ column, count int }

// leave forgets what stood further right than column.
func (c *columns) leave(column int) {
	for len(*c) > 0 && (*c)[len(*c)-1].column > column {
		*c = (*c)[:len(*c)-1]
	}
}

// add counts a field at column and returns how many its mapping has so far.
func (c *columns) add(column int) int {
	c.leave(column)
	if n := len(*c); n == 0 || (*c)[n-1].column < column {
		*c = append(*c, struct{ column, count int }{column, 0})
	}
	last := &(*c)[len(*c)-1]
	last.count++
	return last.count
}

func fromAST(n ast.Node) (*node, error) {
	out := &node{line: n.GetToken().Position.Line}
	switch v := n.(type) {
	case *ast.NullNode:
		out.kind = nullNode
	case *ast.BoolNode:
		out.kind, out.truth = boolNode, v.Value
		if t := v.GetToken().Value; t != "true" && t != "false" {
			out.kind, out.text = textNode, t
		}
	case *ast.IntegerNode:
		out.kind = otherNode
		if num, err := strconv.ParseInt(v.GetToken().Value, 10, 64); err == nil && canonicalInt(v.GetToken().Value) {
			out.kind, out.num = intNode, num
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind = otherNode
	case *ast.StringNode:
		out.kind, out.text = textNode, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = textNode, v.Value.Value
	case *ast.MappingNode:
		out.kind = mapNode
		if len(v.Values) > 0 {
			out.line = v.Values[0].Key.GetToken().Position.Line
		}
		for _, pair := range v.Values {
			if err := out.addPair(pair); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		out.kind = mapNode
		out.line = v.Key.GetToken().Position.Line
		return out, out.addPair(v)
	case *ast.SequenceNode:
		out.kind = listNode
		for _, item := range v.Values {
			child, err := fromAST(item)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, child)
		}
	default:
		return nil, syntax(out.line, notYAML)
	}
	return out, nil
}

func (n *node) addPair(pair *ast.MappingValueNode) error {
	t := pair.Key.GetToken()
	name := t.Value
	if s, ok := pair.Key.(*ast.StringNode); ok {
		name = s.Value
	}
	value, err := fromAST(pair.Value)
	if err != nil {
		return err
	}
	n.keys = append(n.keys, key{name: name, line: t.Position.Line, value: value})
	return nil
}

// canonicalInt reports whether s is a decimal number as JSON writes it: 010
// and 1_000 mean different things to different readers.
func canonicalInt(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits == "0" || digits != "" && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}
