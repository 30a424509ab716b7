package lease

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	// DiskKeySize is the length of the key of a machine's disks, in bytes.
	DiskKeySize = 32
	// EscrowKeySize is the length of the key under which disk keys are stored.
	EscrowKeySize = 32
	escrowVersion = 1
	// nameTries is how often a computer name is drawn again that is taken.
	nameTries = 100
)

// escrow keeps disk keys at rest: version [1] | nonce [12] | AES-256-GCM with
// instance and machine as additional data, so that a stored key serves no
// other machine.
type escrow struct {
	aead     cipher.AEAD
	instance dormer.InstanceID
	random   io.Reader
}

func newEscrow(instance dormer.InstanceID, key []byte, random io.Reader) (escrow, error) {
	if len(key) != EscrowKeySize {
		return escrow{}, fmt.Errorf("escrow key has %d bytes, expected %d: %w", len(key), EscrowKeySize, dormer.ErrCorrupt)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return escrow{}, fmt.Errorf("escrow key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return escrow{}, fmt.Errorf("escrow key: %w", err)
	}
	return escrow{aead: aead, instance: instance, random: random}, nil
}

func (e escrow) about(m dormer.MachineID) []byte {
	return []byte("dormer disk key v1\x00" + string(e.instance) + "\x00" + string(m))
}

func (e escrow) put(m dormer.MachineID, key []byte) ([]byte, error) {
	b := make([]byte, 1+e.aead.NonceSize(), 1+e.aead.NonceSize()+len(key)+e.aead.Overhead())
	b[0] = escrowVersion
	if _, err := io.ReadFull(e.random, b[1:]); err != nil {
		return nil, fmt.Errorf("escrow key of machine %s: %w", m, err)
	}
	return e.aead.Seal(b, b[1:], key, e.about(m)), nil
}

func (e escrow) open(m dormer.MachineID, b []byte) ([]byte, error) {
	n := 1 + e.aead.NonceSize()
	if len(b) < n || b[0] != escrowVersion {
		return nil, fmt.Errorf("escrowed key of machine %s: %w", m, dormer.ErrCorrupt)
	}
	key, err := e.aead.Open(nil, b[1:n], b[n:], e.about(m))
	if err != nil {
		return nil, fmt.Errorf("escrowed key of machine %s: %w", m, dormer.ErrCorrupt)
	}
	return key, nil
}

// ensure makes the machine's record with a disk key of its own, or takes the
// one that another replica made.
func (i *Issuer) ensure(ctx context.Context, c *clientRecord, p Poll, user dormer.Principal, e *Entitlement, now time.Time) (*machineRecord, error) {
	id, err := dormer.NewID(i.cfg.Random)
	if err != nil {
		return nil, err
	}
	key := make([]byte, DiskKeySize)
	if _, err := io.ReadFull(i.cfg.Random, key); err != nil {
		return nil, fmt.Errorf("make disk key: %w", err)
	}
	m := Machine{ID: dormer.MachineID(id), Client: p.Client, User: user, Workspace: e.Workspace, Created: now}
	if m.DiskKey, err = i.escrow.put(m.ID, key); err != nil {
		return nil, err
	}
	stored := m
	err = i.drawName(p, user, e, m.ID, func(name string) error {
		m.ComputerName = name
		var err error
		stored, err = i.cfg.Machines.EnsureMachine(ctx, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record machine of %s: %w", user.Name, err)
	}
	r := &machineRecord{Machine: stored}
	c.machines = append(c.machines, r)
	i.index(stored)
	return r, nil
}

// drawName draws computer names that no machine is known to have until take
// takes one: another server may have given it away meanwhile, and says
// ErrNameTaken. When the pattern yields none for this user, or all that it
// yields are taken, take gets "".
func (i *Issuer) drawName(p Poll, user dormer.Principal, e *Entitlement, id dormer.MachineID, take func(name string) error) error {
	if e.NamePattern == "" {
		return take("")
	}
	account, domain := user.Name, user.Directory
	if before, after, ok := strings.Cut(account, `\`); ok {
		domain, account = before, after
	}
	vars := policy.NameVars{User: account, Domain: domain, Host: p.Host, Workspace: e.WorkspaceName, Machine: string(id)}
	for range nameTries {
		name, err := policy.ExpandComputerName(e.NamePattern, vars, i.cfg.Random)
		if err != nil {
			break
		}
		i.mu.RLock()
		_, taken := i.names[name]
		i.mu.RUnlock()
		if taken {
			continue
		}
		if err := take(name); !errors.Is(err, ErrNameTaken) {
			return err
		}
	}
	return take("")
}

// unnamed reports whether a machine lacks the name that its policy wants and was
// not made yet, so that it can still get one. A machine that was made keeps what
// it is called.
func unnamed(m *machineRecord, said wire.MachineState, e *Entitlement) bool {
	return e.NamePattern != "" && m.ComputerName == "" && said.State == "" && m.Reported == nil && m.lastTime.IsZero()
}

// nameLate gives a machine a name that could not get one before.
func (i *Issuer) nameLate(ctx context.Context, p Poll, m *machineRecord, said wire.MachineState, user dormer.Principal, e *Entitlement) error {
	if !unnamed(m, said, e) {
		return nil
	}
	return i.drawName(p, user, e, m.ID, func(name string) error {
		if name == "" {
			return nil
		}
		name, err := i.cfg.Machines.NameMachine(ctx, m.ID, name)
		if err != nil {
			return fmt.Errorf("name machine %s: %w", m.ID, err)
		}
		m.ComputerName = name
		i.index(m.Machine)
		return nil
	})
}

// allKeys stands for every repository key.
const allKeys = "*"

// keyList collects the keys that a client needs.
type keyList struct {
	machines []*machineRecord
	all      bool
	images   []string
}

func (l *keyList) add(m *machineRecord, repositoryKey string) {
	l.machines = append(l.machines, m)
	switch {
	case repositoryKey == allKeys:
		l.all = true
	case repositoryKey != "" && !slices.Contains(l.images, repositoryKey):
		l.images = append(l.images, repositoryKey)
	}
}

// tag names the set: it is the same whenever the keys are.
func (l *keyList) tag(client dormer.ClientID) string {
	if len(l.machines) == 0 {
		return ""
	}
	h := sha256.New()
	h.Write([]byte("dormer keys v1\x00" + string(client)))
	for _, m := range l.machines {
		sum := sha256.Sum256(m.DiskKey) // of the escrowed key
		h.Write([]byte("\x00" + wire.DiskKeyName(m.ID) + "\x00"))
		h.Write(sum[:])
	}
	for _, id := range l.images {
		h.Write([]byte("\x00" + wire.RepositoryKeyName(id)))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// sealKeys adds the sealed keys when the client's are not current.
func (i *Issuer) sealKeys(c *clientRecord, p Poll, l keyList, d *Decision) error {
	if l.all {
		l.images = l.images[:0]
		for id := range i.cfg.RepositoryKeys {
			l.images = append(l.images, id)
		}
	}
	slices.SortFunc(l.machines, func(a, b *machineRecord) int { return strings.Compare(string(a.ID), string(b.ID)) })
	slices.Sort(l.images)
	tag := l.tag(p.Client)
	if tag == p.KeysTag {
		c.sealed = nil // it has them
		return nil
	}
	if c.sealed != nil && c.sealed.Tag == tag {
		d.Keys = c.sealed
		return nil
	}
	out := &wire.SealedKeys{Tag: tag, Keys: make([]wire.SealedKey, 0, len(l.machines)+len(l.images))}
	if tag != "" {
		public, err := p.Public()
		if err != nil {
			return err
		}
		add := func(name string, key []byte) error {
			sealed, err := public.Seal(wire.KeyInfo(name), key)
			if err != nil {
				return err
			}
			out.Keys = append(out.Keys, wire.SealedKey{Name: name, Sealed: sealed})
			return nil
		}
		for _, m := range l.machines {
			key, err := i.escrow.open(m.ID, m.DiskKey)
			if err != nil {
				return err
			}
			if err := add(wire.DiskKeyName(m.ID), key); err != nil {
				return err
			}
		}
		for _, id := range l.images {
			if err := add(wire.RepositoryKeyName(id), i.cfg.RepositoryKeys[id]); err != nil {
				return err
			}
		}
	}
	c.sealed, d.Keys = out, out
	return nil
}
