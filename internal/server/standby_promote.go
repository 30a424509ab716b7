package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/standby"
	"github.com/dormer-project/dormer/internal/store"
)

// Names in the folder of a follower, beside what the follower itself keeps.
const (
	fileOwnOwner  = "owner"
	filePromote   = "promote"   // asks the follower to stop: it is to be promoted
	fileFinishing = "finishing" // the epoch that the folder is being made a server of
)

// filePrimaryConfig is the configuration of the primary in the data folder of
// the server that took its place.
const filePrimaryConfig = "primary-dormerd.toml"

// releaseTime is how long a promotion waits for the follower to stop.
const releaseTime = 30 * time.Second

// following is a data folder that follows a target, or is about to.
type following struct {
	cfg    Config
	deps   Deps
	data   *dataDir
	target *standby.Target
	lock   *standby.Lock
	owner  standbyOwner
	*standby.Follower
}

// openFollowing locks the data folder as one that follows. ErrConflict when it
// is a server's.
func openFollowing(cfg Config, deps Deps) (*following, error) {
	if cfg.Standby.Target == "" {
		return nil, dormer.Invalidf("standby.target", "is needed: where the primary ships to")
	}
	data, err := lockDataDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	f := &following{cfg: cfg, deps: deps, data: data}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *following) open() (err error) {
	if _, err := os.Lstat(f.data.file(dirFollowing)); errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{fileFormat, dirKeys, fileRestoring} {
			if _, err := os.Lstat(f.data.file(name)); err == nil {
				return fmt.Errorf("setting data: the folder %s is a server's and follows none: %w", f.data.path, dormer.ErrConflict)
			}
		}
	}
	if f.target, f.lock, err = f.cfg.openTarget(f.deps); err != nil {
		return err
	}
	dir := f.data.file(dirFollowing)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("setting data: %w", durable.Kind(err))
	}
	path := filepath.Join(dir, fileOwnOwner)
	if f.owner, err = readOwner(path); err != nil {
		return err
	}
	if err := f.owner.write(path); err != nil {
		return err
	}
	f.Follower, err = newFollower(f.cfg, f.deps, f.target, f.lock, f.owner.Owner, dir, f.cfg.shippedRepository(), "")
	return err
}

func newFollower(cfg Config, deps Deps, target *standby.Target, lock *standby.Lock, owner, dir, repository, near string) (*standby.Follower, error) {
	var names []string
	for name := range cfg.shippedDatabases() {
		names = append(names, name)
	}
	return standby.NewFollower(standby.FollowConfig{
		Target: target, Lock: lock, Owner: owner, Host: deps.Hostname, Dir: dir, Databases: names, Repository: repository, Near: near,
		Interval: time.Duration(cfg.Standby.Interval), Now: deps.Now, Logger: deps.Logger,
	})
}

func (f *following) file(name string) string { return f.data.file(dirFollowing, name) }

// Close unlocks the folder.
func (f *following) Close() error {
	var err error
	if f.target != nil {
		err = f.target.Close()
	}
	return errors.Join(err, f.data.Close())
}

// asked reports whether somebody wants to promote this folder.
func (f *following) asked() bool {
	_, err := os.Lstat(f.file(filePromote))
	return err == nil
}

// release makes a follower that runs stop, and returns its folder.
func release(ctx context.Context, cfg Config, deps Deps) (*following, error) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := openFollowing(cfg, deps)
		dir := filepath.Join(cfg.Data, dirFollowing)
		if _, there := os.Lstat(dir); !errors.Is(err, dormer.ErrConflict) || there != nil {
			return f, err
		}
		if err := durable.WriteFile(filepath.Join(dir, filePromote), nil); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// promotion is what a promotion did.
type promotion struct {
	Epoch dormer.Epoch `json:"epoch"`
	// From is the epoch whose data it took over.
	From   dormer.Epoch `json:"from"`
	Server string       `json:"from_host,omitempty"`
	Config string       `json:"primary_config,omitempty"`
}

// promoteOptions are what is asked of a promotion.
type promoteOptions struct {
	instead, acceptSplitBrain bool
	say                       func(format string, args ...any)
}

// promote makes the folder a server's. It may be killed at any moment and
// repeated.
func (f *following) promote(ctx context.Context, o promoteOptions) (promotion, error) {
	p, begun, err := f.finishing()
	if err != nil {
		return p, err
	}
	if !begun {
		if p, err = f.takeOver(ctx, o); err != nil {
			return p, err
		}
		b, err := json.Marshal(p)
		if err != nil {
			return p, fmt.Errorf("encode what is promoted: %w", err)
		}
		if err := durable.WriteFile(f.file(fileFinishing), b); err != nil {
			return p, err
		}
	}
	o.say("making %s a server's folder", f.data.path)
	if err := f.finish(ctx, &p); err != nil {
		return p, err
	}
	if !o.acceptSplitBrain {
		// It follows no more. What is left of it there does no harm.
		_ = f.target.Forget(ctx, f.owner.Owner)
	}
	return p, nil
}

func (f *following) finishing() (p promotion, begun bool, err error) {
	b, err := os.ReadFile(f.file(fileFinishing))
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("setting data: %w", err)
	}
	if json.Unmarshal(b, &p) != nil {
		return p, false, fmt.Errorf("setting data: %s is damaged: %w", f.file(fileFinishing), dormer.ErrCorrupt)
	}
	return p, true, nil
}

