package store

import (
	"context"
	"database/sql"

	"github.com/dormer-project/dormer/internal/name"
)

// folded returns the folded form of s, nil where it is the same.
func folded(s string) any {
	if f := name.Fold(s); f != s {
		return f
	}
	return nil
}

// contains is the condition that a column contains s, without regard to case in
// any script. The column beside it has its folded form where that is another.
func (b *builder) contains(column, folded, s string) string {
	return "coalesce(" + folded + ", " + column + ") LIKE " + b.arg(literally(name.Fold(s))) + ` ESCAPE '\'`
}

// foldedColumn is one that a step adds to a table that may have rows.
type foldedColumn struct{ table, key, keyType, of, column string }

// foldedNames are the columns of step 8 of the state.
var foldedNames = []foldedColumn{
	{"clients", "id", "text", "host_name", "host_folded"},
	{"machines", "id", "text", "user_name", "user_folded"},
	{"audit", "id", "bigint", "who", "who_folded"},
	{"audit", "id", "bigint", "object", "object_folded"},
}

// foldNames fills in the columns that the step has added: no database folds
// names as we do.
func foldNames(ctx context.Context, e *engine, tx *sql.Tx) error {
	for _, c := range foldedNames {
		if err := c.fill(ctx, e, tx); err != nil {
			return err
		}
	}
	return nil
}

// fill does so piece by piece, so that memory does not grow with the table.
func (c foldedColumn) fill(ctx context.Context, e *engine, tx *sql.Tx) error {
	const piece = 10_000
	type row struct {
		key  any
		text string
	}
	var last any
	for {
		query, args := "SELECT "+c.key+", "+c.of+" FROM "+c.table, []any{int64(piece)}
		if last != nil {
			query, args = query+" WHERE "+c.key+" > $2", append(args, last)
		}
		found, err := all(ctx, tx, "fold names of "+c.table, func(r scanner) (v row, err error) {
			return v, r.Scan(&v.key, &v.text)
		}, query+" ORDER BY "+c.key+" LIMIT $1", args...)
		if err != nil {
			return err
		}
		var rows [][]any
		for _, r := range found {
			if f := folded(r.text); f != nil {
				rows = append(rows, []any{r.key, f})
			}
		}
		if err := e.bulk(ctx, tx, "UPDATE "+c.table+" SET "+c.column+" = v.column2 FROM (VALUES ", []string{c.keyType, "text"},
			") AS v WHERE "+c.table+"."+c.key+" = v.column1", rows, nil); err != nil {
			return err
		}
		if len(found) < piece {
			return nil
		}
		last = found[len(found)-1].key
	}
}
