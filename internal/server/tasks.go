package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// task is work that goes on as long as the server runs. Work that fails or
// panics is logged and begun again; only the end of the context ends it.
type task struct {
	name string
	run  func(context.Context) error
	// record is what is known of how it went; made when it is supervised unless
	// run writes into it itself.
	record *taskRecord
}

// restartDelay is the longest pause before a task is begun again.
const restartDelay = time.Minute

// every makes a task that does something again and again.
func every(name string, interval time.Duration, do func(context.Context) error) task {
	record := &taskRecord{}
	return task{name: name, record: record, run: func(ctx context.Context) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				if err := do(ctx); err != nil {
					return err
				}
				record.succeeded()
			}
		}
	}}
}

// supervise runs tasks until the context ends and all have returned, and notes
// in book how they go.
func supervise(ctx context.Context, logger *slog.Logger, book *taskBook, tasks []task) {
	var all sync.WaitGroup
	for _, t := range tasks {
		book.enter(&t)
		all.Go(func() { t.keep(ctx, logger) })
	}
	all.Wait()
}

func (t task) keep(ctx context.Context, logger *slog.Logger) {
	pause := time.Second
	for {
		err := t.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		t.record.failed(err)
		logger.LogAttrs(ctx, slog.LevelError, "background task failed; it is begun again",
			slog.String("task", t.name), slog.String("error", err.Error()), slog.Duration("pause", pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, restartDelay)
	}
}

func (t task) once(ctx context.Context) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	return t.run(ctx)
}
