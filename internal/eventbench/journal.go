package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/eventbench/load"
)

// journal measures a client's own journal: events that are durable one by one,
// and by 20, which share one write.
func (b *bench) journal(ctx context.Context) error {
	for _, n := range []int{1, pollEvents} {
		if err := b.appendToJournal(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) appendToJournal(ctx context.Context, n int) (err error) {
	lasts := b.lasts / 20
	b.say("appending %d events at a time to a client's journal for %v", n, lasts)
	dir, err := os.MkdirTemp(b.work, "journal")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	j, err := event.OpenJournal(filepath.Join(dir, "journal"), event.JournalOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	var appended uint64
	began := time.Now()
	for time.Since(began) < lasts && ctx.Err() == nil {
		list := make([]dormer.Event, 0, n)
		for range n {
			appended++
			list = append(list, load.Event(0, appended, began))
		}
		last, err := j.Append(list...)
		if err != nil {
			return err
		}
		// As if a server took them: a full journal would do other work.
		if appended%1000 < uint64(n) {
			if err := j.Trim(j.ID(), last); err != nil {
				return err
			}
		}
	}
	name := "journal.dormer.append"
	if n > 1 {
		name += fmt.Sprintf("_by_%d", n)
	}
	b.row(name, float64(appended)/time.Since(began).Seconds(), "1/s")
	return nil
}
