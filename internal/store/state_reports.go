package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/report"
)

var _ report.Saved = (*State)(nil)

// savedReport is what the column definition holds.
type savedReport struct {
	Report      report.Kind  `json:"report"`
	Description string       `json:"description,omitempty"`
	Query       report.Query `json:"query"`
}

const savedReports = "SELECT name, definition, changed_by, changed FROM saved_reports"

func scanSavedReport(r scanner) (report.Definition, error) {
	var (
		d    report.Definition
		text string
		at   int64
		kept savedReport
	)
	if err := r.Scan(&d.Name, &text, &d.ChangedBy, &at); err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return d, fmt.Errorf("saved report %s: %w", d.Name, dormer.ErrCorrupt)
	}
	d.Report, d.Description, d.Query, d.Changed = kept.Report, kept.Description, kept.Query, moment(at)
	return d, nil
}

// SavedReports implements report.Saved.
func (s *State) SavedReports(ctx context.Context) ([]report.Definition, error) {
	return all(ctx, s.db.read, "list saved reports", scanSavedReport, savedReports+" ORDER BY name_folded")
}

// SavedReport implements report.Saved.
func (s *State) SavedReport(ctx context.Context, called string) (report.Definition, error) {
	return one(ctx, s.db.read, "find saved report "+called, scanSavedReport, savedReports+" WHERE name_folded = $1", name.Fold(clean(called)))
}

// SaveReport implements report.Saved.
func (s *State) SaveReport(ctx context.Context, id string, d report.Definition, most int) error {
	text, err := json.Marshal(savedReport{Report: d.Report, Description: d.Description, Query: d.Query})
	if err != nil {
		return fmt.Errorf("encode saved report: %w", err)
	}
	return s.db.update(ctx, "save report", func(tx *sql.Tx) error {
		fold := name.Fold(d.Name)
		n, err := one(ctx, tx, "count saved reports", value[int], "SELECT count(*) FROM saved_reports WHERE name_folded <> $1", fold)
		if err != nil {
			return err
		}
		if n >= most {
			return fmt.Errorf("there are %d saved reports already: %w", n, dormer.ErrTooLarge)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO saved_reports (id, name, name_folded, definition, changed_by, changed) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (name_folded) DO UPDATE SET name = excluded.name, definition = excluded.definition,
			changed_by = excluded.changed_by, changed = excluded.changed`,
			id, d.Name, fold, string(text), clean(d.ChangedBy), micros(d.Changed))
		return err
	})
}

// DeleteReport implements report.Saved.
func (s *State) DeleteReport(ctx context.Context, called string) error {
	what := "delete saved report " + called
	n, err := s.db.exec(ctx, what, "DELETE FROM saved_reports WHERE name_folded = $1", name.Fold(clean(called)))
	return mustChange(what, n, err)
}
