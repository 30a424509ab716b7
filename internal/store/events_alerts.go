package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
)

var _ alert.Store = (*Events)(nil)

// SaveAlerts implements alert.Store.
func (s *Events) SaveAlerts(ctx context.Context, i dormer.InstanceID, saved alert.Saved) error {
	instance, err := s.ensureInstance(ctx, i)
	if err != nil {
		return err
	}
	return s.db.update(ctx, "store alerts", func(tx *sql.Tx) error {
		if saved.Holder != "" {
			now, err := s.databaseNow(ctx, tx)
			if err != nil {
				return err
			}
			has, until, err := turn(ctx, tx, instance, saved.Name)
			if err != nil {
				return err
			}
			if has != saved.Holder || until <= now {
				return fmt.Errorf("another server looks after alerts: %w", dormer.ErrConflict)
			}
		}
		for _, c := range saved.Changes {
			if err := changeAlert(ctx, tx, instance, c); err != nil {
				return err
			}
		}
		return setPosition(ctx, tx, instance, saved.Name, saved.Position, saved.State)
	})
}

func changeAlert(ctx context.Context, tx *sql.Tx, instance int64, c alert.Change) error {
	switch c.Kind {
	case alert.Raises:
		_, err := tx.ExecContext(ctx, `INSERT INTO alerts (instance, rule, alert_key, severity, text, raised, last, count, acknowledged_by, note)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '') ON CONFLICT DO NOTHING`,
			instance, c.Rule, clean(c.Key), rank(c.Severity), clean(c.Text), micros(c.Raised), micros(c.Last), c.Count)
		return err
	case alert.Repeats, alert.Clears:
		var cleared any
		if c.Kind == alert.Clears {
			cleared = micros(c.Cleared)
		}
		_, err := tx.ExecContext(ctx, `UPDATE alerts SET severity = $4, text = $5, last = $6, count = $7, cleared = $8
			WHERE instance = $1 AND rule = $2 AND alert_key = $3 AND cleared IS NULL`,
			instance, c.Rule, clean(c.Key), rank(c.Severity), clean(c.Text), micros(c.Last), c.Count, cleared)
		return err
	}
	return fmt.Errorf("change %d of an alert: %w", c.Kind, dormer.ErrUnsupported)
}

const alertColumns = "id, rule, alert_key, severity, text, raised, last, count, acknowledged, acknowledged_by, note, cleared"

func scanAlert(r scanner) (alert.Alert, error) {
	var (
		a                     alert.Alert
		ranked, raised, last  int64
		acknowledged, cleared sql.NullInt64
	)
	err := r.Scan(&a.ID, &a.Rule, &a.Key, &ranked, &a.Text, &raised, &last, &a.Count, &acknowledged, &a.AcknowledgedBy, &a.Note, &cleared)
	a.Severity, a.Raised, a.Last = severities[ranked], moment(raised), moment(last)
	a.Acknowledged, a.Cleared = momentOrNil(acknowledged), momentOrNil(cleared)
	return a, err
}

// Alerts implements alert.Store.
func (s *Events) Alerts(ctx context.Context, i dormer.InstanceID, q alert.Query) ([]alert.Alert, error) {
	if q.Limit < 1 {
		return nil, dormer.Invalidf("limit", "must be at least 1")
	}
	instance, err := s.instanceID(ctx, s.db.read, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return nil, nil // nothing was stored yet
	case err != nil:
		return nil, err
	}
	w := where{}
	w.add("instance = %s", instance)
	if q.Open {
		w.add("cleared IS NULL")
	}
	if q.Before > 0 {
		w.add("id < %s", q.Before)
	}
	return all(ctx, s.db.read, "list alerts", scanAlert,
		"SELECT "+alertColumns+" FROM alerts WHERE "+w.String()+" ORDER BY id DESC LIMIT "+w.arg(int64(q.Limit)), w.args...)
}

// AcknowledgeAlert implements alert.Store.
func (s *Events) AcknowledgeAlert(ctx context.Context, i dormer.InstanceID, id int64, by, note string, at time.Time) (a alert.Alert, err error) {
	instance, err := s.instanceID(ctx, s.db.read, i)
	if err != nil {
		return a, err
	}
	err = s.db.update(ctx, "note who looks after it", func(tx *sql.Tx) error {
		a, err = scanAlert(tx.QueryRowContext(ctx, "SELECT "+alertColumns+" FROM alerts WHERE instance = $1 AND id = $2", instance, id))
		switch {
		case err != nil:
			return err
		case a.Acknowledged != nil:
			return fmt.Errorf("%s acknowledged it at %s: %w", a.AcknowledgedBy, a.Acknowledged.Format(time.RFC3339), dormer.ErrConflict)
		}
		a.Acknowledged, a.AcknowledgedBy, a.Note = &at, clean(by), clean(note)
		_, err := tx.ExecContext(ctx, "UPDATE alerts SET acknowledged = $3, acknowledged_by = $4, note = $5 WHERE instance = $1 AND id = $2",
			instance, id, micros(at), a.AcknowledgedBy, a.Note)
		return err
	})
	return a, err
}

// DeleteAlertsBefore implements alert.Store.
func (s *Events) DeleteAlertsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error) {
	instance, err := s.instanceID(ctx, s.db.read, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return s.db.exec(ctx, "delete old alerts", "DELETE FROM alerts WHERE instance = $1 AND cleared < $2", instance, micros(t))
}
