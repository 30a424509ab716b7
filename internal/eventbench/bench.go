package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/eventbench/load"
)

type bench struct {
	dormerd, work, cache, profile string
	engines, parts                string
	clients, events, versions     int
	// browser is a command that looks at the console; empty: nothing does.
	browser string
	lasts   time.Duration
	// out takes the rows; printErr is the first failure to write one.
	out, progress io.Writer
	printErr      error
}

// Engines.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

// part measures one thing on one engine.
type part struct {
	name string
	run  func(*bench, context.Context, *site) error
}

var parts = []part{
	{"durable", (*bench).durable},
	{"drain", (*bench).drain},
	{"stored", (*bench).stored},
	{"console", (*bench).console},
}

func (b *bench) run(ctx context.Context) error {
	if b.dormerd == "" || b.work == "" || b.clients < 1 || b.events < 1 || b.versions < imageNames {
		return dormer.Invalidf("", "name the program with --dormerd and a folder with --work; clients and events are at least one, versions %d", imageNames)
	}
	wanted := strings.Split(b.parts, ",")
	if slices.Contains(wanted, "journal") {
		if err := b.journal(ctx); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	for engine := range strings.SplitSeq(b.engines, ",") {
		for _, p := range parts {
			if !slices.Contains(wanted, p.name) {
				continue
			}
			if err := b.measure(ctx, engine, p); err != nil {
				return fmt.Errorf("%s on %s: %w", p.name, engine, err)
			}
		}
	}
	return b.printErr
}

// measure runs a part in a folder of its own, which is gone afterwards.
func (b *bench) measure(ctx context.Context, engine string, p part) (err error) {
	b.say("%s on %s", p.name, engine)
	dir, err := os.MkdirTemp(b.work, engine)
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return fmt.Errorf("make a folder: %w", err)
	}
	s := &site{bench: b, engine: engine, dir: dir, part: p.name}
	defer func() { err = errors.Join(err, s.stop()) }()
	return p.run(b, ctx, s)
}

// row prints a figure.
func (b *bench) row(name string, value float64, unit string) {
	text := fmt.Sprintf("%.0f", value)
	switch {
	case value < 10:
		text = fmt.Sprintf("%.3g", value)
	case value < 1000:
		text = fmt.Sprintf("%.1f", value)
	}
	if _, err := fmt.Fprintf(b.out, "events.%s %s %s\n", name, text, unit); err != nil && b.printErr == nil {
		b.printErr = fmt.Errorf("print figure: %w", err)
	}
}

// say tells who waits what is being done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// site is one dormerd with its databases.
type site struct {
	bench             *bench
	engine, dir, part string
	database          *load.Postgres // nil with SQLite
	server            *load.Server
	dsn               string // of the events
	state             string // likewise; empty: a file of the server's
	settings          string // lines of dormerd.toml beside those of every part
}

// row prints a figure of the engine.
func (s *site) row(name string, value float64, unit string) {
	s.bench.row(s.engine+".dormer."+name, value, unit)
}

// postgresSettings are those of a small machine that does little else. Commits
// are durable, as by default.
var postgresSettings = []string{"shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min"}

// open makes the events database.
func (s *site) open(ctx context.Context, settings ...string) error {
	if s.engine == sqlite {
		s.dsn = "sqlite:" + filepath.Join(s.dir, "events.db")
		return nil
	}
	var err error
	if s.database, err = load.NewPostgres(ctx, filepath.Join(s.dir, "pg"), append(slices.Clone(postgresSettings), settings...)...); err != nil {
		return err
	}
	if err := s.database.Start(ctx); err != nil {
		return err
	}
	s.dsn = s.database.DSN("events")
	there, err := s.database.SQL(ctx, "postgres", "SELECT count(*) FROM pg_database WHERE datname = 'events'")
	if err != nil || there == "1" {
		return err
	}
	_, err = s.database.SQL(ctx, "postgres", "CREATE DATABASE events")
	return err
}

// serve runs dormerd on the events database.
func (s *site) serve(ctx context.Context) error {
	program := load.Program{Path: s.bench.dormerd}
	if s.bench.profile != "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		name := fmt.Sprintf("%s-%s.pprof", s.engine, s.part)
		program = load.Program{Path: self, Env: []string{profileOf + "=" + filepath.Join(s.bench.profile, name)}}
	}
	var err error
	if s.server == nil {
		settings := fmt.Sprintf("[events]\ndsn = %q\nretention_days = 0\n[log]\nlevel = \"warn\"\n", s.dsn) + s.settings
		if s.server, err = load.NewServer(ctx, s.dir, program, settings); err != nil {
			return err
		}
	}
	return s.server.StartReady(ctx)
}

// stop ends what runs.
func (s *site) stop() error {
	var err error
	if s.server != nil {
		err = s.server.Stop()
	}
	if s.database != nil {
		err = errors.Join(err, s.database.Stop())
	}
	return err
}
