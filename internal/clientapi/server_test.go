package clientapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/clientapi"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	password      = "correct horse battery staple"
	repositoryKey = "00112233aabbccdd"
)

// clock is a wall clock that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// images is a repository that knows names only.
type images struct {
	mu    sync.Mutex
	known map[string]catalog.Image
	err   error
}

func (i *images) Resolve(_ context.Context, image string, number int) (catalog.Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return catalog.Image{}, i.err
	}
	v, ok := i.known[image]
	if !ok || (number > 0 && number != v.Number) {
		return catalog.Image{}, fmt.Errorf("image %s: %w", image, dormer.ErrNotFound)
	}
	return v, nil
}

func (i *images) set(image string, v catalog.Image) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known[image] = v
}

func imageID(digit string) dormer.ImageID {
	return dormer.ImageID("sha256:" + strings.Repeat(digit, 64))
}

// objects are image objects in memory.
type objects map[string][]byte

type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }

func (o objects) Open(_ context.Context, object string) (imagerepo.Blob, error) {
	b, ok := o[object]
	if !ok {
		return nil, fmt.Errorf("object: %w", dormer.ErrNotFound)
	}
	return blob{bytes.NewReader(b)}, nil
}

// eventsOf lets a test refuse events.
type eventsOf struct {
	clientapi.Events
	mu  sync.Mutex
	err error
}

func (e *eventsOf) Submit(ctx context.Context, b event.Batch) (event.Marks, error) {
	e.mu.Lock()
	err := e.err
	e.mu.Unlock()
	if err != nil {
		return event.Marks{}, err
	}
	return e.Events.Submit(ctx, b)
}

// peopleOf lets a test take the directory away.
type peopleOf struct {
	clientapi.People
	mu  sync.Mutex
	err error
}

func (p *peopleOf) GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return p.People.GroupsOf(ctx, user)
}

// server is an instance with a real store in one process.
type server struct {
	t     testing.TB
	dir   string
	clock *clock
	log   *bytes.Buffer

	state    *store.State
	events   *store.Events
	accounts *access.Accounts
	people   *access.Authenticator
	enroll   *enroll.Service
	catalog  *catalog.Catalog
	issuer   *lease.Issuer
	images   *images
	submit   *eventsOf
	groups   *peopleOf
	joins    *joins
	api      *clientapi.API
	http     http.Handler

	instance dormer.InstanceID
	epoch    dormer.Epoch
	root     *seal.SigningKey
	key      *seal.SigningKey
	keySet   seal.KeySet
	token    []byte
	escrow   []byte
	heard    []dormer.Epoch
	told     []string
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newServer(t testing.TB) *server {
	t.Helper()
	dir := t.TempDir()
	fresh.Lay(t, dir)
	s := &server{
		t: t, dir: dir, clock: &clock{t: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)},
		instance: "aaaaaaaaaaaaaaaaaaaaaaaaaa", epoch: 3, token: bytes.Repeat([]byte{1}, 32), escrow: bytes.Repeat([]byte{2}, 32),
		images: &images{known: map[string]catalog.Image{"office": {ID: imageID("a"), Number: 1, KeyID: repositoryKey}}},
	}
	s.root, s.key = must(seal.NewSigningKey(rand.Reader))(t), must(seal.NewSigningKey(rand.Reader))(t)
	s.keySet = seal.KeySet{Version: 4, Instance: s.instance, Keys: []seal.PublicKey{{
		ID: s.key.ID(), Key: s.key.Public(), Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder, seal.PurposeAuthority},
	}}}
	s.start()
	return s
}

