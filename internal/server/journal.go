package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// dirJournal is the folder of the server's own events in the data folder.
const dirJournal = "journal"

// Times of the server's own events.
const (
	// journalRetry is when events are tried again that could not be stored.
	journalRetry = 10 * time.Second
	// journalStopTime is how long a server that stops tries to store its last.
	journalStopTime = 5 * time.Second
	// journalBatch is how many are stored at once.
	journalBatch = 200
)

// systemUser is the user of events that are nobody's.
const systemUser = "SYSTEM"

// journal carries what the server itself reports to the events database, as
// those of a client without an identity. An event is durable when it was told,
// and waits in the data folder while the database is away.
type journal struct {
	file     *event.Journal
	instance dormer.InstanceID
	host     string
	version  string
	now      func() time.Time
	logger   *slog.Logger
	// wake has room for one: something was told.
	wake chan struct{}
}

func (s *Server) openJournal(context.Context) error {
	file, err := event.OpenJournal(s.data.file(dirJournal), event.JournalOptions{Random: s.deps.Random, Now: s.deps.Now})
	if err != nil {
		return fmt.Errorf("setting data: %w", err)
	}
	s.onClose(file.Close)
	s.journal = &journal{
		file: file, instance: s.instance, host: s.deps.Hostname, version: s.deps.Version, now: s.deps.Now,
		logger: s.deps.Logger, wake: make(chan struct{}, 1),
	}
	return nil
}

// tell reports an event of the server itself. detail follows the text of the
// catalogue and never holds a secret.
func (s *Server) tell(code event.Code, detail string) { s.journal.tell(code, detail) }

func (j *journal) tell(code event.Code, detail string) {
	e := event.New(code, j.now(), strings.ReplaceAll(detail, "\n", "; ")) // several errors in one
	e.Host, e.User, e.ClientVersion = j.host, systemUser, j.version
	if _, err := j.file.Append(e); err != nil {
		j.logger.LogAttrs(context.Background(), slog.LevelError, "an event of the server cannot be kept",
			slog.Int("code", e.Code), slog.String("description", e.Description), slog.String("error", err.Error()))
		return
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// submitter stores events: event.Ingester.
type submitter interface {
	// Submit is as that of event.Ingester.
	Submit(ctx context.Context, b event.Batch) (event.Marks, error)
}

// run stores what is told, and what was left over from before, until ctx ends.
func (j *journal) run(ctx context.Context, to submitter) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-j.wake:
		case <-timer.C:
		}
		// What is not safe yet, or could not be stored, is looked at again.
		if err := j.drain(ctx, to); err != nil && !errors.Is(err, dormer.ErrUnavailable) && ctx.Err() == nil {
			return fmt.Errorf("store the events of the server: %w", err)
		}
		timer.Reset(journalRetry)
	}
}

// drain stores all that waits and lets go of what is safe. It touches nothing
// but memory when nothing waits.
func (j *journal) drain(ctx context.Context, to submitter) error {
	if j.file.Len() == 0 {
		return nil
	}
	id := j.file.ID()
	batch := event.Batch{Instance: j.instance, Journal: id, Host: j.host, ClientVersion: j.version}
	for {
		// Without events it asks how far the journal was received.
		marks, err := to.Submit(ctx, batch)
		if err != nil {
			return err
		}
		if marks.Safe > 0 {
			if err := j.file.Trim(id, marks.Safe); err != nil {
				return err
			}
		}
		of, events, err := j.file.Next(marks.Received, journalBatch)
		if err != nil || len(events) == 0 {
			return err
		}
		if of != id {
			return j.drain(ctx, to) // it was renewed: all of it is sent anew
		}
		batch.Events = events
	}
}

// tellStop reports that the server stops and tries to store it. What cannot be
// stored now is when the server starts again.
func (s *Server) tellStop(ctx context.Context) {
	s.tell(event.ServerStopped, "")
	ctx, cancel := context.WithTimeout(ctx, journalStopTime)
	defer cancel()
	if err := s.journal.drain(ctx, s.ingester); err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "events of the server are stored when it starts again", slog.String("reason", err.Error()))
	}
}
