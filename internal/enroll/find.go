package enroll

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// State is how clients are, for lists. A client may be in several.
type State string

// The states of clients.
const (
	// StateActive: not revoked.
	StateActive State = "active"
	// StateOnline: seen within a few poll intervals; StateOffline: not.
	StateOnline  State = "online"
	StateOffline State = "offline"
	// StateBeyond: off-line for longer than one of its machines may be.
	StateBeyond State = "beyond-limit"
	// StateRunning: on-line, and a machine of it runs.
	StateRunning State = "running"
	// StateNever: enrolled, and not seen yet.
	StateNever State = "never-seen"
	// StateCopied: two agents were found to use its identity.
	StateCopied State = "copied"
	// StateClock: its clock was wrong by more than ClockWrong when it was last seen.
	StateClock   State = "clock-wrong"
	StateRevoked State = "revoked"
)

// States are all states, in the order in which they are shown.
var States = []State{
	StateActive, StateOnline, StateOffline, StateBeyond, StateRunning, StateNever, StateCopied, StateClock, StateRevoked,
}

// Order is what a list of clients is sorted by.
type Order string

// The orders of lists of clients. Clients that are equal in it come by their
// hosts' names.
const (
	ByHost     Order = "host"
	BySeen     Order = "last-seen" // those that were never seen come first
	ByVersion  Order = "version"
	ByEnrolled Order = "enrolled"
	ByFree     Order = "disk-free" // those of which it is not known come first
)

// Orders are all orders.
var Orders = []Order{ByHost, BySeen, ByVersion, ByEnrolled, ByFree}

const (
	// MaxFound is the longest page of a list of clients.
	MaxFound = 1000
	// maxSearch is the longest text that is searched for, in characters.
	maxSearch = 200
)

// Filter selects clients. The zero Filter selects all, in the order of their
// hosts' names.
type Filter struct {
	// Search is a part of the name of a host or of a user of one of its machines,
	// without regard to case, or the whole of an identity.
	Search string
	ID     dormer.ClientID // the client of this identity alone; "": any
	State  State           // "": any
	// Version is that of the agent, exactly.
	Version string
	Order   Order // "": ByHost
	Down    bool  // the last first
	Offset  int
	Limit   int // 0: no limit

	// Now and OnlineSince decide what is on-line and beyond its limit. Find sets
	// them.
	Now, OnlineSince time.Time
}

// Check refuses a filter that is none.
func (f *Filter) Check() error {
	if f.State != "" && !slices.Contains(States, f.State) {
		return dormer.Invalidf("state", "must be one of %s", listed(States))
	}
	if f.Order != "" && !slices.Contains(Orders, f.Order) {
		return dormer.Invalidf("sort", "must be one of %s", listed(Orders))
	}
	if !utf8.ValidString(f.Search) || utf8.RuneCountInString(f.Search) > maxSearch {
		return dormer.Invalidf("search", "must be at most %d characters", maxSearch)
	}
	return nil
}

func listed[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// Found is a client in a list.
type Found struct {
	Client
	// Machines are how many it has, Running how many of them run as it last said.
	Machines, Running int
	// OfflineLimit is how long it may be off-line before one of its machines may
	// not run; nil: without a limit, or not known.
	OfflineLimit *time.Duration
}

// Figures counts clients by their states.
type Figures struct {
	// States has all of States.
	States map[State]int
	// Machines and Running are those of clients that are not revoked; running
	// counts those of clients that are on-line alone.
	Machines, Running int
	// Versions counts the clients that are not revoked by their agents' versions,
	// the most common first.
	Versions []VersionCount
}

// VersionCount is how many clients have a version of the agent.
type VersionCount struct {
	Version string
	Clients int
}

// Finder finds clients in the store.
type Finder interface {
	// FindClients returns the clients that f selects and how many there are
	// without Offset and Limit.
	FindClients(ctx context.Context, f Filter) (found []Found, total int, err error)
	// HostNames returns the names of the hosts of clients. Those that are not
	// there have none.
	HostNames(ctx context.Context, ids []dormer.ClientID) (map[dormer.ClientID]string, error)
	// FigureClients counts clients at a moment; those seen since onlineSince are
	// on-line.
	FigureClients(ctx context.Context, now, onlineSince time.Time) (Figures, error)
}

// Find returns a page of the list of clients, with the newest signs of life,
// and how many clients the filter selects. A client is on-line when it was seen
// within the time within.
func (s *Service) Find(ctx context.Context, f Filter, within time.Duration) ([]Found, int, error) {
	if err := f.Check(); err != nil {
		return nil, 0, err
	}
	if err := s.Flush(ctx); err != nil {
		return nil, 0, err
	}
	f.Now = s.now().UTC()
	f.OnlineSince = f.Now.Add(-within)
	found, total, err := s.clients.FindClients(ctx, f)
	if err != nil {
		return nil, 0, fmt.Errorf("find clients: %w", err)
	}
	for i := range found {
		s.update(&found[i].Client)
	}
	return found, total, nil
}

// HostNames returns the names of the hosts of clients.
func (s *Service) HostNames(ctx context.Context, ids []dormer.ClientID) (map[dormer.ClientID]string, error) {
	names, err := s.clients.HostNames(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("find hosts: %w", err)
	}
	return names, nil
}

// Figures counts the clients by their states; within is as for Find.
func (s *Service) Figures(ctx context.Context, within time.Duration) (Figures, error) {
	if err := s.Flush(ctx); err != nil {
		return Figures{}, err
	}
	now := s.now().UTC()
	figures, err := s.clients.FigureClients(ctx, now, now.Add(-within))
	if err != nil {
		return Figures{}, fmt.Errorf("count clients: %w", err)
	}
	return figures, nil
}
