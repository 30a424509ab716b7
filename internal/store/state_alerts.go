package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/name"
)

var _ alert.RuleStore = (*State)(nil)

// AlertRules implements alert.RuleStore.
func (s *State) AlertRules(ctx context.Context) ([]alert.StoredRule, error) {
	return all(ctx, s.db.read, "list rules of alerts", func(r scanner) (alert.StoredRule, error) {
		var (
			v    alert.StoredRule
			text string
			at   int64
		)
		if err := r.Scan(&v.Rule.Name, &text, &v.By, &at); err != nil {
			return v, err
		}
		v.Changed = moment(at)
		called := v.Rule.Name
		if err := json.Unmarshal([]byte(text), &v.Rule); err != nil {
			return v, fmt.Errorf("rule %s: %w", called, dormer.ErrCorrupt)
		}
		return v, nil
	}, "SELECT name, rule, changed_by, changed FROM alert_rules ORDER BY name_folded")
}

// PutAlertRule implements alert.RuleStore.
func (s *State) PutAlertRule(ctx context.Context, r alert.StoredRule, most int) error {
	text, err := json.Marshal(r.Rule)
	if err != nil {
		return fmt.Errorf("encode rule %s: %w", r.Rule.Name, err)
	}
	return s.db.update(ctx, "store rule of alerts", func(tx *sql.Tx) error {
		folded := name.Fold(r.Rule.Name)
		n, err := one(ctx, tx, "count rules", value[int], "SELECT count(*) FROM alert_rules WHERE name_folded <> $1", folded)
		if err != nil {
			return err
		}
		if n >= most {
			return fmt.Errorf("there are %d rules already: %w", n, dormer.ErrTooLarge)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO alert_rules (name, name_folded, rule, changed_by, changed) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (name_folded) DO UPDATE SET name = excluded.name, rule = excluded.rule, changed_by = excluded.changed_by, changed = excluded.changed`,
			r.Rule.Name, folded, string(text), r.By, micros(r.Changed))
		return err
	})
}

// DeleteAlertRule implements alert.RuleStore.
func (s *State) DeleteAlertRule(ctx context.Context, called string) error {
	const what = "delete rule of alerts"
	n, err := s.db.exec(ctx, what, "DELETE FROM alert_rules WHERE name_folded = $1", name.Fold(called))
	return mustChange(what, n, err)
}
