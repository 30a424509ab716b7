package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	filledDays = 90
	day        = 24 * time.Hour
	// filledInstance stored the events; it is given the identity of the instance
	// that is to read them.
	filledInstance = "filled"
	// fileEnd says when the last event was received.
	fileEnd = "end"
)

// identityOf returns an identity that is the same each time.
func identityOf(kind string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n))
	id, err := dormer.NewID(bytes.NewReader(sum[:]))
	if err != nil {
		panic(err) // a hash is long enough
	}
	return id
}

// batchOf is what client number n of an instance sends with a poll.
func batchOf(b *bench, instance string, n int, first uint64, events int, received time.Time) event.Batch {
	batch := event.Batch{
		Instance: dormer.InstanceID(instance), Client: dormer.ClientID(identityOf("client", n)),
		Journal: dormer.JournalID(identityOf("journal", n)), Received: received.UTC().Truncate(time.Microsecond),
		Events: make([]wire.NumberedEvent, events),
	}
	for i := range batch.Events {
		sequence := first + uint64(i)
		// Policies and images change now and then, and with them what events have
		// in common.
		e := load.Event(n, sequence, received.Add(-time.Duration(events-i)*time.Second).UTC())
		age := int(sequence) / max(1, b.events/b.clients/9)
		e.PolicyRevision, e.Image = dormer.Revision(1+age), fmt.Sprintf("office/%d", 1+age/3)
		batch.Events[i] = wire.NumberedEvent{Sequence: sequence, Event: e}
	}
	return batch
}

// fill puts the wanted number of events into the database, spread over days and
// clients as they would have come, or takes a database that was filled before.
// It returns when the last one was received.
func (s *site) fill(ctx context.Context) (end time.Time, err error) {
	kept := ""
	if s.bench.cache != "" {
		kept = filepath.Join(s.bench.cache, fmt.Sprintf("%s-%d-%d", s.engine, s.bench.events, s.bench.clients))
		if b, err := os.ReadFile(filepath.Join(kept, fileEnd)); err == nil {
			s.bench.say("taking the events of %s", kept)
			if end, err = time.Parse(time.RFC3339, strings.TrimSpace(string(b))); err != nil {
				return end, fmt.Errorf("read %s: %w", fileEnd, err)
			}
			return end, copyFolder(ctx, kept, s.dir)
		}
	}
	// Whether the filled database would survive a power cut does not matter.
	if err := s.open(ctx, "fsync=off", "full_page_writes=off", "max_wal_size=4GB", "wal_recycle=off"); err != nil {
		return end, err
	}
	end = time.Now().UTC().Truncate(time.Second)
	if err := s.append(ctx, end); err != nil {
		return end, err
	}
	if s.database != nil {
		// As after some hours, in which it would have been done by itself.
		// The checkpoint removes the log, so that what is kept is the database alone.
		for _, text := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
			if _, err := s.database.SQL(ctx, "events", text); err != nil {
				return end, err
			}
		}
		if err := s.database.Stop(); err != nil {
			return end, err
		}
		s.database = nil
	}
	if err := os.WriteFile(filepath.Join(s.dir, fileEnd), []byte(end.Format(time.RFC3339)), 0o600); err != nil {
		return end, fmt.Errorf("note when the events end: %w", err)
	}
	if kept == "" {
		return end, nil
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return end, fmt.Errorf("make cache: %w", err)
	}
	// Last what says that the rest is whole.
	return end, errors.Join(copyFolder(ctx, s.dir, kept+".new"), os.RemoveAll(kept), os.Rename(kept+".new", kept))
}

// append stores events by the store's own way, many clients in a commit.
func (s *site) append(ctx context.Context, end time.Time) (err error) {
	const perCommit = 100_000
	events, err := store.OpenEvents(ctx, s.dsn, store.Options{Writers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	b := s.bench
	each := max(1, min(perCommit, b.events)/b.clients) // of a client in a commit
	commits := (b.events + each*b.clients - 1) / (each * b.clients)
	step := filledDays * day / time.Duration(commits)
	began := time.Now()
	for n := range commits {
		at := end.Add(-step * time.Duration(commits-n))
		group := make([]event.Batch, b.clients)
		for c := range group {
			received := at.Add(step * time.Duration(c+1) / time.Duration(b.clients))
			group[c] = batchOf(b, filledInstance, c, uint64(n*each)+1, each, received)
		}
		if _, err := events.AppendEvents(ctx, group); err != nil {
			return err
		}
		if (n+1)%max(1, commits/20) == 0 {
			b.say("%d of %d events are stored, %.0f a second", (n+1)*each*b.clients, b.events, float64((n+1)*each*b.clients)/time.Since(began).Seconds())
		}
	}
	return nil
}

// copyFolder copies what is in a folder, owners too.
func copyFolder(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", from+"/.", to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}

// people puts clients and machines into the state of a server that does not run.
func (s *site) people(ctx context.Context) (err error) {
	b := s.bench
	b.say("adding %d clients with their machines", b.clients)
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(s.server.Data(), "state.db"), store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	token := enroll.JoinToken{ID: identityOf("token", 0), MaxUses: b.clients, Name: "filled"}
	if err := state.CreateJoinToken(ctx, token); err != nil {
		return err
	}
	now := time.Now().UTC()
	for n := range b.clients {
		c := enroll.Client{
			ID: dormer.ClientID(identityOf("client", n)), PublicKey: fmt.Appendf(nil, "key %d", n), Managed: true,
			Host: load.HostOf(n), AgentVersion: "1.0.0", JoinToken: token.ID, Enrolled: now, LastSeen: &now,
		}
		if err := state.Enrol(ctx, token.Hash, c, func(enroll.JoinToken) error { return nil }); err != nil {
			return err
		}
		m := lease.Machine{
			ID: dormer.MachineID(identityOf("machine", n)), Client: c.ID, Workspace: dormer.WorkspaceID(identityOf("workspace", n%20)),
			User:    dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: fmt.Sprint("user-", n), Name: load.UserOf(n)},
			DiskKey: []byte("key"), ComputerName: fmt.Sprintf("OFFICE-%05d", n), Created: now,
			State: "running", Guest: fmt.Sprintf("OFFICE-%05d", n), Reported: &now,
		}
		if _, err := state.EnsureMachine(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// adopt gives the stored events to the instance that runs here.
func (s *site) adopt(ctx context.Context, instance dormer.InstanceID) error {
	text := fmt.Sprintf("UPDATE instances SET instance = '%s' WHERE instance = '%s'", instance, filledInstance)
	if s.database != nil {
		_, err := s.database.SQL(ctx, "events", "DELETE FROM instances WHERE instance = '"+string(instance)+"'; "+text)
		return err
	}
	_, err := s.sqlite(ctx, "DELETE FROM instances WHERE instance = '"+string(instance)+"'; "+text)
	return err
}

// sqlite runs statements in the events database.
func (s *site) sqlite(ctx context.Context, text string) (string, error) {
	out, err := exec.CommandContext(ctx, "sqlite3", strings.TrimPrefix(s.dsn, "sqlite:"), text).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
