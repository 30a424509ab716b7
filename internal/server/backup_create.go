package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/backup"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
)

// maxNamedFile is the largest file that the configuration may name and a
// backup takes along, in bytes.
const maxNamedFile = 16 << 20

// backupMaker makes a backup of an instance, whether its server runs or not.
type backupMaker struct {
	cfg        Config
	configFile string // "": there is none
	version    string
	now        func() time.Time
	random     io.Reader
	// repository: with the objects of the repository; withoutEvents: without
	// the events database.
	repository, withoutEvents bool
	recipients                []age.Recipient
	// progress is told how many bytes of which member are written; nil: nobody.
	progress func(member string, written int64)

	data   *dataDir // not locked
	state  *store.State
	events *store.Events
}

// backupMade is what was made.
type backupMade struct {
	File       string            `json:"file"`
	Size       int64             `json:"size"`
	Instance   dormer.InstanceID `json:"instance"`
	Epoch      dormer.Epoch      `json:"epoch"`
	Made       time.Time         `json:"made"`
	Members    int               `json:"members"`
	Events     bool              `json:"events"`
	Repository bool              `json:"repository"`
	Encrypted  bool              `json:"encrypted"`
	// Missing are files that the configuration names and that could not be read.
	Missing []string `json:"missing,omitempty"`
	// Removed are older backups that were deleted.
	Removed []string `json:"removed,omitempty"`
}

// create makes the backup at path; if that is a folder, under a name of its
// own in it. It is recorded in the audit log and as an event, and so is that it
// failed, where that can be.
func (m *backupMaker) create(ctx context.Context, path string) (made backupMade, err error) {
	if err := m.open(ctx); err != nil {
		return backupMade{}, err
	}
	defer func() { err = joined(err, m.close()) }()
	h, err := m.header(ctx)
	if err != nil {
		return backupMade{}, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, backup.FileName(h.Instance, h.Made))
	}
	made = backupMade{
		File: path, Instance: h.Instance, Epoch: h.Epoch, Made: h.Made,
		Events: !m.withoutEvents, Repository: m.repository, Encrypted: len(m.recipients) > 0,
	}
	for _, f := range h.Files {
		if f.Missing != "" {
			made.Missing = append(made.Missing, f.Path)
		}
	}
	err = backup.WriteFile(path, func(w io.Writer) error {
		made.Members, err = m.write(ctx, w, h)
		return err
	})
	if err != nil {
		err = fmt.Errorf("make the backup %s: %w", path, err)
		if ctx.Err() == nil {
			err = errors.Join(err, m.tell(ctx, h.Instance, event.BackupFailed, err.Error()))
		}
		return backupMade{}, err
	}
	if info, err := os.Stat(path); err == nil {
		made.Size = info.Size()
	}
	what := []string{"epoch " + strconv.FormatUint(uint64(h.Epoch), 10), strconv.FormatInt(made.Size, 10) + " bytes"}
	for _, s := range []struct {
		is   bool
		text string
	}{{m.withoutEvents, "without events"}, {made.Repository, "with the repository"}, {made.Encrypted, "encrypted"}} {
		if s.is {
			what = append(what, s.text)
		}
	}
	detail := strings.Join(what, ", ")
	return made, errors.Join(
		m.state.Append(ctx, audit.Record{
			Time: m.now().UTC().Truncate(time.Microsecond), Who: systemUser, Action: "instance.backup", Object: path, Detail: detail,
		}),
		m.tell(ctx, h.Instance, event.BackupMade, path+", "+detail),
	)
}

