package report

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
)

// maxEqual is how many bytes a value has at most that a column must have: more
// than the longest description.
const maxEqual = 2 << 10

// Equal is a column and the value that it must have. With the columns that a
// report was grouped by it finds the rows that a group stands for.
type Equal struct {
	Column Column
	// Value is a string, an int64, a bool or a time.Time; nil: there must be
	// nothing.
	Value any
}

// equals reads the values that columns must have.
func (q Query) equals(s *Selection, t table) error {
	for _, called := range slices.Sorted(maps.Keys(q.Equal)) {
		c, err := columnIn(t.columns, "equal", called)
		if err != nil {
			return err
		}
		if c.Name == countColumn.Name {
			return dormer.Invalidf("equal", "cannot be %s", c.Name)
		}
		e := Equal{Column: c}
		if e.Value, err = valueIn(c, q.Equal[called]); err != nil {
			return err
		}
		s.Equal = append(s.Equal, e)
		// Indexes know severities and codes as lists of them.
		switch v := e.Value.(type) {
		case string:
			if c.Name == "severity" && len(s.Severities) == 0 {
				s.Severities = []dormer.Severity{dormer.Severity(v)}
			}
		case int64:
			if c.Name == "code" && len(s.Codes) == 0 {
				s.Codes = []int{int(v)}
			}
		}
	}
	return nil
}

// valueIn reads a value of a column from a text.
func valueIn(c Column, text string) (any, error) {
	if len(text) > maxEqual || !utf8.ValidString(text) {
		return nil, dormer.Invalidf("equal", "must be text of at most %d bytes", maxEqual)
	}
	if text == "" {
		return nil, nil
	}
	switch {
	case c.Name == "severity" && severityRank[text] == 0:
		return nil, dormer.Invalidf("equal", "severity must be %s, %s or %s", dormer.Information, dormer.Warning, dormer.Error)
	case c.Type == export.Number:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, dormer.Invalidf("equal", "%s must be a whole number", c.Name)
		}
		return n, nil
	case c.Type == export.Time:
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, dormer.Invalidf("equal", "%s must be a time as in RFC 3339", c.Name)
		}
		return t, inRange("equal", t)
	case c.Type == export.Flag:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, dormer.Invalidf("equal", "%s must be true or false", c.Name)
		}
		return b, nil
	}
	return text, nil
}

// has says whether a row has the values that columns must have.
func (s *Selection) has(values []any) bool {
	columns := tables[s.Kind].columns
	for _, e := range s.Equal {
		at := indexes(columns, []Column{e.Column})[0]
		if keyOf(e.Column, values[at]) != keyOf(e.Column, e.Value) {
			return false
		}
	}
	return true
}
