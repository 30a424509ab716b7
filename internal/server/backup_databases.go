package server

import (
	"context"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/store"
)

func dumpState(ctx context.Context, s *store.State, w io.Writer) error {
	d, ok := any(s).(interface {
		Dump(ctx context.Context, w io.Writer, progress func(table string, rows int64)) error
	})
	if !ok {
		return fmt.Errorf("dump: %w", dormer.ErrUnsupported)
	}
	return d.Dump(ctx, w, nil)
}

func dumpEvents(ctx context.Context, s *store.Events, i dormer.InstanceID, w io.Writer) error {
	d, ok := any(s).(interface {
		Dump(ctx context.Context, i dormer.InstanceID, w io.Writer, progress func(table string, rows int64)) error
	})
	if !ok {
		return fmt.Errorf("dump: %w", dormer.ErrUnsupported)
	}
	return d.Dump(ctx, i, w, nil)
}