// open opens what the backup is made of. Nothing is made that is not there.
func (m *backupMaker) open(ctx context.Context) error {
	m.data = &dataDir{path: m.cfg.Data}
	if err := m.data.checkFormat(); err != nil {
		return err
	}
	if m.data.fresh {
		return fmt.Errorf("setting data: %s holds no instance; is this the server's configuration (--config)? %w", m.cfg.Data, dormer.ErrNotFound)
	}
	for _, dsn := range []string{m.cfg.stateDSN(), m.cfg.eventsDSN()} {
		if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("open the database: %w", err)
			}
		}
	}
	o := store.Options{Readers: 2, KeepWAL: m.cfg.Standby.Target != "", AsIs: true}
	var err error
	if m.state, err = store.OpenState(ctx, m.cfg.stateDSN(), o); err != nil {
		return fmt.Errorf("setting state.dsn: open the database: %w", err)
	}
	if m.events, err = store.OpenEvents(ctx, m.cfg.eventsDSN(), o); err != nil {
		return errors.Join(fmt.Errorf("setting events.dsn: open the database: %w", err), m.close())
	}
	return nil
}

func (m *backupMaker) close() error {
	var all []error
	if m.events != nil {
		all = append(all, m.events.Close())
	}
	if m.state != nil {
		all = append(all, m.state.Close())
	}
	m.events, m.state = nil, nil
	return errors.Join(all...)
}

func (m *backupMaker) header(ctx context.Context) (backup.Header, error) {
	id, err := dormer.NewID(m.random)
	if err != nil {
		return backup.Header{}, err
	}
	h := backup.Header{Made: m.now().UTC().Truncate(time.Second), Version: m.version, Repository: m.repository}
	if h.Instance, h.Epoch, err = m.state.Instance(ctx, dormer.InstanceID(id)); err != nil {
		return backup.Header{}, fmt.Errorf("read the identity of the instance: %w", err)
	}
	heard, err := m.data.fence()
	if err != nil {
		return backup.Header{}, err
	}
	h.Epoch = max(h.Epoch, heard)
	h.Databases = []backup.Database{{Member: backup.StateName, Engine: engineOf(m.cfg.stateDSN())}}
	if !m.withoutEvents {
		h.Databases = append(h.Databases, backup.Database{Member: backup.EventsName, Engine: engineOf(m.cfg.eventsDSN())})
	}
	members := map[string]string{} // by path: two settings may name one file
	for _, f := range m.cfg.namedFiles() {
		file := backup.File{Setting: f.setting, Path: f.path, Member: members[f.path]}
		if file.Member == "" {
			if err := readable(f.path); err != nil {
				file.Missing = err.Error()
			} else {
				file.Member = fmt.Sprintf("%s%03d-%s", backup.FilesPrefix, len(members), plainName(filepath.Base(f.path)))
				members[f.path] = file.Member
			}
		}
		h.Files = append(h.Files, file)
	}
	return h, nil
}

func engineOf(dsn string) string {
	if strings.HasPrefix(dsn, "sqlite:") {
		return "sqlite"
	}
	return "postgres"
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is no file")
	case info.Size() > maxNamedFile:
		return fmt.Errorf("it has more than %d bytes", maxNamedFile)
	}
	return nil
}

// plainName is a file name with nothing odd in it.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, s[:min(len(s), 200)])
}

// write writes the whole backup to w and returns how many members it has.
//
// The order matters: keys do not change; each database is one snapshot, the
// state first; names of images come before the objects they need, which are
// never changed and stay for days after the last name is gone.
func (m *backupMaker) write(ctx context.Context, w io.Writer, h backup.Header) (members int, err error) {
	if len(m.recipients) > 0 {
		sealed, err := backup.Encrypt(w, m.recipients)
		if err != nil {
			return 0, err
		}
		if members, err = m.writeMembers(ctx, sealed, h); err != nil {
			return 0, err
		}
		return members, sealed.Close()
	}
	return m.writeMembers(ctx, w, h)
}

func (m *backupMaker) writeMembers(ctx context.Context, w io.Writer, h backup.Header) (int, error) {
	b, err := backup.NewWriter(w, h)
	if err != nil {
		return 0, err
	}
	if err := m.fill(ctx, b, h); err != nil {
		b.Abort()
		return 0, err
	}
	return len(b.Members()), b.Close()
}

