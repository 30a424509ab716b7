package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
	"github.com/dormer-project/dormer/internal/workspace"
)

// What there is beside clients and events.
const (
	imageNames       = 50
	versionsOfLarge  = 500 // of the first of them
	workspacesInUse  = 20
	agentVersions    = 5
	atOnce           = 16
	diskBytes        = 64 << 10
	machinesOfSecond = 10 // one client in so many has two machines

	stateFile = "state.db"
	// inMemory is a folder whose files are in memory.
	inMemory = "/dev/shm"
)

// populace is what clients are given.
type populace struct {
	workspaces []dormer.WorkspaceID
	// image is the name of the image with the most versions, versions are those of
	// all images, most is the one that half of the machines run.
	image    string
	versions []dormer.ImageID
	most     dormer.ImageID
}

func imageName(n int) string { return fmt.Sprintf("office-%02d", n) }

// versionOf is the version of the agent of client number n.
func versionOf(n int) string { return fmt.Sprintf("1.%d.0", n%agentVersions) }

// images pushes small images as operators do, and makes workspaces that use them.
func (s *site) images(ctx context.Context, c *apiclient.Client) (populace, error) {
	b := s.bench
	b.say("pushing %d versions of %d images", b.versions, imageNames)
	p := populace{image: imageName(0), versions: make([]dormer.ImageID, b.versions)}
	seed := identityOf("publisher", 0)
	publisher, err := seal.SigningKeyFromSeed([]byte(seed + seed)[:32])
	if err != nil {
		return p, err
	}
	if _, err := c.AddPublisher(ctx, rest.NewPublisher{Name: "filled", Key: publisher.Public()}); err != nil {
		return p, err
	}
	k, err := c.ImageKey(ctx)
	if err != nil {
		return p, err
	}
	key, err := imageformat.ParseRepositoryKey(k.Key)
	if err != nil {
		return p, err
	}
	large := min(versionsOfLarge, b.versions/2)
	err = load.Each(b.versions, atOnce/2, func(i int) error {
		name := imageName(0)
		if i >= large {
			name = imageName(1 + i%(imageNames-1))
		}
		v, err := s.push(ctx, c, name, i, imagepack.Options{Signer: publisher, Key: key, Parallel: 1})
		p.versions[i] = v.Image
		return err
	})
	if err != nil {
		return p, err
	}
	p.most = p.versions[0]
	for i := range workspacesInUse {
		text := fmt.Sprintf("apiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: Workspace %02d\nspec:\n  machine:\n    image:\n      name: %s\n", i, imageName(i))
		w, err := c.CreateWorkspace(ctx, []byte(text), "filled")
		if err != nil {
			return p, err
		}
		p.workspaces = append(p.workspaces, w.ID)
	}
	return p, nil
}

// push packs a disk whose first half is the same each time, and pushes it.
func (s *site) push(ctx context.Context, c *apiclient.Client, name string, n int, o imagepack.Options) (v rest.ImageVersion, err error) {
	dir, err := os.MkdirTemp(s.dir, "image")
	if err != nil {
		return v, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	disk := make([]byte, diskBytes)
	for i := 0; i+8 <= len(disk); i += 8 {
		own := uint64(0)
		if i >= len(disk)/2 {
			own = uint64(n+1) << 32
		}
		binary.LittleEndian.PutUint64(disk[i:], uint64(i)+own)
	}
	path := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		return v, fmt.Errorf("write a disk: %w", err)
	}
	o.Disks, o.Dir = []imagepack.DiskInput{{Name: "system", Path: path, Format: "raw"}}, filepath.Join(dir, "packed")
	packed, err := imagepack.Pack(ctx, o)
	if err != nil {
		return v, err
	}
	v, _, err = workbench.Push(ctx, c, name, packed, 0, func(int64, int64) {})
	return v, err
}

