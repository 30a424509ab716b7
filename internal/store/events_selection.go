package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
)

// storedContext is a context and the instance that it is of.
type storedContext struct{ id, instance int64 }

// builder makes a statement.
type builder struct {
	postgres  bool
	q         report.Selection
	instances []int64
	contexts  []storedContext // those that filters leave; nil: there are no filters on them
	args      []any
}

// arg adds an argument and returns its parameter.
func (b *builder) arg(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

func (b *builder) texts(list []string) string {
	params := make([]string, len(list))
	for i, t := range list {
		params[i] = b.arg(clean(t))
	}
	return strings.Join(params, ", ")
}

func literals(list []int64) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, ", ")
}

// narrows says whether there are filters on contexts.
func (b *builder) narrows() bool {
	return b.q.User != "" || b.q.Host != "" || b.q.Client != "" || len(b.q.Workspaces) > 0 ||
		slices.ContainsFunc(b.q.Equal, func(e report.Equal) bool { return e.Column.Stored.Table == report.InContexts })
}

// contextConditions are the filters on contexts, c.
func (b *builder) contextConditions() string {
	list := []string{"c.instance IN (" + literals(b.instances) + ")"}
	if b.q.Client != "" {
		list = append(list, "c.client = "+b.arg(clean(string(b.q.Client))))
	}
	if b.q.User != "" {
		list = append(list, b.contains("c.user_name", "c.user_folded", b.q.User))
	}
	if b.q.Host != "" {
		list = append(list, b.contains("c.host", "c.host_folded", b.q.Host))
	}
	if len(b.q.Workspaces) > 0 {
		list = append(list, "(c.workspace IN ("+b.texts(b.q.Workspaces)+") OR c.workspace_name IN ("+b.texts(b.q.Workspaces)+"))")
	}
	list = append(list, b.equals(report.InContexts)...)
	return strings.Join(list, " AND ")
}

// literally is the pattern of what contains s.
func literally(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(clean(s)) + "%"
}

// eventConditions are the filters on events, e, beside their instance and
// context. Of severities and codes they say literally what partial indexes do.
func (b *builder) eventConditions() []string {
	var list []string
	if !b.q.Since.IsZero() {
		list = append(list, "e.received >= "+b.arg(micros(b.q.Since)))
	}
	if !b.q.Until.IsZero() {
		list = append(list, "e.received < "+b.arg(micros(b.q.Until)))
	}
	if len(b.q.Severities) > 0 {
		ranks := make([]int64, len(b.q.Severities))
		for i, s := range b.q.Severities {
			ranks[i] = rank(s)
		}
		if b.problems() {
			list = append(list, "e.severity >= 2")
		}
		list = append(list, "e.severity IN ("+literals(ranks)+")")
	}
	if len(b.q.Codes) > 0 {
		const first, last = 640, 649 // of first-time setups
		all, codes := true, make([]int64, len(b.q.Codes))
		for i, c := range b.q.Codes {
			codes[i] = int64(c)
			all = all && first <= c && c <= last
		}
		if all {
			list = append(list, fmt.Sprintf("e.code >= %d AND e.code <= %d", first, last))
		}
		list = append(list, "e.code IN ("+literals(codes)+")")
	}
	if len(b.q.Categories) > 0 {
		list = append(list, "e.category IN ("+b.texts(b.q.Categories)+")")
	}
	list = append(list, b.equals(report.InEvents)...)
	return append(list, b.equals(report.InInstances)...)
}

// equals are the values that columns of a table must have. Where there is
// nothing an empty text is stored, or 0.
func (b *builder) equals(table report.StoredTable) []string {
	var list []string
	for _, e := range b.q.Equal {
		if e.Column.Stored.Table != table {
			continue
		}
		value := "0"
		if e.Column.Type == export.Text && e.Column.Name != "severity" {
			value = "''"
		}
		switch v := e.Value.(type) {
		case string:
			if e.Column.Name == "severity" {
				value = strconv.FormatInt(rank(dormer.Severity(v)), 10)
				break
			}
			value = b.arg(clean(v))
		case int64:
			value = strconv.FormatInt(v, 10)
		case time.Time:
			value = strconv.FormatInt(micros(v), 10)
		}
		condition := e.Column.Stored.Name + " = " + value
		switch table {
		case report.InContexts:
			condition = "c." + condition
		case report.InEvents:
			condition = "e." + condition
		case report.InInstances:
			condition = "e.instance IN (SELECT id FROM instances WHERE " + condition + ")"
		}
		list = append(list, condition)
	}
	return list
}

