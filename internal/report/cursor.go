package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
)

// cursor is what stands in Next and After: the position of the last row of a
// page in the order of the report. It is no secret and needs no protection: who
// makes one up is shown rows that they may see anyway.
type cursor struct {
	// Order tells the order that the position is one in.
	Order string `json:"o"`
	// Position is a text or a number for each part of the order.
	Position []any `json:"p"`
}

// orderName names the order of a selection.
func (s *Selection) orderName() string {
	parts := []string{string(s.Kind), s.Order.Name}
	if s.Descending {
		parts[1] = "-" + parts[1]
	}
	for _, g := range s.Group {
		parts = append(parts, g.Name)
	}
	return strings.Join(parts, ",")
}

// next is the cursor of a position.
func (s *Selection) next(position []any) (string, error) {
	b, err := json.Marshal(cursor{Order: s.orderName(), Position: position})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// position reads a cursor; nil for an empty one.
func (s *Selection) position(after string) ([]any, error) {
	if after == "" {
		return nil, nil
	}
	wrong := dormer.Invalidf("after", "must be next of a page of the same report in the same order")
	if len(after) > maxAfter {
		return nil, wrong
	}
	b, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return nil, wrong
	}
	var c cursor
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&c) != nil || c.Order != s.orderName() {
		return nil, wrong
	}
	types := s.PositionTypes()
	if len(c.Position) != len(types) {
		return nil, wrong
	}
	for i, t := range types {
		switch v := c.Position[i].(type) {
		case string:
			if t != export.Text || strings.ContainsRune(v, 0) {
				return nil, wrong
			}
		case json.Number:
			n, err := v.Int64()
			if t != export.Number || err != nil {
				return nil, wrong
			}
			c.Position[i] = n
		default:
			return nil, wrong
		}
	}
	return c.Position, nil
}

// PositionTypes are the types of the parts of a position: Text or Number.
func (s *Selection) PositionTypes() []export.Type {
	types := []export.Type{keyType(s.Order)}
	switch {
	case len(s.Group) > 0:
		for _, g := range s.Group {
			types = append(types, keyType(g))
		}
	case s.Order.Stored.Table != "":
		types = append(types, export.Number) // the row's identity
	default:
		types = append(types, export.Text)
	}
	return types
}

// keyType is what values of a column are compared as.
func keyType(c Column) export.Type {
	switch {
	case c.Type == export.Text && c.Name != "severity", c.Type == export.List:
		return export.Text
	default:
		return export.Number
	}
}

// severityRank is the order of severities.
var severityRank = map[string]int64{string(dormer.Information): 1, string(dormer.Warning): 2, string(dormer.Error): 3}

// keyOf is what a value of a column is compared by: a string or an int64. What
// is not there comes before everything.
func keyOf(c Column, v any) any {
	text := keyType(c) == export.Text
	switch v := v.(type) {
	case string:
		if c.Name == "severity" {
			return severityRank[v]
		}
		return v
	case int64:
		return v
	case time.Time:
		return v.UnixMicro()
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case []string:
		return strings.Join(v, ", ")
	}
	if text {
		return ""
	}
	return int64(-1 << 62)
}
