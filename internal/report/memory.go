package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/name"
)

// made is a row of a report that is made in memory, with a value for each
// column of the report.
type made struct {
	id     string // orders rows that are otherwise the same
	values []any
}

// sift orders, groups and cuts rows as the selection asks, and calls each with
// the values of the columns that it wants.
func (s *Selection) sift(rows []made, each func(position, values []any) error) error {
	columns := tables[s.Kind].columns
	if len(s.Equal) > 0 {
		rows = slices.DeleteFunc(rows, func(r made) bool { return !s.has(r.values) })
	}
	if len(s.Group) > 0 {
		rows, columns = s.grouped(rows), s.Columns
	}
	type keyed struct {
		made
		position []any
	}
	by := indexes(columns, []Column{s.Order})[0]
	ties := indexes(columns, s.Group)
	after := s.After
	if len(after) > 0 {
		after = append([]any{s.sortable(after[0])}, after[1:]...)
	}
	list := make([]keyed, 0, len(rows))
	for _, r := range rows {
		k := keyed{made: r, position: []any{s.sortable(keyOf(s.Order, r.values[by]))}}
		for i, t := range ties {
			k.position = append(k.position, keyOf(s.Group[i], r.values[t]))
		}
		if len(ties) == 0 {
			k.position = append(k.position, r.id)
		}
		if after == nil || s.compare(k.position, after) > 0 {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b keyed) int { return s.compare(a.position, b.position) })
	wanted := indexes(columns, s.Columns)
	values := make([]any, len(wanted))
	for i, k := range list {
		if s.Limit > 0 && i == s.Limit {
			return nil
		}
		for j, w := range wanted {
			values[j] = k.values[w]
		}
		if err := each(k.position, values); err != nil {
			return err
		}
	}
	return nil
}

// compare orders two positions.
func (s *Selection) compare(a, b []any) int {
	for i := range a {
		var c int
		switch x := a[i].(type) {
		case string:
			y, _ := b[i].(string)
			c = cmp.Compare(x, y)
		case int64:
			y, _ := b[i].(int64)
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			if s.Descending {
				return -c
			}
			return c
		}
	}
	return 0
}

// sortable is what rows are sorted by: names without regard to case, folded once
// and not each time that two are compared.
func (s *Selection) sortable(key any) any {
	if text, ok := key.(string); ok && len(s.Group) == 0 && s.Order.Type == export.Text {
		return name.Fold(text)
	}
	return key
}

// grouped counts rows by the columns of the groups. The earliest and latest
// are of the column of time that the report goes by.
func (s *Selection) grouped(rows []made) []made {
	t := tables[s.Kind]
	newest, _ := find(t.columns, t.newest)
	by, at := indexes(t.columns, s.Group), indexes(t.columns, []Column{newest})[0]
	groups := map[string]int{}
	var list []made
	for _, r := range rows {
		values := make([]any, len(by), len(by)+3)
		var id strings.Builder
		for i, b := range by {
			values[i] = r.values[b]
			switch k := keyOf(s.Group[i], values[i]).(type) {
			case string:
				id.WriteString(k)
			case int64:
				id.WriteString(time.UnixMicro(k).String())
			}
			id.WriteByte('\n')
		}
		i, ok := groups[id.String()]
		if !ok {
			i = len(list)
			groups[id.String()] = i
			list = append(list, made{id: id.String(), values: append(values, int64(0), nil, nil)})
		}
		n := len(by)
		count, _ := list[i].values[n].(int64)
		list[i].values[n] = count + 1
		if when, ok := r.values[at].(time.Time); ok {
			if first, ok := list[i].values[n+1].(time.Time); !ok || when.Before(first) {
				list[i].values[n+1] = when
			}
			if last, ok := list[i].values[n+2].(time.Time); !ok || when.After(last) {
				list[i].values[n+2] = when
			}
		}
	}
	return list
}

// indexes are the places of columns among others.
func indexes(columns, wanted []Column) []int {
	places := make([]int, len(wanted))
	for i, w := range wanted {
		places[i] = slices.IndexFunc(columns, func(c Column) bool { return c.Name == w.Name })
	}
	return places
}

// matches says whether a row of a user, a host and a client passes the filters
// that every report has. The first two are folded in s.
func (s *Selection) matches(user, host string, client dormer.ClientID) bool {
	return (s.User == "" || strings.Contains(name.Fold(user), s.User)) && (s.Host == "" || strings.Contains(name.Fold(host), s.Host)) &&
		(s.Client == "" || client == s.Client)
}
