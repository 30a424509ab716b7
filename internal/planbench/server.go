package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
)

const (
	atOnce    = 16
	revisions = 100
	polls     = 4 // of each client, while their processor time is measured
	month     = 30 * 24 * time.Hour
)

// server measures a dormerd on SQLite without and with clients.
func (b *bench) server(ctx context.Context, dir string) error {
	program, err := os.Stat(b.dormerd)
	if err != nil {
		return fmt.Errorf("look at the program: %w", err)
	}
	b.row("disk.program", float64(program.Size()), "bytes")
	s, err := load.NewServer(ctx, dir, load.Program{Path: b.dormerd}, "[log]\nlevel = \"warn\"\n")
	if err != nil {
		return err
	}
	err = b.measure(ctx, s)
	return errors.Join(err, s.Stop())
}

func (b *bench) measure(ctx context.Context, s *load.Server) error {
	// The first start makes keys and databases; the second one is as every other.
	if err := errors.Join(s.StartReady(ctx), s.Stop()); err != nil {
		return err
	}
	empty, err := folderBytes(s.Data())
	if err != nil {
		return err
	}
	b.row("disk.empty", float64(empty), "bytes")
	if err := s.StartReady(ctx); err != nil {
		return err
	}
	if err := b.memory("memory.idle", s); err != nil {
		return err
	}
	clients, err := b.enrol(ctx, s)
	if err != nil {
		return err
	}
	if err := errors.Join(b.polls(ctx, s, clients), b.commit(ctx, s)); err != nil {
		return err
	}
	if err := b.memory("memory.polled", s); err != nil {
		return err
	}
	if err := errors.Join(s.Stop(), b.people(ctx, s, clients), s.StartReady(ctx)); err != nil {
		return err
	}
	// It differs by megabytes from start to start, so that only very many clients
	// tell what one takes.
	if err := errors.Join(b.memory("memory.known", s), s.Stop()); err != nil {
		return err
	}
	return b.tables(ctx, s)
}

// enrol enrols all clients, each of which polls once.
func (b *bench) enrol(ctx context.Context, s *load.Server) ([]*load.Client, error) {
	b.say("enrolling %d clients", b.clients)
	return s.Clients(ctx, b.clients)
}

// polls measures the processor time of a poll without events, each on a
// connection of its own.
func (b *bench) polls(ctx context.Context, s *load.Server, clients []*load.Client) error {
	b.say("polling")
	before, err := load.CPU(s.PID())
	if err != nil {
		return err
	}
	carried, err := loopbackBytes()
	if err != nil {
		return err
	}
	err = load.Each(polls*len(clients), atOnce, func(i int) error {
		_, err := clients[i%len(clients)].Poll(ctx, 0)
		return err
	})
	if err != nil {
		return err
	}
	after, err := load.CPU(s.PID())
	if err != nil {
		return err
	}
	all, err := loopbackBytes()
	if err != nil {
		return err
	}
	b.row("polls.bytes", float64(all-carried)/float64(polls*len(clients)), "bytes")
	b.row("polls", float64(polls*len(clients))/(after-before).Seconds(), "1/CPU-s")
	return nil
}

// loopbackBytes is what the loopback device has carried, both ways, with the
// headers of packets. What else uses it meanwhile is counted, too.
func loopbackBytes() (int64, error) {
	raw, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, fmt.Errorf("read what networks have carried: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if name, counts, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "lo" {
			n, err := strconv.ParseInt(strings.Fields(counts)[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("bytes of the loopback device %q: %w", counts, dormer.ErrCorrupt)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("the loopback device: %w", dormer.ErrNotFound)
}

// commit makes a workspace with many revisions. Grants are left out: they
// name people whom no directory here knows.
func (b *bench) commit(ctx context.Context, s *load.Server) error {
	b.say("committing %d revisions", revisions)
	raw, err := os.ReadFile(b.document)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	text, _, _ := strings.Cut(string(raw), "\ngrants:")
	c, err := s.Operator(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	made, err := c.CreateWorkspace(ctx, []byte(text), "made")
	if err != nil {
		return err
	}
	tag := made.ETag
	for i := range revisions - 1 {
		changed := strings.Replace(text, "  description: |\n", fmt.Sprintf("  description: |\n    Revision %d.\n", i+2), 1)
		next, err := c.CommitWorkspace(ctx, made.ID, []byte(changed), tag, "changed")
		if err != nil {
			return err
		}
		tag = next.ETag
	}
	return nil
}

// people gives each client a user who is signed in and has one machine, as the
// server stores them.
func (b *bench) people(ctx context.Context, s *load.Server, clients []*load.Client) (err error) {
	b.say("storing sessions and machines")
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(s.Data(), "state.db"), store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	now := time.Now()
	for i, c := range clients {
		ids := make([]string, 3)
		for j := range ids {
			if ids[j], err = dormer.NewID(rand.Reader); err != nil {
				return err
			}
		}
		user := dormer.Principal{Directory: "corp.example.test", Kind: dormer.KindUser, Key: fmt.Sprintf("S-1-5-21-3623811015-3361044348-30300820-%d", 1000+i), Name: load.UserOf(i)}
		session := access.Session{ID: ids[0], Kind: access.SessionUser, User: user, Client: c.ID, Created: now, Expires: now.Add(month)}
		if _, err := rand.Read(session.Hash[:]); err != nil {
			return fmt.Errorf("make a session: %w", err)
		}
		machine := lease.Machine{
			ID: dormer.MachineID(ids[1]), Client: c.ID, User: user, Workspace: "mz7qk3bpx2vw5tj4cnfr6hydga",
			DiskKey: make([]byte, 92), ComputerName: fmt.Sprintf("OFFICE-%05d", i), Created: now,
		}
		stored, err := state.EnsureMachine(ctx, machine)
		if err = errors.Join(err, state.CreateSession(ctx, session)); err != nil {
			return err
		}
		report := lease.Report{
			Machine: stored.ID, State: "running", Image: dormer.ImageID(strings.Repeat("4b", 32)), Guest: "connected", Time: now,
			Follows: lease.Follows{Revision: 3},
		}
		if err := state.FlushReports(ctx, []lease.Report{report}); err != nil {
			return err
		}
	}
	return nil
}

// tables prints what a row of each table takes, with its share of the indexes.
func (b *bench) tables(ctx context.Context, s *load.Server) error {
	path := filepath.Join(s.Data(), "state.db")
	for _, t := range []string{"clients", "sessions", "machines", "revisions", "audit"} {
		out, err := exec.CommandContext(ctx, "sqlite3", path, fmt.Sprintf(`SELECT 1.0 * sum(d.pageno) * (SELECT page_size FROM pragma_page_size) / (SELECT count(*) FROM %[1]s)
			FROM dbstat d JOIN sqlite_schema m ON m.name = d.name WHERE d.aggregate = TRUE AND m.tbl_name = '%[1]s'`, t)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("sqlite3: %w: %s", err, out)
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return fmt.Errorf("size of %s %q: %w", t, out, dormer.ErrCorrupt)
		}
		b.row("state."+t, n, "bytes/row")
	}
	all, err := folderBytes(s.Data())
	if err != nil {
		return err
	}
	b.row("disk.filled", float64(all), "bytes")
	return nil
}

// folderBytes is the size of all files below a folder.
func folderBytes(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return n, nil
}
