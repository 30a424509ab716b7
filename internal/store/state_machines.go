package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

// FindMachines implements lease.MachineFinder.
func (s *State) FindMachines(ctx context.Context, f lease.MachineFilter) ([]lease.Machine, int, error) {
	if f.IDs != nil && len(f.IDs) == 0 {
		return nil, 0, nil
	}
	b := builder{}
	var where []string
	if f.IDs != nil {
		where = append(where, "id IN ("+b.texts(textsOf(f.IDs))+")")
	}
	if f.Client != "" {
		where = append(where, "client = "+b.arg(clean(string(f.Client))))
	}
	if f.Workspace != "" {
		where = append(where, "workspace = "+b.arg(clean(string(f.Workspace))))
	}
	if f.Image != "" {
		where = append(where, "image = "+b.arg(clean(string(f.Image))))
	}
	from := " FROM machines"
	if len(where) > 0 {
		from += " WHERE " + strings.Join(where, " AND ")
	}
	args, limit := b.args, ""
	if f.Limit > 0 {
		limit = " ORDER BY created, id LIMIT " + b.arg(int64(f.Limit))
	}
	list, err := all(ctx, s.db.read, "find machines", scanMachine, "SELECT "+machineColumns+from+limit, b.args...)
	// Sorted here where all are wanted: SQLite would sort whole rows.
	slices.SortFunc(list, func(a, b lease.Machine) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	if err != nil || f.Limit == 0 || len(list) < f.Limit {
		return list, len(list), err
	}
	total, err := one(ctx, s.db.read, "count machines", value[int], "SELECT count(*)"+from, args...)
	return list, total, err
}

// MachinesOf returns the machines of a client, with "" all.
func (s *State) MachinesOf(ctx context.Context, of dormer.ClientID) ([]lease.Machine, error) {
	list, _, err := s.FindMachines(ctx, lease.MachineFilter{Client: of})
	return list, err
}

// EachMachineImage implements lease.MachineFinder.
func (s *State) EachMachineImage(ctx context.Context, each func(dormer.ImageID, dormer.ClientID)) error {
	return s.each(ctx, "look which images machines run", func(r scanner) error {
		var (
			image  dormer.ImageID
			client dormer.ClientID
		)
		if err := r.Scan(&image, &client); err != nil {
			return err
		}
		each(image, client)
		return nil
	}, "SELECT image, client FROM machines WHERE image <> ''")
}

// StatesSince returns, for each machine that reported, since when its state is
// what it is: of one client, or with "" of all.
func (s *State) StatesSince(ctx context.Context, of dormer.ClientID) (map[dormer.MachineID]time.Time, error) {
	b := builder{}
	query := "SELECT id, state_since FROM machines WHERE state_since IS NOT NULL"
	if of != "" {
		query += " AND client = " + b.arg(clean(string(of)))
	}
	since := map[dormer.MachineID]time.Time{}
	return since, s.each(ctx, "list states of machines", func(r scanner) error {
		var (
			machine dormer.MachineID
			at      int64
		)
		if err := r.Scan(&machine, &at); err != nil {
			return err
		}
		since[machine] = moment(at)
		return nil
	}, query, b.args...)
}

// each calls f with every row of a query.
func (s *State) each(ctx context.Context, what string, f func(scanner) error, query string, args ...any) error {
	_, err := all(ctx, s.db.read, what, func(r scanner) (struct{}, error) { return struct{}{}, f(r) }, query, args...)
	return err
}
