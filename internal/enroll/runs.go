package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// An agent makes a new run whenever it starts and never goes back to an earlier
// one. A poll of an earlier run after one of a later run shows that two agents
// have the identity: its key was copied. What is known of runs is in memory
// only: a server that was restarted learns them again, and of several replicas
// each sees the polls that come to it. A host that was restored from a backup
// starts its agent anew and has one run only; one that goes back to a snapshot
// with its memory in it is like a copy, and reported as one.
const (
	// settled is how long after the first poll of a later run an earlier one
	// shows a copy: before that it may be a request that was still on its way.
	settled = 2 * time.Minute
	// keptRuns is how many runs of a client are remembered at any rate, recent
	// how long others are, up to maxRuns: of computers that were cloned with the
	// agent enrolled there are many at once.
	keptRuns = 4
	recent   = 15 * time.Minute
	maxRuns  = 512
	// copiedEvery is how often a copied client is reported.
	copiedEvery = time.Hour
)

// run is one start of an agent, compact: there are some for each client.
type run struct {
	hash        uint64 // of its name
	first, last int64  // Unix seconds of its polls
	host        string
	address     netip.Addr
}

// runs are those of one client, in the order of their first polls.
type runs []run

func hashRun(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:8])
}

// addressOf parses an address with or without its port; the zero Addr when it
// is none.
func addressOf(s string) netip.Addr {
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// runOf is the run of a poll.
func runOf(seen Seen) run {
	at := seen.Time.Unix()
	return run{hash: hashRun(seen.Run), first: at, last: at, host: seen.Host.Name, address: addressOf(seen.Address)}
}

// saw notes a poll and returns what is known after it. other is the run of the
// other agent when this poll shows that there are two.
func (r runs) saw(now run) (after runs, other *run) {
	i := slices.IndexFunc(r, func(x run) bool { return x.hash == now.hash })
	if i < 0 {
		rest, crowded := r.pruned(now)
		if crowded {
			// No single agent is started that often; one that fails at once and is
			// started again and again is on one computer.
			if last := rest[len(rest)-1]; last.host != now.host || last.address != now.address {
				other = &last
			}
		}
		return append(rest, now), other
	}
	r[i].last, r[i].host, r[i].address = now.last, now.host, now.address
	for k := len(r) - 1; k > i; k-- {
		if now.last-r[k].first >= int64(settled/time.Second) && (other == nil || r[k].last > other.last) {
			other = &r[k]
		}
	}
	return r, other
}

// pruned makes room for one more; crowded says that even of recent ones there
// are too many. Which of those goes is left to its hash: if it were the oldest,
// each of many clones would be forgotten before it comes again.
func (r runs) pruned(now run) (rest runs, crowded bool) {
	for i := 0; i <= len(r)-keptRuns; {
		if now.last-r[i].last <= int64(recent/time.Second) {
			i++
			continue
		}
		r = slices.Delete(r, i, i+1)
	}
	if len(r) < maxRuns {
		return r, false
	}
	i := int(now.hash % uint64(len(r)))
	return slices.Delete(r, i, i+1), true
}

func (r run) shown() Run {
	out := Run{First: time.Unix(r.first, 0).UTC(), Last: time.Unix(r.last, 0).UTC(), Host: r.host}
	if r.address.IsValid() {
		out.Address = r.address.String()
	}
	return out
}

// where says which computer a run was on.
func (r Run) where() string {
	if r.Address == "" {
		return r.Host
	}
	return fmt.Sprintf("%s (%s)", r.Host, r.Address)
}

// Copied is what shows that a client's identity was copied: two runs that
// alternate.
type Copied struct {
	Client     dormer.ClientID
	Time       time.Time
	This, That Run
}

// String says from where, without the identity.
func (c Copied) String() string {
	return fmt.Sprintf("%s and %s, which started later, both poll", c.This.where(), c.That.where())
}

// MarkCopied keeps that a client was found to be copied. ErrNotFound when there
// is no such client.
func (s *Service) MarkCopied(ctx context.Context, c Copied) error {
	if err := s.clients.MarkCopied(ctx, c.Client, c.Time, c.String()); err != nil {
		return fmt.Errorf("record the copy of client %s: %w", c.Client, err)
	}
	return nil
}
