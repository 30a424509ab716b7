package server

import (
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

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/backup"
	"github.com/dormer-project/dormer/internal/blobstore"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
)

// Names in a restored data folder.
const (
	dirFiles   = "files" // those that the configuration names
	fileConfig = "dormerd.toml"
)

// restorer restores a backup into an empty folder and empty databases.
type restorer struct {
	file backupFile
	// config is what says where to, if it was given; nil: the one in the backup
	// does, with the changes below, and is written with them.
	config *Config
	// Empty fields change nothing.
	data, repository    string
	stateDSN, eventsDSN string
	writeConfig         string // where to; empty: in the data folder
	// What of the backup is left out.
	withoutEvents, withoutRepository bool
	version                          string
	now                              func() time.Time
	random                           io.Reader
}

// restorePlan is what a restore does.
type restorePlan struct {
	Backup *backupContents `json:"backup"`
	// Epoch is the one that the restored instance begins with.
	Epoch dormer.Epoch `json:"epoch"`
	Data  string       `json:"data"`
	// State, Events and Repository say where to, "" for nowhere. A database's
	// address is not repeated: it may hold a password.
	State      string `json:"state"`
	Events     string `json:"events,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Config is the configuration file that is written, "" for none.
	Config string         `json:"config,omitempty"`
	Files  []restoredFile `json:"files,omitempty"`

	cfg  Config
	text []byte // of the configuration
}

// restoredFile is a file that a setting names.
type restoredFile struct {
	Setting string `json:"setting"`
	Was     string `json:"was"`
	// Path is where it is after the restore; empty: it is not in the backup.
	Path string `json:"path,omitempty"`

	member string
}

// plan reads the whole backup, and looks whether it can be restored where it is
// to go. It writes nothing.
func (r *restorer) plan(ctx context.Context) (*restorePlan, error) {
	c, err := r.file.verify(ctx)
	if err != nil {
		return nil, err
	}
	if err := store.CheckDump(c.State.Header); err != nil {
		return nil, err
	}
	if c.Events != nil {
		if err := store.CheckDump(c.Events.Header); err != nil {
			return nil, err
		}
	}
	p := &restorePlan{Backup: c}
	// Since the backup a standby may have been promoted, more than once. The
	// minutes since then are more than any number of promotions.
	p.Epoch = c.Header.Epoch + 1 + dormer.Epoch(max(0, r.now().Sub(c.Header.Made)/time.Minute))
	if err := r.place(p); err != nil {
		return nil, err
	}
	return p, r.checkTarget(ctx, p)
}

// place decides where everything goes.
func (r *restorer) place(p *restorePlan) (err error) {
	c := p.Backup
	if r.config != nil {
		p.cfg = *r.config
	} else {
		if p.cfg, err = ParseConfig(c.config); err != nil {
			return fmt.Errorf("the configuration in the backup:\n%w", err)
		}
		if r.data != "" {
			p.cfg.Data = r.data
			// Files of databases move along.
			for dsn, file := range map[*string]string{&p.cfg.State.DSN: fileState, &p.cfg.Events.DSN: fileEvents} {
				if strings.HasPrefix(*dsn, "sqlite:") {
					*dsn = "sqlite:" + filepath.Join(r.data, file)
				}
			}
			if c.Header.Repository && !r.withoutRepository && p.cfg.Repository.Folder != "" {
				p.cfg.Repository.Folder = filepath.Join(r.data, dirRepository)
			}
		}
		for to, value := range map[*string]string{&p.cfg.State.DSN: r.stateDSN, &p.cfg.Events.DSN: r.eventsDSN, &p.cfg.Repository.Folder: r.repository} {
			if value != "" {
				*to = value
			}
		}
		p.Config = r.writeConfig
		if p.Config == "" {
			p.Config = filepath.Join(p.cfg.Data, fileConfig)
		}
	}
	if !filepath.IsAbs(p.cfg.Data) {
		return dormer.Invalidf("data", "must be the absolute path of a folder")
	}
	p.Data = p.cfg.Data
	p.State = placeOf(p.cfg.stateDSN())
	if c.Events != nil && !r.withoutEvents {
		p.Events = placeOf(p.cfg.eventsDSN())
	}
	if c.Header.Repository && !r.withoutRepository {
		p.Repository = p.cfg.repositoryFolder()
	}
	values := map[string]string{
		"data": p.cfg.Data, "state.dsn": p.cfg.State.DSN, "events.dsn": p.cfg.Events.DSN, "repository.folder": p.cfg.Repository.Folder,
	}
	for name, value := range values {
		if value == "" {
			delete(values, name)
		}
	}
	for _, f := range c.Header.Files {
		file := restoredFile{Setting: f.Setting, Was: f.Path, member: f.Member}
		if f.Member != "" {
			file.Path = filepath.Join(p.Data, dirFiles, filepath.Base(f.Member))
			values[f.Setting] = file.Path
		}
		p.Files = append(p.Files, file)
	}
	if r.config == nil {
		p.text, p.cfg, err = withSettings(c.config, values)
	}
	return err
}

// placeOf describes where a database is.
func placeOf(dsn string) string {
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return file
	}
	return "PostgreSQL"
}

// checkTarget looks whether what is written to is empty.
func (r *restorer) checkTarget(ctx context.Context, p *restorePlan) error {
	if err := (&dataDir{path: p.Data}).checkFormat(); errors.Is(err, dormer.ErrConflict) {
		return err // a restore was not finished
	}
	if err := r.checkDatabase(ctx, p); err != nil {
		return err
	}
	for _, folder := range []string{p.Data, p.Repository} {
		if folder == "" {
			continue
		}
		what, err := inFolder(folder)
		if err != nil {
			return err
		}
		if what != "" {
			return fmt.Errorf("the folder %s is not empty (%s): a backup is restored into an empty one: %w", folder, what, dormer.ErrExists)
		}
	}
	for _, dsn := range []string{p.cfg.stateDSN(), p.cfg.eventsDSN()} {
		file, ok := strings.CutPrefix(dsn, "sqlite:")
		if _, err := os.Lstat(file); ok && err == nil && !(r.withoutEvents && dsn == p.cfg.eventsDSN()) {
			return fmt.Errorf("the database %s is there: a backup is restored into an empty one: %w", file, dormer.ErrExists)
		}
	}
	if p.Config != "" {
		if _, err := os.Lstat(p.Config); err == nil {
			return fmt.Errorf("the configuration %s is there already; name another with --write-config: %w", p.Config, dormer.ErrExists)
		}
	}
	return nil
}

// checkDatabase says in plain words whose state is where this one should go.
func (r *restorer) checkDatabase(ctx context.Context, p *restorePlan) error {
	id, epoch, err := store.Identity(ctx, p.cfg.stateDSN())
	switch h := p.Backup.Header; {
	case errors.Is(err, dormer.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look into the state database: %w", err)
	case id != h.Instance:
		return fmt.Errorf("the state database holds another instance (%s; the backup is of %s): give an empty one: %w", id, h.Instance, dormer.ErrConflict)
	case epoch > h.Epoch:
		return fmt.Errorf("the state database holds this instance, newer than the backup (epoch %d, the backup has %d): give an empty one: %w",
			epoch, h.Epoch, dormer.ErrConflict)
	}
	return fmt.Errorf("the state database holds this instance already (epoch %d): move it away or give an empty one: %w", epoch, dormer.ErrExists)
}

// inFolder returns the name of something in a folder that is not empty.
func inFolder(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look into %s: %w", folder, err)
	}
	for _, e := range entries {
		if e.Name() != fileLock && e.Name() != "lost+found" {
			return e.Name(), nil
		}
	}
	return "", nil
}

// restore does what was planned. Until it has returned without error the folder
// is marked, and no server starts on it.
func (r *restorer) restore(ctx context.Context, p *restorePlan) (err error) {
	d, err := openDataDir(p.Data)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, d.Close()) }()
	if err := mark(d); err != nil {
		return err
	}
	if err := r.unpack(ctx, d, p); err != nil {
		return errors.Join(err, fmt.Errorf("the restore into %s is not finished; empty it and the databases before the next: %w", p.Data, dormer.ErrConflict))
	}
	if err := r.raise(ctx, p); err != nil {
		return err
	}
	if err := r.tell(d, p); err != nil {
		return err
	}
	if p.Config != "" {
		if err := durable.WriteFile(p.Config, p.text); err != nil {
			return err
		}
	}
	if err := d.finish(); err != nil {
		return err
	}
	if err := os.Remove(d.file(fileRestoring)); err != nil {
		return fmt.Errorf("end the restore: %w", err)
	}
	return durable.SyncFolder(p.Data)
}

// mark keeps servers from the folder until the restore is finished.
func mark(d *dataDir) error {
	f, err := os.OpenFile(d.file(fileRestoring), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("begin the restore: %w", durable.Kind(err))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("begin the restore: %w", durable.Kind(err))
	}
	return durable.SyncFolder(d.path)
}

func (r *restorer) unpack(ctx context.Context, d *dataDir, p *restorePlan) error {
	var objects *blobstore.Folder
	if p.Repository != "" {
		var err error
		if objects, err = blobstore.OpenFolder(p.Repository); err != nil {
			return err
		}
	}
	files := map[string]string{}
	for _, f := range p.Files {
		files[f.member] = f.Path
	}
	read, err := r.file.each(ctx, func(name string, size int64, content io.Reader) error {
		switch {
		case name == backup.StateName:
			return store.LoadState(ctx, p.cfg.stateDSN(), content, nil)
		case name == backup.EventsName && p.Events != "":
			return store.LoadEvents(ctx, p.cfg.eventsDSN(), content, nil)
		case name == backup.FirstPasswordName:
			return writeMember(d.file(fileFirstPassword), content, maxKeyFile)
		case strings.HasPrefix(name, backup.KeysPrefix):
			return writeMember(keyPath(d, strings.TrimPrefix(name, backup.KeysPrefix)), content, maxKeyFile)
		case files[name] != "":
			return writeMember(files[name], content, maxNamedFile)
		case strings.HasPrefix(name, backup.RepositoryPrefix) && objects != nil:
			return objects.Put(ctx, strings.TrimPrefix(name, backup.RepositoryPrefix), content, size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if h := read.Header(); h.Instance != p.Backup.Header.Instance || !h.Made.Equal(p.Backup.Header.Made) || len(read.Members()) != p.Backup.Members {
		return fmt.Errorf("%s was replaced while it was restored: %w", r.file.path, dormer.ErrConflict)
	}
	return nil
}

func writeMember(path string, content io.Reader, most int64) error {
	b, err := readMember(path, content, most)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", durable.Kind(err))
	}
	return durable.WriteFile(path, b)
}

// raise gives the instance its new epoch: servers of before end their service
// when they hear of it, and clients send again what this one does not have.
func (r *restorer) raise(ctx context.Context, p *restorePlan) (err error) {
	s, err := store.OpenState(ctx, p.cfg.stateDSN(), store.Options{Readers: 1})
	if err != nil {
		return fmt.Errorf("open the restored database: %w", err)
	}
	defer func() { err = joined(err, s.Close()) }()
	if err := s.RaiseEpoch(ctx, p.Epoch); err != nil {
		return err
	}
	return s.Append(ctx, audit.Record{
		Time: r.now().UTC().Truncate(time.Microsecond), Who: systemUser, Action: "instance.restore",
		Object: string(p.Backup.Header.Instance), Detail: r.detail(p),
	})
}

func (r *restorer) detail(p *restorePlan) string {
	return "backup of " + p.Backup.Header.Made.UTC().Format(time.RFC3339) + ", epoch " + strconv.FormatUint(uint64(p.Epoch), 10)
}

// tell leaves the event for the server to store when it starts.
func (r *restorer) tell(d *dataDir, p *restorePlan) (err error) {
	j, err := event.OpenJournal(d.file(dirJournal), event.JournalOptions{Random: r.random, Now: r.now})
	if err != nil {
		return err
	}
	defer func() { err = joined(err, j.Close()) }()
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this computer's name: %w", err)
	}
	e := event.New(event.ServerRestored, r.now(), r.detail(p))
	e.Host, e.User, e.ClientVersion = host, systemUser, r.version
	_, err = j.Append(e)
	return err
}
