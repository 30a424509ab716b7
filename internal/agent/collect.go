package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/workspace"
)

// What goes into an archive of diagnostics is chosen: nothing of the state folder
// is copied as it is, for keys, sessions and saved passwords are there. What
// guests write on their serial consoles is taken as it is.

// collectedClient is the state of a client, in client.json of the archive.
type collectedClient struct {
	Client       dormer.ClientID   `json:"client"`
	Instance     dormer.InstanceID `json:"instance"`
	Epoch        dormer.Epoch      `json:"epoch"`
	AgentVersion string            `json:"agent_version"`
	Managed      bool              `json:"managed"`
	Host         wire.Host         `json:"host"`
	Hypervisor   string            `json:"hypervisor,omitempty"`
	Accelerator  string            `json:"accelerator,omitempty"`
	Notes        []string          `json:"notes,omitempty"`
	Server       string            `json:"server"`
	Clock        lease.Reading     `json:"clock"`
	Wall         time.Time         `json:"wall"`
	NextPoll     time.Time         `json:"next_poll"`
	Problem      string            `json:"problem,omitempty"` // of the last poll
	Refused      []string          `json:"refused,omitempty"`
	Sessions     []string          `json:"sessions"` // who is signed in
	Events       int               `json:"events_waiting"`
	Orders       []doneOrder       `json:"orders"`
}

// collectedMachine is the state of a machine, in machines/ID/machine.json.
type collectedMachine struct {
	Machine     dormer.MachineID   `json:"machine"`
	User        string             `json:"user"`
	Workspace   string             `json:"workspace"`
	Snapshot    workspace.Snapshot `json:"snapshot"`
	Problem     string             `json:"problem,omitempty"`
	Verdict     string             `json:"verdict"`
	Withdrawn   string             `json:"withdrawn,omitempty"`
	Overlay     hypervisor.Overlay `json:"overlay,omitempty"`
	Image       dormer.ImageID     `json:"image,omitempty"`
	ImageName   string             `json:"image_name,omitempty"`
	Layer       string             `json:"layer,omitempty"`
	Layers      []layer            `json:"layers,omitempty"`
	Saved       bool               `json:"saved,omitempty"`
	Locked      bool               `json:"locked,omitempty"`
	Ending      *ending            `json:"ending,omitempty"`
	Resetting   string             `json:"resetting,omitempty"`
	Removing    string             `json:"removing,omitempty"`
	Revision    dormer.Revision    `json:"policy_revision,omitempty"`
	PolicyHash  string             `json:"policy_hash,omitempty"`
	ValidUntil  *time.Time         `json:"valid_until,omitempty"`
	Budget      *int64             `json:"offline_budget,omitempty"`
	AtNextStart []string           `json:"at_next_start,omitempty"`
	Unarranged  []string           `json:"unarranged,omitempty"`
	Hardware    hypervisor.Status  `json:"hardware"`
	Disks       []collectedFile    `json:"disks,omitempty"`
}

// collectedFile is a file of a machine and what it takes on the disk, in bytes.
type collectedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// The ends of logs are taken up to longestTail; when the archive is too large
// then, less and less of them, down to shortestTail.
const (
	longestTail  = 256 << 10
	shortestTail = 1 << 10
)

// sendDiagnostics collects what helps somebody who helps, and sends it to the
// server, which asked for it.
func (a *Agent) sendDiagnostics(ctx context.Context, order string) error {
	archive, err := a.collectDiagnostics(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	link := a.link
	a.mu.Unlock()
	if link == nil {
		return errNotEnrolled
	}
	if err := link.Collected(ctx, order, archive); err != nil {
		return fmt.Errorf("send diagnostics: %w", err)
	}
	return nil
}

// collectDiagnostics makes the archive: tar, compressed with gzip, of
// wire.MaxDiagnostics bytes at most.
func (a *Agent) collectDiagnostics(ctx context.Context) ([]byte, error) {
	for most := int64(longestTail); most >= shortestTail; most /= 2 {
		b, err := a.packDiagnostics(most)
		if err != nil || len(b) <= wire.MaxDiagnostics {
			return b, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("diagnostics of more than %d bytes: %w", wire.MaxDiagnostics, dormer.ErrTooLarge)
}

func (a *Agent) packDiagnostics(most int64) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	now := a.now()
	add := func(name string, b []byte) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), ModTime: now}); err != nil {
			return fmt.Errorf("pack diagnostics: %w", err)
		}
		if _, err := t.Write(b); err != nil {
			return fmt.Errorf("pack diagnostics: %w", err)
		}
		return nil
	}
	addJSON := func(name string, v any) error {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("encode diagnostics: %w", err)
		}
		return add(name, append(b, '\n'))
	}
	if err := addJSON("client.json", a.collectClient()); err != nil {
		return nil, err
	}
	_, all := a.all()
	slices.SortFunc(all, func(x, y *machine) int { return strings.Compare(string(x.id), string(y.id)) })
	for _, m := range all {
		dir := path.Join("machines", string(m.id))
		if err := addJSON(path.Join(dir, "machine.json"), m.collect()); err != nil {
			return nil, err
		}
		for _, f := range []string{hypervisor.FileLog, hypervisor.FileConsole} {
			if text := tailOf(m.folder.path(DirDisks, f), most); text != "" {
				if err := add(path.Join(dir, f), []byte(text)); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := t.Close(); err != nil {
		return nil, fmt.Errorf("pack diagnostics: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack diagnostics: %w", err)
	}
	return out.Bytes(), nil
}

func (a *Agent) collectClient() collectedClient {
	c := collectedClient{AgentVersion: a.cfg.Version, Managed: a.cfg.Managed, Host: a.hostNow(), Clock: a.clock.Read(), Wall: a.time.Wall(), Sessions: []string{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.trust != nil {
		c.Client, c.Instance, c.Epoch, c.Server = a.trust.Client, a.trust.Instance, a.trust.Epoch, a.link.Server()
	}
	c.Hypervisor, c.Accelerator, c.Notes = a.able.Hypervisor, a.able.Accelerator, slices.Clone(a.able.Notes)
	if a.unable != "" {
		c.Notes = append(c.Notes, a.unable)
	}
	c.NextPoll, c.Problem, c.Refused = a.poll.next, a.poll.problem, slices.Clone(a.poll.refused)
	for _, s := range a.users.Sessions {
		c.Sessions = append(c.Sessions, s.User.Name)
	}
	if a.journal != nil {
		c.Events = a.journal.Len()
	}
	c.Orders = slices.Clone(a.orders.Done)
	return c
}

func (m *machine) collect() collectedMachine {
	now := m.rec.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.record
	c := collectedMachine{
		Machine: m.id, User: r.User.Name, Workspace: r.Name, Snapshot: now, Verdict: m.judged.String(), Withdrawn: r.Withdrawn,
		Overlay: r.Overlay, Image: m.image(), ImageName: m.imageName(), Layer: m.layer(), Layers: r.Layers, Saved: r.Saved, Locked: r.Lock != nil,
		Ending: r.Ending, Resetting: r.Resetting, Removing: r.Removing, AtNextStart: m.waiting, Unarranged: m.unarranged(), Hardware: m.status,
	}
	if now.Err != nil {
		c.Problem, c.Snapshot.Err = now.Err.Error(), nil
	}
	if l := m.lease; l != nil {
		c.Revision, c.PolicyHash, c.ValidUntil, c.Budget = l.PolicyRevision, l.PolicyHash, l.ValidUntil, l.OfflineBudget
	}
	c.Disks = filesIn(m.disks())
	return c
}