// problems says whether warnings and errors alone are wanted.
func (b *builder) problems() bool {
	return len(b.q.Severities) > 0 && !slices.ContainsFunc(b.q.Severities, func(s dormer.Severity) bool { return rank(s) < 2 })
}

// byReceipt is the table of events, to be read in the order of their receipt.
// SQLite believes that the index of problems costs more to read than that of all
// events, since it is wider.
func (b *builder) byReceipt() string {
	if b.problems() && !b.postgres {
		return "events e INDEXED BY events_problems"
	}
	return "events e"
}

// expression is what a column is read from.
func expression(c report.Column) string {
	switch c.Stored.Table {
	case report.InContexts:
		return "c." + c.Stored.Name
	case report.InInstances:
		return "i." + c.Stored.Name
	default:
		if c.Type == export.Number || c.Name == "severity" {
			// Some are narrower than the parameters that they are compared with.
			return "CAST(e." + c.Stored.Name + " AS bigint)"
		}
		return "e." + c.Stored.Name
	}
}

// orderExpression is what rows are sorted by: names without regard to case.
func orderExpression(c report.Column) string {
	if c.Stored.Folded != "" {
		return "coalesce(c." + c.Stored.Folded + ", c." + c.Stored.Name + ")"
	}
	return expression(c)
}

func (b *builder) direction() (word, sign string) {
	if b.q.Descending {
		return " DESC", "<"
	}
	return "", ">"
}

// limit is empty where all rows are wanted.
func (b *builder) limit() string {
	if b.q.Limit <= 0 {
		return ""
	}
	return " LIMIT " + b.arg(int64(b.q.Limit))
}

// newest is the statement for rows in the order of their receipt: each part of
// it takes no more from its index than are wanted.
func (b *builder) newest() string {
	word, sign := b.direction()
	order := " ORDER BY e.received" + word + ", e.id" + word
	conditions := b.eventConditions()
	if a := b.q.After; len(a) == 2 {
		at, id := b.arg(a[0]), b.arg(a[1])
		// The first is for the index and the partitions.
		conditions = append(conditions, "e.received "+sign+"= "+at, "(e.received, e.id) "+sign+" ("+at+", "+id+")")
	}
	limit := b.limit()
	const columns = "e.id, e.instance, e.context, e.received, e.time, e.code, e.severity, e.category, e.description, e.count"
	part := func(events string, which ...string) string {
		return "SELECT * FROM (SELECT " + columns + " FROM " + events + " WHERE " + strings.Join(append(which, conditions...), " AND ") + order + limit + ") x"
	}
	var parts []string
	switch few := b.few(); {
	case few && b.postgres:
		pairs := make([]string, len(b.contexts))
		for i, c := range b.contexts {
			pairs[i] = fmt.Sprintf("(%d::bigint, %d::bigint)", c.id, c.instance)
		}
		of := part("events e", "e.context = v.context", "e.instance = v.instance")
		parts = []string{"SELECT x.* FROM (VALUES " + strings.Join(pairs, ", ") + ") v (context, instance) CROSS JOIN LATERAL (" + of + ") x"}
	case few:
		for _, c := range b.contexts {
			parts = append(parts, part("events e", "e.context = "+strconv.FormatInt(c.id, 10)))
		}
	default:
		for _, i := range b.instances {
			which := []string{"e.instance = " + strconv.FormatInt(i, 10)}
			if b.contexts != nil {
				// That it is true keeps both engines to the order of receipt: they make a
				// set of the contexts, and look into it.
				which = append(which, "(+e.context IN (SELECT c.id FROM contexts c WHERE "+b.contextConditions()+")) IS TRUE")
			}
			parts = append(parts, part(b.byReceipt(), which...))
		}
	}
	return b.selected("(" + strings.Join(parts, " UNION ALL ") + ") e JOIN contexts c ON c.id = e.context JOIN instances i ON i.id = e.instance" + order + limit)
}

// selected is a statement that reads the columns, and the position.
func (b *builder) selected(from string) string {
	list := make([]string, 0, len(b.q.Columns)+2)
	for _, c := range b.q.Columns {
		list = append(list, expression(c))
	}
	list = append(list, orderExpression(b.q.Order), "e.id")
	return "SELECT " + strings.Join(list, ", ") + " FROM " + from
}

