package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

const notJSON = "cannot be read as JSON from here on; look for a missing comma, quote or bracket"

// jsonReader turns JSON into a tree with lines. It counts the newlines up to
// the decoder's offset, each byte once.
type jsonReader struct {
	*Reader
	raw     []byte
	dec     *json.Decoder
	counted int
	lines   int
	fields  int
}

// jsonTree reads one JSON document.
func (doc *Reader) jsonTree(raw []byte) (*node, error) {
	r := &jsonReader{Reader: doc, raw: raw, dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	root, err := r.value(t, 0)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, syntax(r.line(), "something follows the end of the document; a file holds one")
	}
	return root, nil
}

// line is the line of the token read last. Strings of JSON hold no newlines,
// so a token ends on the line on which it began.
func (r *jsonReader) line() int {
	at := min(int(r.dec.InputOffset()), len(r.raw))
	r.lines += bytes.Count(r.raw[r.counted:at], []byte("\n"))
	r.counted = at
	return r.lines + 1
}

func (r *jsonReader) token() (json.Token, error) {
	t, err := r.dec.Token()
	if err != nil {
		line := r.line()
		var wrong *json.SyntaxError
		if errors.As(err, &wrong) {
			line = 1 + bytes.Count(r.raw[:min(int(wrong.Offset), len(r.raw))], []byte("\n"))
		}
		return nil, syntax(line, notJSON)
	}
	return t, nil
}

func (r *jsonReader) value(t json.Token, depth int) (*node, error) {
	out := &node{line: r.line()}
	switch v := t.(type) {
	case nil:
		out.kind = nullNode
	case bool:
		out.kind, out.truth = boolNode, v
	case string:
		out.kind, out.text = textNode, v
	case json.Number:
		out.kind = otherNode
		if num, err := strconv.ParseInt(v.String(), 10, 64); err == nil && canonicalInt(v.String()) {
			out.kind, out.num = intNode, num
		}
	case json.Delim:
		if depth >= r.MaxDepth {
			return nil, syntax(out.line, "is nested too deeply")
		}
		if v == '[' {
			out.kind = listNode
			return out, r.list(out, depth+1)
		}
		out.kind = mapNode
		return out, r.object(out, depth+1)
	}
	return out, nil
}

func (r *jsonReader) list(out *node, depth int) error {
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		if t == json.Delim(']') {
			return nil
		}
		if r.fields++; r.fields > r.MaxFields {
			return syntax(r.line(), r.TooMany)
		}
		item, err := r.value(t, depth)
		if err != nil {
			return err
		}
		out.items = append(out.items, item)
	}
}

func (r *jsonReader) object(out *node, depth int) error {
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return nil
		}
		if r.fields++; r.fields > r.MaxFields {
			return syntax(r.line(), r.TooMany)
		}
		line := r.line()
		if t, err = r.token(); err != nil {
			return err
		}
		value, err := r.value(t, depth)
		if err != nil {
			return err
		}
		out.keys = append(out.keys, key{name: name, line: line, value: value})
	}
}