// start opens the stores and composes the server; called again it is a restart.
func (s *server) start() {
	t, ctx := s.t, s.t.Context()
	t.Helper()
	s.log = new(bytes.Buffer)
	logger := slog.New(slog.NewTextHandler(&syncWriter{w: s.log}, nil))
	s.state = must(store.OpenState(ctx, "sqlite:"+filepath.Join(s.dir, "state.db"), store.Options{}))(t)
	s.events = must(store.OpenEvents(ctx, "sqlite:"+filepath.Join(s.dir, "events.db"), store.Options{}))(t)
	state, events := s.state, s.events
	t.Cleanup(func() { _, _ = state.Close(), events.Close() })

	hasher := must(access.NewHasher(rand.Reader, access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}, 2))(t)
	s.accounts = access.NewAccounts(state, state, hasher, s.clock.Now, rand.Reader)
	embedded := directory.NewEmbedded(s.accounts)
	s.people = must(access.NewAuthenticator(ctx, access.Config{
		Directories: []access.Mount{{Directory: embedded}}, Default: embedded.Name(), Operators: state, Sessions: state,
		Once: state, CodeKey: bytes.Repeat([]byte{3}, 32),
		OperatorSession: time.Hour, UserSession: 30 * 24 * time.Hour, Now: s.clock.Now, Random: rand.Reader,
	}))(t)
	s.enroll = must(enroll.New(ctx, enroll.Config{Instance: s.instance, Key: s.token, Store: state, Clients: state, Now: s.clock.Now, Random: rand.Reader}))(t)
	s.catalog = must(catalog.New(ctx, catalog.Config{
		Store: state, Policies: state, Directories: []access.Mount{{Directory: embedded}}, Images: s.images, Now: s.clock.Now, Random: rand.Reader, Logger: logger,
	}))(t)
	s.issuer = must(lease.NewIssuer(ctx, lease.IssuerConfig{
		Instance: s.instance, Epoch: s.epoch, Signer: s.key, Escrow: s.escrow, RepositoryKeys: map[string][]byte{repositoryKey: bytes.Repeat([]byte{7}, 32)},
		Machines: state, Orders: state, Deletions: state, Interval: time.Minute, Now: s.clock.Now, Random: rand.Reader,
	}))(t)
	ingester := event.NewIngester(events, event.IngestConfig{Now: s.clock.Now, Logger: logger})
	running, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = ingester.Run(running)
	}()
	t.Cleanup(func() { stop(); <-done })
	s.submit = &eventsOf{Events: ingester}
	s.groups = &peopleOf{People: s.people}
	s.joins = &joins{}
	signed := must(s.keySet.Sign(s.root))(t)
	s.api = must(clientapi.New(clientapi.Config{
		Instance: s.instance, Epoch: s.epoch, RootKey: s.root.Public(), KeySet: func() clientapi.KeySet { return clientapi.KeySet{Version: s.keySet.Version, Signed: signed} },
		Answers: s.key, Enrollment: s.enroll, Catalog: s.catalog, Issuer: s.issuer, People: s.groups, Events: s.submit,
		Objects: objects{"pack/abc": []byte("0123456789")}, Joins: s.joins, Diagnostics: state, Deliveries: state, TimeZone: "Europe/Berlin", Audit: state, Fenced: func(e dormer.Epoch) { s.heard = append(s.heard, e) },
		Tell: func(_ event.Code, detail string) { s.told = append(s.told, detail) },
		Now:  s.clock.Now, Random: rand.Reader, Logger: logger,
	}))(t)
	s.http = s.api
}

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (w *syncWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(b)
}