// takeOver fetches what is there, claims the target, and fetches what came
// meanwhile: nothing that is called safe comes after the claim.
func (f *following) takeOver(ctx context.Context, o promoteOptions) (promotion, error) {
	if o.acceptSplitBrain {
		for name := range f.cfg.shippedDatabases() {
			if _, err := os.Stat(f.Database(name)); err != nil {
				return promotion{}, fmt.Errorf("the database %s is not here: %w", name, durable.Kind(err))
			}
		}
		return promotion{}, nil
	}
	r, err := f.target.ReadRecord(ctx)
	if err != nil {
		return promotion{}, withoutTarget(err)
	}
	if r.Source == 0 {
		return promotion{}, fmt.Errorf("the server on %s has not shipped everything to %s yet: %w", r.Host, f.target, dormer.ErrConflict)
	}
	o.say("fetching what %s has shipped to %s", r.Host, f.target)
	if err := f.CatchUp(ctx, r.Source); err != nil {
		return promotion{}, withoutTarget(err)
	}
	claimed, err := f.target.Claim(ctx, f.owner.Owner, f.deps.Hostname, 0, o.instead, f.deps.Now())
	if err != nil {
		return promotion{}, withoutTarget(err)
	}
	o.say("epoch %d is this server's; fetching what came last", claimed.Epoch)
	if err := f.CatchUp(ctx, claimed.Source); err != nil {
		return promotion{}, withoutTarget(err)
	}
	return promotion{Epoch: claimed.Epoch, From: claimed.Source, Server: r.Host}, nil
}

func withoutTarget(err error) error {
	if !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrNotFound) {
		return err
	}
	return fmt.Errorf("what is needed is not at the target. If it is lost with the primary, --accept-split-brain promotes what is here: %w", err)
}

// finish moves everything into place. Each step may have been done before.
func (f *following) finish(ctx context.Context, p *promotion) error {
	databases := f.cfg.shippedDatabases()
	for name, path := range databases {
		if err := moveDatabase(f.Database(name), path); err != nil {
			return err
		}
	}
	if _, err := os.Stat(f.Keys()); err == nil {
		if err := os.RemoveAll(f.data.file(dirKeys)); err != nil {
			return fmt.Errorf("put the keys in place: %w", err)
		}
		if err := os.Rename(f.Keys(), f.data.file(dirKeys)); err != nil {
			return fmt.Errorf("put the keys in place: %w", err)
		}
	}
	p.Config = f.data.file(filePrimaryConfig)
	if err := os.Rename(f.Config(), p.Config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the primary's configuration in place: %w", err)
	}
	if err := f.raiseEpoch(ctx, p); err != nil {
		return err
	}
	if repository := f.cfg.shippedRepository(); repository != "" {
		if err := os.RemoveAll(filepath.Join(repository, ".writing")); err != nil {
			return fmt.Errorf("tidy the repository: %w", err)
		}
	}
	for name, content := range map[string]string{
		fileFormat:   formatVersion,
		filePromoted: fmt.Sprintf("with epoch %d, in place of %s", p.Epoch, p.Server),
	} {
		if err := durable.WriteFile(f.data.file(name), []byte(content)); err != nil {
			return err
		}
	}
	f.owner.Target = f.target.String()
	if err := f.owner.write(f.data.file(fileOwner)); err != nil {
		return err
	}
	if err := durable.SyncFolder(f.data.path); err != nil {
		return err
	}
	// The last step: a folder that follows is no server's. The mark of what is
	// being finished goes with the folder, at once.
	done := f.data.file("." + dirFollowing)
	if err := os.RemoveAll(done); err != nil {
		return fmt.Errorf("remove what followed: %w", err)
	}
	if err := os.Rename(f.data.file(dirFollowing), done); err != nil {
		return fmt.Errorf("remove what followed: %w", err)
	}
	if err := durable.SyncFolder(f.data.path); err != nil {
		return err
	}
	if err := os.RemoveAll(done); err != nil {
		return fmt.Errorf("remove what followed: %w", err)
	}
	return nil
}

// moveDatabase puts a database that followed where the server has it.
func moveDatabase(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(to); err != nil {
			return fmt.Errorf("put the database in place: %w", durable.Kind(err))
		}
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(to + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put the database in place: %w", err)
		}
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("put the database in place: %w", err)
	}
	return durable.SyncFolder(filepath.Dir(to))
}

// raiseEpoch raises the epoch of the database that was taken over.
func (f *following) raiseEpoch(ctx context.Context, p *promotion) (err error) {
	state, err := store.OpenState(ctx, f.cfg.stateDSN(), store.Options{})
	if err != nil {
		return fmt.Errorf("setting state.dsn: open the database: %w", err)
	}
	defer func() { err = joined(err, state.Close()) }()
	_, epoch, err := state.Instance(ctx, "")
	if err != nil {
		return fmt.Errorf("read the identity of the instance: %w", err)
	}
	if p.Epoch == 0 {
		// Without the target. Should this be repeated, the epoch is raised once more.
		p.Epoch = epoch + 1
	}
	if epoch >= p.Epoch {
		return nil
	}
	if err := state.RaiseEpoch(ctx, p.Epoch); err != nil {
		return err
	}
	return state.Append(ctx, audit.Record{
		Time: f.deps.Now().UTC().Truncate(time.Microsecond), Who: "SYSTEM", Action: "standby.promote",
		Object: f.deps.Hostname, Detail: fmt.Sprintf("epoch %d, in place of %s", p.Epoch, p.Server),
	})
}