// few says whether filters leave few contexts.
func (b *builder) few() bool { return b.contexts != nil && len(b.contexts) <= fewContexts }

// places are conditions on where events are looked for: at few contexts, or with
// all those of the instances. A context is of one instance; SQLite would rather
// read all of its events if that were said too.
func (b *builder) places() []string {
	list := []string{"e.instance IN (" + literals(b.instances) + ")"}
	if !b.few() {
		return list
	}
	ids := make([]int64, len(b.contexts))
	for i, c := range b.contexts {
		ids[i] = c.id
	}
	of := "e.context IN (" + literals(ids) + ")"
	if b.postgres {
		return append(list, of)
	}
	return []string{of}
}

// sorted is the statement for rows in another order: all that the filters leave
// are looked at.
func (b *builder) sorted() string {
	word, sign := b.direction()
	by := orderExpression(b.q.Order)
	conditions := append(b.places(), b.eventConditions()...)
	if b.narrows() && !b.few() {
		conditions = append(conditions, b.contextConditions())
	}
	if a := b.q.After; len(a) == 2 {
		conditions = append(conditions, "("+by+", e.id) "+sign+" ("+b.arg(a[0])+", "+b.arg(a[1])+")")
	}
	return b.selected("events e JOIN contexts c ON c.id = e.context JOIN instances i ON i.id = e.instance WHERE " + strings.Join(conditions, " AND ") +
		" ORDER BY " + by + word + ", e.id" + word + b.limit())
}

// groups is the statement for groups: events of a context, where groups are by
// something that contexts have, are counted before anything is joined to them.
func (b *builder) groups() string {
	word, sign := b.direction()
	inner := []string{"e.instance"}
	joined := "JOIN instances i ON i.id = e.instance"
	var keys, names []string
	for i, g := range b.q.Group {
		switch {
		case g.Stored.Table == report.InEvents:
			inner = append(inner, "e."+g.Stored.Name)
		case g.Stored.Table == report.InContexts && !slices.Contains(inner, "e.context"):
			inner = append(inner, "e.context")
			joined += " JOIN contexts c ON c.id = e.context"
		}
		names = append(names, "k"+strconv.Itoa(i))
		keys = append(keys, expression(g))
	}
	conditions := append(b.places(), b.eventConditions()...)
	events := b.byReceipt()
	if b.narrows() {
		events = "events e"
	}
	if b.narrows() && !b.few() {
		conditions = append(conditions, "e.context IN (SELECT c.id FROM contexts c WHERE "+b.contextConditions()+")")
	}
	counted := "SELECT " + strings.Join(inner, ", ") + ", SUM(CASE WHEN e.count > 1 THEN e.count ELSE 1 END) AS n, MIN(e.received) AS first, MAX(e.received) AS last" +
		" FROM " + events + " WHERE " + strings.Join(conditions, " AND ") + " GROUP BY " + strings.Join(inner, ", ")
	aliased := make([]string, len(keys))
	for i, k := range keys {
		aliased[i] = k + " AS " + names[i]
	}
	grouped := "SELECT " + strings.Join(aliased, ", ") + ", CAST(SUM(e.n) AS bigint) AS n, MIN(e.first) AS first, MAX(e.last) AS last FROM (" + counted +
		") e " + joined + " GROUP BY " + strings.Join(keys, ", ")
	by := map[string]string{"count": "g.n", "first": "g.first", "last": "g.last"}[b.q.Order.Name]
	order := make([]string, 0, len(names)+1)
	for i, g := range b.q.Group {
		if by == "" && g.Name == b.q.Order.Name {
			by = "g." + names[i]
		}
		order = append(order, "g."+names[i])
	}
	columns := strings.Join(order, ", ") + ", g.n, g.first, g.last"
	order = append([]string{by}, order...)
	statement := "SELECT " + columns + ", " + strings.Join(order, ", ") + " FROM (" + grouped + ") g"
	if len(b.q.After) == len(order) {
		params := make([]string, len(order))
		for i, a := range b.q.After {
			params[i] = b.arg(a)
		}
		statement += " WHERE (" + strings.Join(order, ", ") + ") " + sign + " (" + strings.Join(params, ", ") + ")"
	}
	return statement + " ORDER BY " + strings.Join(order, word+", ") + word + b.limit()
}
