package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/uplink"
	"github.com/dormer-project/dormer/internal/wire"
)

// rehearsalPrefix begins the names of throw-away folders in the data folder.
const rehearsalPrefix = ".rehearsal-"

// rehearsal is what a rehearsal proved.
type rehearsal struct {
	// Source is the epoch whose data were restored; Epoch would be the next.
	Source   dormer.Epoch  `json:"source"`
	Restored time.Duration `json:"restored_ns"`
	Started  time.Duration `json:"started_ns"`
	Polled   time.Duration `json:"polled_ns"`
	Clients  int           `json:"clients"`
	// Image is the one of which an object was fetched; empty: there is none.
	Image string        `json:"image,omitempty"`
	Total time.Duration `json:"total_ns"`
}

// rehearse restores the target into a throw-away folder, starts a server there
// on a loopback port, polls it as a client, fetches an object of an image, and
// throws everything away. Neither the target nor the data folder changes, and
// nobody else is spoken to: there is no background work.
func rehearse(ctx context.Context, cfg Config, deps Deps, say func(format string, args ...any)) (r rehearsal, err error) {
	if cfg.Standby.Target == "" {
		return r, dormer.Invalidf("standby.target", "is needed: where the primary ships to")
	}
	began := deps.Now()
	target, lock, err := cfg.openTarget(deps)
	if err != nil {
		return r, err
	}
	defer func() { err = joined(err, target.Close()) }()
	record, err := target.ReadRecord(ctx)
	if err != nil {
		return r, err
	}
	if r.Source = record.Source; r.Source == 0 {
		return r, fmt.Errorf("the server on %s has not shipped everything to %s yet: %w", record.Host, target, dormer.ErrConflict)
	}
	dir, err := rehearsalFolder(cfg.Data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	play := cfg
	play.Data, play.Repository, play.State = dir, RepositoryConfig{}, StateConfig{}
	play.Events.DSN, play.Events.ReportsDSN = "", ""
	play.Listen, play.PublicURLs = []string{"127.0.0.1:0"}, nil
	play.TLS = TLSConfig{Mode: TLSAuthority}
	play.Standby = Default().Standby
	play.Forward, play.Metrics = ForwardConfig{}, MetricsConfig{}

	say("restoring what %s has shipped to %s", record.Host, target)
	follow := cfg
	repository := ""
	if cfg.Standby.Repository {
		repository = play.repositoryFolder()
	}
	f, err := newFollower(follow, deps, target, lock, "rehearsal", filepath.Join(dir, "from-target"), repository, cfg.repositoryFolder())
	if err != nil {
		return r, err
	}
	if err := f.CatchUp(ctx, r.Source); err != nil {
		return r, err
	}
	for name := range cfg.shippedDatabases() {
		if err := os.Rename(f.Database(name), filepath.Join(dir, name+".db")); err != nil {
			return r, fmt.Errorf("put the databases in place: %w", err)
		}
	}
	if err := os.Rename(f.Keys(), filepath.Join(dir, dirKeys)); err != nil {
		return r, fmt.Errorf("put the keys in place: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, fileFormat), []byte(formatVersion)); err != nil {
		return r, err
	}
	r.Restored = deps.Now().Sub(began)

	say("starting a server on the loopback")
	mark := deps.Now()
	deps.Terminal, deps.ConfigFile, deps.Listening = nil, "", nil
	s, err := New(ctx, play, deps)
	if err != nil {
		return r, fmt.Errorf("the server would not start: %w", err)
	}
	defer func() { err = joined(err, s.Close()) }()
	address, stop, err := s.serveLoopback(ctx)
	if err != nil {
		return r, err
	}
	defer stop()
	r.Started = deps.Now().Sub(mark)
	clients, err := s.enrolment.Clients(ctx)
	if err != nil {
		return r, err
	}
	r.Clients = len(clients)
	mark = deps.Now()
	if err := s.playClient(ctx, address, &r); err != nil {
		return r, fmt.Errorf("a client would not be served: %w", err)
	}
	r.Polled = deps.Now().Sub(mark)
	r.Total = deps.Now().Sub(began)
	return r, nil
}

// rehearsalFolder makes a folder and removes those that rehearsals left which
// were killed.
func rehearsalFolder(data string) (string, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", fmt.Errorf("setting data: %w", durable.Kind(err))
	}
	left, err := filepath.Glob(filepath.Join(data, rehearsalPrefix+"*"))
	if err != nil {
		return "", fmt.Errorf("setting data: %w", err)
	}
	for _, dir := range left {
		d, err := lockDataDir(dir)
		if errors.Is(err, dormer.ErrConflict) {
			return "", fmt.Errorf("another rehearsal is under way: %w", dormer.ErrConflict)
		}
		if err != nil {
			return "", err
		}
		if err := errors.Join(os.RemoveAll(dir), d.Close()); err != nil {
			return "", fmt.Errorf("remove an earlier rehearsal: %w", err)
		}
	}
	dir, err := os.MkdirTemp(data, rehearsalPrefix)
	if err != nil {
		return "", fmt.Errorf("setting data: %w", durable.Kind(err))
	}
	return dir, nil
}

// serveLoopback serves on a port of the loopback until stop is called.
func (s *Server) serveLoopback(ctx context.Context) (address string, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen[0])
	if err != nil {
		return "", nil, fmt.Errorf("listen on the loopback: %w", err)
	}
	h := &http.Server{Handler: s.handler, ReadHeaderTimeout: headerTime, ErrorLog: nil}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(s.secure(l)) // ends with Close
	}()
	return l.Addr().String(), func() {
		_ = h.Close() // nobody is served any more
		<-ended
	}, nil
}