// call makes one request; a status other than 200 and 204 is an error.
func (s *server) call(method, path, token string, header http.Header, in any) (*http.Response, error) {
	var body []byte
	switch in := in.(type) {
	case nil:
	case []byte:
		body = in
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = b
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	maps.Copy(r.Header, header)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	resp := w.Result()
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified {
		return resp, problem.FromResponse(resp)
	}
	return resp, nil
}

func (s *server) post(path, token string, in, out any) error {
	resp, err := s.call(http.MethodPost, path, token, nil, in)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (s *server) joinToken(change func(*enroll.JoinRequest)) (enroll.JoinToken, string) {
	s.t.Helper()
	r := enroll.JoinRequest{
		Name: "office", URL: "https://dormer.example.com", Authority: enroll.SystemAuthority, AdmitsManaged: true, AdmitsUnmanaged: true,
		MaxUses: 1000, Lifetime: time.Hour, By: "admin",
	}
	if change != nil {
		change(&r)
	}
	t, text, err := s.enroll.CreateJoinToken(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return t, must(enroll.ParseJoinToken(text))(s.t).Secret
}

func (s *server) user(name string) access.Account {
	s.t.Helper()
	a, _, err := s.accounts.Create(s.t.Context(), access.NewAccount{Name: name, Password: password})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// workspace commits a workspace for one user; more is appended to the grant.
func (s *server) workspace(name, image, user string, more ...string) catalog.Revision {
	s.t.Helper()
	r, _, err := s.catalog.Create(s.t.Context(), document(name, image, user, more...), "admin", "")
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func document(name, image, user string, more ...string) []byte {
	doc := "apiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: " + name + "\nspec:\n  machine:\n    image: {name: " + image + "}\n" +
		"grants:\n  - principal: {kind: user, name: " + user + "}\n"
	for _, m := range more {
		doc += "    " + m + "\n"
	}
	return []byte(doc)
}

// client is one agent.
type client struct {
	s        *server
	key      *seal.FileKey
	id       dormer.ClientID
	token    string
	epoch    dormer.Epoch
	run      string // of its agent
	sessions []wire.Session
	leases   map[dormer.MachineID]lease.Lease
	keysTag  string
	keys     map[string][]byte
	keySet   int
}

func (s *server) enrolRequest(secret string, key *seal.FileKey, managed bool) wire.EnrolRequest {
	s.t.Helper()
	return wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: secret, PublicKey: must(seal.MarshalClientPublic(key))(s.t), Managed: managed,
		Host: wire.Host{Name: "pc-1", OS: "linux", Arch: "amd64", MemoryMiB: 8192, Processors: 4}, AgentVersion: "0.1",
	}
}

func (s *server) client(managed bool) *client {
	s.t.Helper()
	_, secret := s.joinToken(nil)
	c := &client{s: s, run: must(dormer.NewID(rand.Reader))(s.t), key: must(seal.NewFileKey(rand.Reader))(s.t), leases: map[dormer.MachineID]lease.Lease{}, keys: map[string][]byte{}, keySet: s.keySet.Version}
	var a wire.EnrolAnswer
	if err := s.post(wire.PathEnrol, "", s.enrolRequest(secret, c.key, managed), &a); err != nil {
		s.t.Fatal(err)
	}
	if set, err := seal.OpenKeySet(a.RootKey, a.KeySet); err != nil || set.Version != s.keySet.Version {
		s.t.Fatalf("key set of the enrolment: %v, %v", set.Version, err)
	}
	c.id = a.Client
	if err := c.authenticate(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (c *client) challenge() ([]byte, error) {
	var a wire.ChallengeAnswer
	err := c.s.post(wire.PathChallenge, "", wire.ChallengeRequest{Protocol: wire.ProtocolVersion, Client: c.id}, &a)
	return a.Challenge, err
}

func (c *client) prove(challenge []byte) error {
	sig := must(seal.SignChallenge(rand.Reader, c.key, challenge))(c.s.t)
	var a wire.TokenAnswer
	if err := c.s.post(wire.PathToken, "", wire.TokenRequest{Protocol: wire.ProtocolVersion, Client: c.id, Challenge: challenge, Signature: sig}, &a); err != nil {
		return err
	}
	c.token = a.Token
	return nil
}

func (c *client) authenticate() error {
	challenge, err := c.challenge()
	if err != nil {
		return err
	}
	return c.prove(challenge)
}

func (c *client) signIn(user, pass string) error {
	return c.signInBy(wire.SignInRequest{Protocol: wire.ProtocolVersion, User: user, Password: pass})
}

func (c *client) signInBy(q wire.SignInRequest) error {
	var a wire.SignInAnswer
	if err := c.s.post(wire.PathSignIn, c.token, q, &a); err != nil {
		return err
	}
	secret, err := seal.Unseal(c.key, wire.SessionInfo(a.Session), a.Sealed)
	if err != nil {
		return err
	}
	c.sessions = append(c.sessions, wire.Session{ID: a.Session, Secret: string(secret)})
	return nil
}

func (c *client) request() wire.PollRequest {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	q := wire.PollRequest{
		Protocol: wire.ProtocolVersion, Nonce: nonce, AgentVersion: "0.1", Run: c.run, Host: wire.Host{Name: "pc-1", OS: "linux", Arch: "amd64"},
		KeySet: c.keySet, Epoch: c.epoch, Sessions: c.sessions, KeysTag: c.keysTag,
	}
	for id, l := range c.leases {
		q.Machines = append(q.Machines, wire.MachineState{Machine: id, Serial: l.Serial, State: "ready", Image: l.Image})
	}
	return q
}

// send polls and takes the answer in as an agent does.
func (c *client) send(q wire.PollRequest) (wire.PollAnswer, error) {
	var e seal.Envelope
	if err := c.s.post(wire.PathPoll, c.token, q, &e); err != nil {
		return wire.PollAnswer{}, err
	}
	return c.accept(q, e)
}

func (c *client) accept(q wire.PollRequest, e seal.Envelope) (wire.PollAnswer, error) {
	var a wire.PollAnswer
	payload, err := c.s.keySet.Open(seal.TypeAnswer, e)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(payload, &a); err != nil {
		return a, err
	}
	if !bytes.Equal(a.Nonce, q.Nonce) || a.Client != c.id {
		return a, errors.New("the answer is not one to this poll")
	}
	c.epoch = a.Epoch
	for _, signed := range a.Leases {
		l, err := lease.Open(c.s.keySet, lease.Holder{Instance: c.s.instance, Client: c.id, Epoch: c.epoch}, signed)
		if err != nil {
			return a, err
		}
		if l.Serial <= c.leases[l.Machine].Serial {
			return a, fmt.Errorf("serial %d after %d", l.Serial, c.leases[l.Machine].Serial)
		}
		c.leases[l.Machine] = l
	}
	for _, w := range a.Withdrawn {
		delete(c.leases, w.Machine)
	}
	if a.Keys != nil {
		c.keysTag, c.keys = a.Keys.Tag, map[string][]byte{}
		for _, k := range a.Keys.Keys {
			secret, err := seal.Unseal(c.key, wire.KeyInfo(k.Name), k.Sealed)
			if err != nil {
				return a, err
			}
			c.keys[k.Name] = secret
		}
	}
	return a, nil
}

func (c *client) poll() wire.PollAnswer {
	c.s.t.Helper()
	a, err := c.send(c.request())
	if err != nil {
		c.s.t.Fatal(err)
	}
	return a
}

// one returns the only lease of the client.
func (c *client) one() lease.Lease {
	c.s.t.Helper()
	if len(c.leases) != 1 {
		c.s.t.Fatalf("the client has %d leases, expected one", len(c.leases))
	}
	for _, l := range c.leases {
		return l
	}
	return lease.Lease{}
}

func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, expected %v", err, kind)
	}
}

func unzip(t testing.TB, r io.Reader) []byte {
	t.Helper()
	z := must(gzip.NewReader(r))(t)
	return must(io.ReadAll(z))(t)
}