// clientOf is client number n: most are on-line, and of each state there are some.
func clientOf(n int, token string, now time.Time) enroll.Client {
	ago := func(d time.Duration) *time.Time { return new(now.Add(-d)) }
	h := load.HostOf(n)
	h.DiskTotal = 512 << 30
	h.DiskFree = int64(n%500+1) << 30
	c := enroll.Client{
		ID: dormer.ClientID(identityOf("client", n)), PublicKey: fmt.Appendf(nil, "key %d", n), Managed: n%50 != 0,
		Host: h, AgentVersion: versionOf(n), JoinToken: token, Enrolled: now.Add(-time.Duration(n) * time.Minute), LastSeen: ago(time.Duration(n%60) * time.Second),
		ClockAhead: new(time.Duration(n%1000) * time.Millisecond),
	}
	switch n % 100 {
	case 90, 91, 92, 93, 94:
		c.LastSeen = ago(time.Duration(n%20+4) * time.Hour) // off-line, some beyond their limit
	case 95:
		c.LastSeen = nil
	case 96:
		c.Copied, c.CopiedDetail = ago(time.Hour), "two agents"
	case 97:
		c.ClockAhead = new(10 * time.Minute)
	case 98:
		c.Revoked = ago(time.Hour)
	}
	return c
}

// populate puts clients and machines into the state of a server that does not run.
func (s *site) populate(ctx context.Context, p populace) (err error) {
	b := s.bench
	b.say("adding %d clients with their machines", b.clients)
	// Each client is a commit: nothing is to wait for the disk.
	if s.database != nil {
		if _, err := s.database.SQL(ctx, "postgres", "ALTER SYSTEM SET fsync = off"); err != nil {
			return err
		}
		if _, err := s.database.SQL(ctx, "postgres", "SELECT pg_reload_conf()"); err != nil {
			return err
		}
		if err := settle(ctx, b, s.state, p); err != nil {
			return err
		}
		for _, text := range []string{"ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()", "VACUUM ANALYZE", "CHECKPOINT"} {
			if _, err := s.database.SQL(ctx, "state", text); err != nil {
				return err
			}
		}
		return nil
	}
	memory, err := os.MkdirTemp(inMemory, "dormer-bench")
	if err != nil {
		return fmt.Errorf("make a folder in memory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(memory)) }()
	there, here := filepath.Join(memory, stateFile), filepath.Join(s.server.Data(), stateFile)
	return errors.Join(copyFile(ctx, here, there), settle(ctx, b, "sqlite:"+there, p), copyFile(ctx, there, here))
}

func copyFile(ctx context.Context, from, to string) error {
	if out, err := exec.CommandContext(ctx, "cp", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}

// settle puts clients and machines into a state database.
func settle(ctx context.Context, b *bench, dsn string, p populace) (err error) {
	state, err := store.OpenState(ctx, dsn, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	now := time.Now().UTC().Truncate(time.Microsecond)
	token := enroll.JoinToken{ID: identityOf("token", 0), MaxUses: b.clients, Name: "filled", Created: now, Expires: now.Add(day)}
	if err := state.CreateJoinToken(ctx, token); err != nil {
		return err
	}
	reports := make([][]lease.Report, b.clients)
	err = load.Each(b.clients, atOnce, func(n int) error {
		c := clientOf(n, token.ID, now)
		if err := state.Enrol(ctx, token.Hash, c, func(enroll.JoinToken) error { return nil }); err != nil {
			return err
		}
		machines := 1
		if n%machinesOfSecond == 0 {
			machines = 2
		}
		for i := range machines {
			m := machineOf(n, i, p, now)
			if _, err := state.EnsureMachine(ctx, m); err != nil {
				return err
			}
			reports[n] = append(reports[n], lease.Report{
				Machine: m.ID, State: m.State, Image: m.Image, Guest: m.ComputerName, OfflineBudget: new(int64(n%48+1) * 3600), Time: now,
				Follows: lease.Follows{Revision: 1},
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	var all []lease.Report
	for _, of := range reports {
		all = append(all, of...)
	}
	return state.FlushReports(ctx, all)
}

// machineOf is machine number i of client number n.
func machineOf(n, i int, p populace, now time.Time) lease.Machine {
	number := fmt.Sprintf("%d %d", n, i)
	m := lease.Machine{
		ID: dormer.MachineID(identityOf("machine "+number, 0)), Client: dormer.ClientID(identityOf("client", n)), Workspace: p.workspaces[(n+i)%len(p.workspaces)],
		User:    dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: fmt.Sprint("user-", n), Name: load.UserOf(n)},
		DiskKey: []byte("key"), ComputerName: fmt.Sprintf("OFFICE-%05d-%d", n, i), Created: now,
		State: string(workspace.Running), Image: p.most, Reported: &now,
	}
	if n%2 == 1 {
		m.Image = p.versions[n%len(p.versions)]
	}
	if n%3 == 0 {
		m.State = string(workspace.Ready)
	}
	return m
}
