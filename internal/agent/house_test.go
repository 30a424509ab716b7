package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// house is the server's end of the client protocol as far as these tests go:
// one client, users with passwords and codes, one machine for each.
type house struct {
	t         testing.TB
	url       string
	root, key *seal.SigningKey
	keySet    seal.Envelope
	policy    policy.Effective
	now       func() time.Time

	mu        sync.Mutex // guards the fields below
	public    seal.ClientPublic
	passwords map[string]string // by user
	codes     map[string]string // user by code
	budget    time.Duration     // off-line
	none      bool              // nobody gets a lease
	saving    bool              // passwords may be saved
	ended     []string          // sessions that are over
	away      bool
	sessions  map[string]string // user by session
	runs      []string          // of polls
	told      []int             // codes of events
	texts     []string          // of those events
	// terms changes the leases, answer the answers before they are signed; nil: as
	// they are.
	terms  func(*lease.Lease)
	answer func(wire.PollRequest, *wire.PollAnswer)
	// refuse returns the status and kind with which a poll is refused, 0 for none.
	refuse func(wire.PollRequest) (int, string)
	states []wire.MachineState // of the last poll
}

const (
	houseInstance = dormer.InstanceID("iiiiiiiiiiiiiiiiiiiiiiiiii")
	houseClient   = dormer.ClientID("cccccccccccccccccccccccccc")
)

func newHouse(t testing.TB, now func() time.Time) *house {
	t.Helper()
	h := &house{
		t: t, now: now, budget: 24 * time.Hour, passwords: map[string]string{}, codes: map[string]string{}, sessions: map[string]string{},
	}
	h.root, h.key = mustKey(t), mustKey(t)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	h.url = s.URL
	var err error
	h.keySet, err = seal.KeySet{Version: 1, Instance: houseInstance, Servers: []string{s.URL}, Keys: []seal.PublicKey{{
		ID: h.key.ID(), Key: h.key.Public(), Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder, seal.PurposeAuthority},
	}}}.Sign(h.root)
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Decode([]byte("apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Office}\nspec: {machine: {image: {name: office}}}\n"), "office.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.policy = policy.Combine(d.Spec, nil)
	return h
}

