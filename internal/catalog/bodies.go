package catalog

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// Body is an effective policy as it is sent. It is immutable and shared.
type Body struct {
	Plain []byte
	Gzip  []byte
}

// maxBodies bounds the memory of prepared policies: beyond it those that were
// not asked for lately are read from the store again.
const maxBodies = 4096

// bodies holds prepared policies by hash.
type bodies struct {
	mu sync.RWMutex
	// guards the field below
	byHash map[string]*Body
}

func (b *bodies) get(hash string) *Body {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byHash[hash]
}

func (b *bodies) put(hash string, plain []byte) (*Body, error) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("compress policy: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress policy: %w", err)
	}
	body := &Body{Plain: plain, Gzip: z.Bytes()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.byHash[hash]; have != nil {
		return have, nil
	}
	if len(b.byHash) >= maxBodies {
		for some := range b.byHash {
			delete(b.byHash, some)
			break
		}
	}
	b.byHash[hash] = body
	return body, nil
}

// keep stores an effective policy for good and in memory.
func (c *Catalog) keep(ctx context.Context, plain []byte) (hash string, err error) {
	hash = policy.HashOf(plain)
	if c.bodies.get(hash) != nil {
		return hash, nil
	}
	if err := c.cfg.Policies.PutPolicy(ctx, hash, plain); err != nil {
		return "", fmt.Errorf("store policy: %w", err)
	}
	_, err = c.bodies.put(hash, plain)
	return hash, err
}

// Policy returns an effective policy by its hash. ErrNotFound for one that was
// never assigned to anybody.
func (c *Catalog) Policy(ctx context.Context, hash string) (*Body, error) {
	if body := c.bodies.get(hash); body != nil {
		return body, nil
	}
	if hex, ok := strings.CutPrefix(hash, "sha256:"); !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return nil, dormer.Invalidf("hash", "is not the hash of a policy")
	}
	plain, err := c.cfg.Policies.Policy(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	if policy.HashOf(plain) != hash {
		return nil, fmt.Errorf("stored policy %s: %w", hash, dormer.ErrCorrupt)
	}
	return c.bodies.put(hash, plain)
}