// playClient enrols a client with a key of its own, polls, checks the signed
// answer, and fetches an object.
func (s *Server) playClient(ctx context.Context, address string, r *rehearsal) error {
	_, token, err := s.enrolment.CreateJoinToken(ctx, enroll.JoinRequest{
		Name: "rehearsal", URL: "https://" + address, Authority: s.Fingerprint(), AdmitsManaged: true, MaxUses: 1, Lifetime: time.Hour, By: "SYSTEM",
	})
	if err != nil {
		return err
	}
	invitation, err := enroll.ParseJoinToken(token)
	if err != nil {
		return err
	}
	key, err := seal.NewFileKey(s.deps.Random)
	if err != nil {
		return err
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		return err
	}
	host := wire.Host{Name: "rehearsal", OS: "linux", Arch: "amd64", MemoryMiB: 1024, Processors: 1}
	enrolled, authority, err := uplink.Enrol(ctx, invitation, wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: invitation.Secret, PublicKey: public, Managed: true, Host: host, AgentVersion: s.deps.Version,
	}, s.deps.Now, "dormerd")
	if err != nil {
		return err
	}
	set, err := seal.OpenKeySet(enrolled.RootKey, enrolled.KeySet)
	if err != nil {
		return fmt.Errorf("the key set: %w", err)
	}
	u, err := uplink.New(uplink.Config{
		Servers: []string{"https://" + address}, Authority: authority, Client: enrolled.Client, Key: key, Time: s.deps.Now, Random: s.deps.Random, UserAgent: "dormerd",
	})
	if err != nil {
		return err
	}
	defer u.Close()
	nonce := make([]byte, 16)
	if _, err := io.ReadFull(s.deps.Random, nonce); err != nil {
		return fmt.Errorf("make a nonce: %w", err)
	}
	err = u.Poll(ctx, wire.PollRequest{
		Protocol: wire.ProtocolVersion, Nonce: nonce, AgentVersion: s.deps.Version, Host: host, KeySet: set.Version, Epoch: set.Epoch,
	}, func(e seal.Envelope) error {
		payload, err := set.Open(seal.TypeAnswer, e)
		if err != nil {
			return fmt.Errorf("the answer to a poll: %w", err)
		}
		var a wire.PollAnswer
		if err := json.Unmarshal(payload, &a); err != nil || !bytes.Equal(a.Nonce, nonce) || a.Instance != s.instance || a.Epoch != s.epoch {
			return fmt.Errorf("the answer to a poll is not this server's: %w", dormer.ErrCorrupt)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.playFetch(ctx, u, r)
}

// playFetch fetches the manifest of the newest version of an image and checks
// that it is the image's, and that the repository holds all its objects.
func (s *Server) playFetch(ctx context.Context, u *uplink.Uplink, r *rehearsal) error {
	names, err := s.images.Names(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	v, err := s.images.Version(ctx, names[0], 0)
	if err != nil {
		return err
	}
	name, err := imageformat.ManifestName(v.Image)
	if err != nil {
		return err
	}
	c, base, authorize := u.Objects()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+name, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if err := authorize(q); err != nil {
		return err
	}
	answer, err := c.Do(q)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, imageformat.MaxManifest+1))
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: status %d: %w", name, answer.StatusCode, errors.Join(dormer.ErrUnavailable, err))
	}
	m, err := imageformat.OpenPinnedManifest(v.Image, b)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	for _, o := range m.Objects {
		blob, err := s.images.Open(ctx, o.Name)
		if err != nil {
			return fmt.Errorf("image %s: %w", v.Name, err)
		}
		size := blob.Size()
		if err := blob.Close(); err != nil || size != o.Size {
			return fmt.Errorf("image %s: object %s is not whole: %w", v.Name, o.Name, errors.Join(dormer.ErrCorrupt, err))
		}
	}
	r.Image = fmt.Sprintf("%s %d", v.Name, v.Number)
	return nil
}

// text tells what was proved.
func (r rehearsal) text() string {
	lines := []string{
		fmt.Sprintf("Restored keys, databases and images of epoch %d in %s.", r.Source, r.Restored.Round(time.Millisecond)),
		fmt.Sprintf("A server started on them in %s; it knows %d clients.", r.Started.Round(time.Millisecond), r.Clients),
		fmt.Sprintf("A client was enrolled, polled, and checked the signed answer in %s.", r.Polled.Round(time.Millisecond)),
	}
	if r.Image == "" {
		lines = append(lines, "There is no image to fetch.")
	} else {
		lines = append(lines, fmt.Sprintf("It fetched the manifest of %s, and all objects of the image are there.", r.Image))
	}
	lines = append(lines, fmt.Sprintf("Everything was thrown away; nothing was changed at the target. %s in all.", r.Total.Round(time.Millisecond)))
	return strings.Join(lines, "\n") + "\n"
}
