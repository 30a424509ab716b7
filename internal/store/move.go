package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
)

// MoveState copies the state database at from into the empty one at to, of
// either engine, and reads the copy back: what it returns was found in both.
// What is at from stays as it is. Where the copy is there already, whole and the
// same, nothing is done; ErrExists where something else is. Nobody else may use
// either meanwhile.
func MoveState(ctx context.Context, from, to string, progress func(table string, rows int64)) (dump.Summary, error) {
	source, err := OpenState(ctx, from, Options{})
	if err != nil {
		return dump.Summary{}, err
	}
	m := move{
		dump:   source.Dump,
		load:   func(r io.Reader) error { return LoadState(ctx, to, r, progress) },
		source: func() (dump.Summary, error) { return source.dump(ctx, io.Discard, nil) },
		target: func() (dump.Summary, error) {
			target, err := OpenState(ctx, to, Options{})
			if err != nil {
				return dump.Summary{}, err
			}
			s, err := target.dump(ctx, io.Discard, nil)
			return s, errors.Join(err, target.Close())
		},
	}
	s, err := m.run(ctx)
	if err != nil {
		err = fmt.Errorf("move the state database: %w", err)
	}
	return s, errors.Join(err, source.Close())
}

// MoveEvents is MoveState for the events of an instance. Others may have theirs
// at to.
func MoveEvents(ctx context.Context, i dormer.InstanceID, from, to string, progress func(table string, rows int64)) (dump.Summary, error) {
	source, err := OpenEvents(ctx, from, Options{})
	if err != nil {
		return dump.Summary{}, err
	}
	m := move{
		dump:   func(ctx context.Context, w io.Writer, p func(string, int64)) error { return source.Dump(ctx, i, w, p) },
		load:   func(r io.Reader) error { return LoadEvents(ctx, to, r, progress) },
		source: func() (dump.Summary, error) { return source.dump(ctx, i, io.Discard, true, nil) },
		target: func() (dump.Summary, error) {
			target, err := OpenEvents(ctx, to, Options{})
			if err != nil {
				return dump.Summary{}, err
			}
			s, err := target.dump(ctx, i, io.Discard, true, nil)
			return s, errors.Join(err, target.Close())
		},
	}
	s, err := m.run(ctx)
	if err != nil {
		err = fmt.Errorf("move the events database: %w", err)
	}
	return s, errors.Join(err, source.Close())
}

// move is one move of a database.
type move struct {
	dump           func(ctx context.Context, w io.Writer, p func(table string, rows int64)) error
	load           func(r io.Reader) error
	source, target func() (dump.Summary, error)
}

func (m move) run(ctx context.Context) (dump.Summary, error) {
	dumping, stop := context.WithCancel(ctx)
	defer stop()
	r, w := io.Pipe()
	dumped := make(chan struct{})
	go func() {
		defer close(dumped)
		w.CloseWithError(m.dump(dumping, w, nil)) // whoever loads hears of it
	}()
	err := m.load(r)
	r.CloseWithError(errLoaded)
	stop()
	<-dumped
	// What is there may be the copy of a move that was interrupted at its end.
	exists := errors.Is(err, dormer.ErrExists)
	if err != nil && !exists {
		return dump.Summary{}, err
	}
	source, e := m.source()
	if e != nil {
		return dump.Summary{}, e
	}
	target, e := m.target()
	switch {
	case e != nil:
		return dump.Summary{}, fmt.Errorf("read the copy back: %w", e)
	case same(source, target):
		return target, nil
	case exists:
		return dump.Summary{}, err
	}
	return dump.Summary{}, fmt.Errorf("the copy is not what was copied: %w", dormer.ErrCorrupt)
}

// errLoaded: the rest of a dump is not needed.
var errLoaded = errors.New("nobody reads any more")

// same reports whether the rows of two dumps are the same. Which numbers were
// given, and how far others have followed in a database that is shared, may
// differ.
func same(a, b dump.Summary) bool {
	if len(a.Tables) != len(b.Tables) {
		return false
	}
	for i, t := range a.Tables {
		o := b.Tables[i]
		switch {
		case t.Name == tableGiven:
		case t.Name != o.Name || t.Rows != o.Rows, t.SHA256 != o.SHA256 && t.Name != "follows":
			return false
		}
	}
	return true
}