func mustKey(t testing.TB) *seal.SigningKey {
	t.Helper()
	k, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (h *house) set(f func(*house)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

func personOf(user string) dormer.Principal {
	return dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: user, Name: user}
}

// ServeHTTP answers as a server does, without checking what other tests check.
func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var out any
	switch {
	case r.URL.Path == wire.PathEnrol:
		out = h.enrol(r)
	case r.URL.Path == wire.PathChallenge:
		out = wire.ChallengeAnswer{Challenge: []byte("challenge")}
	case r.URL.Path == wire.PathToken:
		out = wire.TokenAnswer{Token: "token", Expires: h.now().Add(time.Hour)}
	case r.URL.Path == wire.PathSignIn:
		out = h.signIn(r)
	case r.URL.Path == wire.PathPoll:
		q := read[wire.PollRequest](r)
		if h.refuse != nil {
			if status, kind := h.refuse(q); status != 0 {
				w.Header().Set("Content-Type", wire.ProblemType)
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(wire.Problem{Title: "no", Status: status, Kind: kind})
				return
			}
		}
		out = h.poll(q)
	case strings.HasPrefix(r.URL.Path, wire.PathPolicy):
		_, _ = w.Write(h.policy.CanonicalJSON())
		return
	case r.URL.Path == wire.PathSignOut:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if out == nil {
		w.Header().Set("Content-Type", wire.ProblemType)
		w.WriteHeader(http.StatusForbidden)
		out = wire.Problem{Title: "no", Status: http.StatusForbidden, Kind: "denied", Detail: "name, password or code is wrong"}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func read[T any](r *http.Request) T {
	var v T
	_ = json.NewDecoder(r.Body).Decode(&v)
	return v
}

func (h *house) enrol(r *http.Request) any {
	q := read[wire.EnrolRequest](r)
	var err error
	if h.public, err = seal.ParseClientPublic(q.PublicKey); err != nil {
		return nil
	}
	return wire.EnrolAnswer{Client: houseClient, Instance: houseInstance, RootKey: h.root.Public(), KeySet: h.keySet}
}

func (h *house) signIn(r *http.Request) any {
	q := read[wire.SignInRequest](r)
	user, ok := h.codes[q.Code]
	delete(h.codes, q.Code)
	if q.Code == "" {
		user = strings.TrimPrefix(q.User, `local\`)
		ok = q.Password != "" && h.passwords[user] == q.Password
	}
	if !ok {
		return nil
	}
	id := fmt.Sprintf("session-%d", len(h.sessions)+1)
	h.sessions[id] = user
	sealed, err := h.public.Seal(wire.SessionInfo(id), []byte("secret of "+id))
	if err != nil {
		return nil
	}
	return wire.SignInAnswer{Session: id, Sealed: sealed, User: personOf(user), Expires: h.now().Add(30 * 24 * time.Hour)}
}

func (h *house) poll(q wire.PollRequest) any {
	h.runs = append(h.runs, q.Run)
	for _, e := range q.Events {
		h.told = append(h.told, e.Event.Code)
		h.texts = append(h.texts, e.Event.Description)
	}
	h.states = q.Machines
	a := wire.PollAnswer{
		Protocol: q.Protocol, Instance: houseInstance, Client: houseClient, Nonce: q.Nonce, Time: h.now(),
		NextPollMillis: time.Hour.Milliseconds(), IntervalMillis: time.Minute.Milliseconds(),
		SavePasswords: h.saving, Domains: []wire.Domain{{Directory: "local", Name: "corp.example.test", NetBIOSName: "CORP", Realm: "CORP.EXAMPLE.TEST"}},
		Keys: &wire.SealedKeys{Tag: "1"},
	}
	for _, s := range q.Sessions {
		if slices.Contains(h.ended, s.ID) {
			a.EndedSessions = append(a.EndedSessions, wire.EndedSession{ID: s.ID, Reason: "it was too old"})
			continue
		}
		if h.none {
			continue
		}
		user := h.sessions[s.ID]
		budget := int64(h.budget / time.Second)
		machine := strings.Repeat(user[:1], 26)
		terms := lease.Lease{
			Version: lease.Version, Instance: houseInstance, Serial: uint64(h.now().UnixMicro()), Client: houseClient,
			Machine: dormer.MachineID(machine), User: personOf(user), Workspace: "w", WorkspaceName: "Office",
			IssuedAt: h.now(), OfflineBudget: &budget, PolicyHash: h.policy.Hash(), PolicyRevision: 1, Image: "sha256:0", ImageName: "office/1",
		}
		if h.terms != nil {
			h.terms(&terms)
		}
		l, err := terms.Sign(h.key)
		if err == nil {
			a.Leases = append(a.Leases, l)
		}
		key := wire.DiskKeyName(dormer.MachineID(machine))
		if sealed, err := h.public.Seal(wire.KeyInfo(key), make([]byte, 32)); err == nil {
			a.Keys.Keys = append(a.Keys.Keys, wire.SealedKey{Name: key, Sealed: sealed})
		}
	}
	if h.answer != nil {
		h.answer(q, &a)
	}
	payload, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	return h.key.Sign(seal.TypeAnswer, payload)
}

// noImages is a store that never has an image.
type noImages struct{}

var errNoImage = fmt.Errorf("image: %w", dormer.ErrUnavailable)

func (noImages) Has(dormer.ImageID) bool                            { return false }
func (noImages) Fetch(context.Context, dormer.ImageID, Fetch) error { return errNoImage }
func (noImages) Verify(context.Context, dormer.ImageID) error       { return errNoImage }
func (noImages) Collect(context.Context, []dormer.ImageID) error    { return nil }
func (noImages) Size() (int64, error)                               { return 0, nil }
func (noImages) Describe(context.Context, dormer.ImageID, *imageformat.RepositoryKey, string) (Hardware, error) {
	return Hardware{}, errNoImage
}

// desk is a computer whose clocks a test moves, with an agent in it.
type desk struct {
	t     *testing.T
	house *house
	dir   string
	agent *Agent
	stop  func()
	// host is where machines run, images what is on its disk; managed says that
	// the agent is the system's.
	host    *fake.Host
	images  Images
	managed bool
	// quick makes it look at its machines often; deps changes what it works with.
	quick bool
	deps  func(*Deps)
	// patience bounds each wait; 0: the usual.
	patience time.Duration
	// network tells the agent of a change to the host's.
	network func(HostNetwork)

	mu sync.Mutex // guards the fields below
	// passed is added to the wall clock, booted is the boot clock at began.
	began          time.Time
	passed, booted time.Duration
	boots          int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), began: time.Now(), booted: time.Hour, host: fake.NewHost(time.Now), images: noImages{}, managed: true}
	d.house = newHouse(t, d.now)
	d.start()
	t.Cleanup(func() { d.stop() })
	d.enrol()
	return d
}

func (d *desk) enrol() {
	d.t.Helper()
	token := enroll.Invitation{URL: d.house.url, Authority: enroll.SystemAuthority, Secret: strings.Repeat("A", 43)}.String()
	if err := d.agent.Enrol(d.t.Context(), agentapi.Peer{}, agentapi.EnrolRequest{JoinToken: token}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.passed)
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passed += by
	d.booted += by
}

func (d *desk) clocks() lease.TimeSources {
	return lease.TimeSources{
		Wall: d.now,
		Boot: func() time.Duration {
			d.mu.Lock()
			defer d.mu.Unlock()
			return time.Since(d.began) + d.booted
		},
		BootID: fmt.Sprint("boot ", d.boots),
	}
}

// start runs the agent on what is in its folder.
func (d *desk) start() {
	d.t.Helper()
	config := Config{StateDir: d.dir, Managed: d.managed, Version: "1", Cost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}}
	if d.quick {
		config.StopTime, config.LookEvery, config.LimitsEvery, config.Optical = time.Second, 10*time.Millisecond, 10*time.Millisecond, "/dev/sr0"
	}
	if d.patience > 0 { // its machines boot
		config.StopTime, config.LookEvery, config.LimitsEvery = 3*time.Minute, 500*time.Millisecond, 500*time.Millisecond
	}
	deps := Deps{
		Driver: d.host.Driver(), Images: d.images, Time: d.clocks(), Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Host: func() wire.Host { return wire.Host{Name: "desk", MemoryMiB: 8192, Processors: 2} },
	}
	if d.deps != nil {
		d.deps(&deps)
	}
	a, err := New(config, deps)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	d.agent, d.stop = a, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	})
}

func (d *desk) restart() {
	d.t.Helper()
	d.stop()
	d.start()
}

// reboot starts the computer again after it was off for so long.
func (d *desk) reboot(off time.Duration) {
	d.t.Helper()
	d.stop()
	d.mu.Lock()
	d.passed += off
	d.began, d.booted = time.Now(), time.Minute
	d.boots++
	d.mu.Unlock()
	d.start()
}

const (
	annesUID  = 1001
	annesWord = "correct horse battery staple"
)

func (d *desk) signIn(r agentapi.SignInRequest) agentapi.User {
	d.t.Helper()
	if r.Password != "" {
		d.house.set(func(h *house) { h.passwords[r.User] = r.Password })
	}
	u, err := d.agent.SignIn(d.t.Context(), agentapi.Peer{UID: annesUID}, r)
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

// byCode signs a user in as a ticket or a provider would.
func (d *desk) byCode(user string) agentapi.User {
	d.t.Helper()
	d.house.set(func(h *house) { h.codes["code for "+user] = user })
	return d.signIn(agentapi.SignInRequest{Code: "code for " + user})
}

func (d *desk) prove(secret string) error {
	return d.agent.Prove(d.t.Context(), agentapi.Peer{UID: annesUID}, agentapi.ProveRequest{Secret: secret})
}

func (d *desk) setPIN(pin string) error {
	_, err := d.agent.SetPIN(d.t.Context(), agentapi.Peer{UID: annesUID}, agentapi.PINRequest{PIN: pin})
	return err
}

func (d *desk) want(err, kind error, says string) {
	d.t.Helper()
	if !errors.Is(err, kind) || err == nil && kind != nil || err != nil && !strings.Contains(err.Error(), says) {
		d.t.Errorf("error is %v, expected %v with %q", err, kind, says)
	}
}