func (m *backupMaker) fill(ctx context.Context, b *backup.Writer, h backup.Header) error {
	if m.configFile != "" {
		if err := m.file(b, backup.ConfigName, m.configFile); err != nil {
			return err
		}
	}
	done := map[string]bool{}
	for _, f := range h.Files {
		if f.Member == "" || done[f.Member] {
			continue
		}
		done[f.Member] = true
		if err := m.file(b, f.Member, f.Path); err != nil {
			return err
		}
	}
	if err := m.tree(ctx, b, backup.KeysPrefix, m.data.file(dirKeys), nil); err != nil {
		return err
	}
	if err := m.file(b, backup.FirstPasswordName, m.data.file(fileFirstPassword)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := b.Stream(backup.StateName, func(w io.Writer) error {
		return m.state.Dump(ctx, m.counted(w, backup.StateName), nil)
	}); err != nil {
		return fmt.Errorf("dump the state database: %w", err)
	}
	if !m.withoutEvents {
		if err := b.Stream(backup.EventsName, func(w io.Writer) error {
			return m.events.Dump(ctx, h.Instance, m.counted(w, backup.EventsName), nil)
		}); err != nil {
			return fmt.Errorf("dump the events database: %w", err)
		}
	}
	if !m.repository {
		return nil
	}
	// What is pending or waits for collection is not taken along.
	return m.tree(ctx, b, backup.RepositoryPrefix, m.cfg.repositoryFolder(), func(name string) int {
		switch top, _, _ := strings.Cut(name, "/"); top {
		case "names":
			return 0
		case "pending", "garbage":
			return -1
		}
		return 1
	})
}

// file adds one file; the error keeps that it is not there.
func (m *backupMaker) file(b *backup.Writer, member, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if info.Size() <= maxNamedFile && !strings.HasPrefix(member, backup.RepositoryPrefix) {
		// Small files may be replaced at any time: read whole.
		content, err := io.ReadAll(io.LimitReader(f, maxNamedFile+1))
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		return b.Add(member, int64(len(content)), bytes.NewReader(content))
	}
	return b.Add(member, info.Size(), m.countedReader(f, member))
}

// tree adds the files below a folder in the order of their names, in passes:
// pass says in which one (0 or 1) the files of a folder at the top are, -1 in
// none; nil: all in the first. Files that are gone meanwhile and those whose names begin
// with a dot (they are being written) are passed over.
func (m *backupMaker) tree(ctx context.Context, b *backup.Writer, prefix, folder string, pass func(top string) int) error {
	passes := 2
	if pass == nil {
		pass, passes = func(string) int { return 0 }, 1
	}
	for n := range passes {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			name, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			switch {
			case name == ".":
				return nil
			case strings.HasPrefix(d.Name(), "."), pass(filepath.ToSlash(name)) != n:
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case !d.Type().IsRegular():
				return nil
			}
			if err = m.file(b, prefix+filepath.ToSlash(name), path); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the folder %s: %w", folder, err)
		}
	}
	return nil
}

// counter tells how much has passed.
type counter struct {
	m      *backupMaker
	member string
	n      int64
	w      io.Writer
	r      io.Reader
}

func (m *backupMaker) counted(w io.Writer, member string) io.Writer {
	return &counter{m: m, member: member, w: w}
}

func (m *backupMaker) countedReader(r io.Reader, member string) io.Reader {
	return &counter{m: m, member: member, r: r}
}

func (c *counter) add(n int) {
	if c.n += int64(n); c.m.progress != nil {
		c.m.progress(c.member, c.n)
	}
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.add(n)
	return n, err
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.add(n)
	return n, err
}

// tell stores an event at once.
func (m *backupMaker) tell(ctx context.Context, i dormer.InstanceID, code event.Code, detail string) error {
	return commandEvents{events: m.events, instance: i, version: m.version, now: m.now}.tell(ctx, code, detail)
}
