package producttest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/producttest/stage"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/standby"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// serveProgram is dormerd as cmd/dormerd runs it.
func serveProgram() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return server.Command("1.0-test", os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
}

// place is a computer with a dormerd: a data folder, a configuration, a port.
type place struct {
	t       *testing.T
	name    string
	dir     string
	data    string
	config  string
	address string
	cmd     *exec.Cmd
}

// newPlaces makes two computers that share a target. settings are of [standby].
func newPlaces(t *testing.T, settings string) (primary, other *place) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []*place{{t: t, name: "primary"}, {t: t, name: "standby"}}
	var held []net.Listener // until both have a port
	for _, p := range all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		p.dir, p.address = t.TempDir(), l.Addr().String()
		p.data, p.config = filepath.Join(p.dir, "data"), filepath.Join(p.dir, "dormerd.toml")
	}
	for _, l := range held {
		_ = l.Close()
	}
	for _, p := range all {
		text := fmt.Sprintf("data = %q\nlisten = [%q]\npublic_urls = [%q, %q]\n[clients]\npoll_interval = \"1s\"\n[standby]\nkey_file = %q\ninterval = \"200ms\"\n%s\n",
			p.data, p.address, "https://"+all[0].address, "https://"+all[1].address, key, settings)
		if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.kill()
			if log, err := os.ReadFile(filepath.Join(p.dir, "log")); err == nil && t.Failed() {
				t.Logf("%s:\n%s", p.name, log)
			}
		})
	}
	return all[0], all[1]
}

func (p *place) program(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], append(args, "--config", p.config)...)
	c.Env = append(os.Environ(), roleVariable+"="+roleServer, "AWS_CA_BUNDLE=")
	return c
}

// begin starts dormerd in the background.
func (p *place) begin(args ...string) {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = p.program(args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	p.cmd = nil
}

// run runs a command to its end.
func (p *place) run(args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	c := p.program(args...)
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	err = c.Wait()
	return out.String(), errOut.String(), err
}

func (p *place) instance() *instance {
	cfg := server.Default()
	cfg.Data, cfg.PublicURLs = p.data, []string{"https://" + p.address}
	return &instance{Instance: &stage.Instance{Config: cfg}, t: p.t}
}

func (p *place) serves() bool {
	c, err := net.DialTimeout("tcp", p.address, time.Second)
	return err == nil && c.Close() == nil
}

// logJournals shows what a server has of each client's journal: where something
// is missing, and whether it was received at all.
func (p *place) logJournals() {
	p.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.data, "events.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	list, err := db.QueryContext(p.t.Context(), `SELECT j.client, j.journal, j.watermark, coalesce(e.sequence, 0), coalesce(e.code, 0), coalesce(e.count, 0)
		FROM journals j LEFT JOIN events e ON e.journal = j.id ORDER BY j.id, e.sequence`)
	if err != nil {
		p.t.Fatal(err)
	}
	defer list.Close()
	var journal, text string
	var first, last int
	for list.Next() {
		var client, id string
		var mark, sequence, code, count int
		if err := list.Scan(&client, &id, &mark, &sequence, &code, &count); err != nil {
			p.t.Fatal(err)
		}
		if id != journal {
			if journal != "" {
				text += fmt.Sprintf(" %d-%d", first, last)
			}
			text += fmt.Sprintf("\nclient %q, journal %s, watermark %d, sequences", client, id, mark)
			journal, first, last = id, sequence, sequence
		}
		if sequence > last+1 {
			text += fmt.Sprintf(" %d-%d", first, last)
			first = sequence
		}
		last = sequence
		if count > 1 {
			text += fmt.Sprintf(" (%d stands for %d of code %d)", sequence, count, code)
		}
	}
	if err := list.Err(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%s has%s %d-%d", p.name, text, first, last)
}

// TestFailover kills the primary while clients send events and promotes the
// standby: clients go on by themselves, each event is there once, and the
// primary does not come back.
func TestFailover(t *testing.T) {
	targets := map[string]func(t *testing.T) string{
		"folder": func(t *testing.T) string {
			return fmt.Sprintf("target = %q", "file://"+filepath.Join(t.TempDir(), "target"))
		},
		"bucket": bucketSettings,
	}
	for name, settings := range targets {
		t.Run(name, func(t *testing.T) { failover(t, settings(t)) })
	}
}

func failover(t *testing.T, settings string) {
	primary, other := newPlaces(t, settings)
	primary.begin("serve")
	eventually(t, "the primary serves", primary.serves)
	i := primary.instance()
	i.signIn()
	i.push("office")
	i.user("alice")
	i.workspace("Office", office, grant("alice"))
	other.begin("standby", "follow")

	// Two computers of which users run things as fast as they can.
	agents := []*agentProcess{newAgentProcess(t), newAgentProcess(t)}
	for _, p := range agents {
		p.start()
		if _, err := p.client.Enrol(t.Context(), i.joinToken()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.client.SignIn(t.Context(), "alice", userPassword); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var users sync.WaitGroup
	done := make([]int, len(agents))
	for n, p := range agents {
		users.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				// What was asked for is done, and in the journal, once this returns.
				if _, err := p.client.Run(t.Context(), "Office", agentapi.RunRequest{Application: "Hello"}); err == nil {
					done[n]++
				}
				<-tick.C
			}
		})
	}
	// A rehearsal beside the follower and the primary.
	var played struct {
		Image   string `json:"image"`
		Clients int    `json:"clients"`
	}
	said := ""
	defer func() {
		if t.Failed() {
			t.Logf("rehearse said last: %s", said)
		}
	}()
	eventually(t, "a rehearsal proves that an image can be fetched", func() bool {
		out, stderr, err := other.run("standby", "rehearse", "--json")
		if err != nil || json.Unmarshal([]byte(out), &played) != nil {
			said = stderr
			return false
		}
		return played.Image != "" && played.Clients >= len(agents)
	})
	// Something is always under way.
	eventually(t, "the follower is there", func() bool {
		out, _, err := primary.run("standby", "status", "--json")
		var s struct {
			Followers []standby.FollowerReport `json:"followers"`
		}
		return err == nil && json.Unmarshal([]byte(out), &s) == nil && len(s.Followers) == 1 && s.Followers[0].Behind < 10*time.Second
	})

	// At once after a poll: its events are received and hardly at the target. What
	// comes next must not pass over them.
	var last sync.WaitGroup
	for _, p := range agents {
		last.Go(func() {
			if _, err := p.client.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	last.Wait()
	primary.kill()
	killed := time.Now()
	out, stderr, err := other.run("standby", "promote")
	if err != nil {
		t.Fatalf("promote: %v\n%s", err, stderr)
	}
	promoted := time.Now()
	if !strings.Contains(out, "with epoch 2") {
		t.Errorf("promote says %q", out)
	}
	_ = other.cmd.Wait() // the follower has stopped by itself
	other.begin("serve")
	eventually(t, "the standby serves", other.serves)
	// An agent asks both servers in turn, the one that is away first.
	eventually(t, "a client's poll is answered", func() bool {
		_, err := agents[0].client.Refresh(t.Context())
		return err == nil
	})
	t.Logf("FAILOVER %s: %s from the kill to the end of the promotion, %s to the first poll that was answered",
		t.Name(), promoted.Sub(killed).Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))

	// Users go on for a while, then everything is brought.
	goOn := time.NewTimer(2 * time.Second)
	<-goOn.C
	cancel()
	users.Wait()
	for _, p := range agents {
		eventually(t, "all events are delivered", func() bool {
			st, err := p.client.Refresh(t.Context())
			return err == nil && st.EventsWaiting == 0
		})
	}
	j := other.instance()
	in, err := j.client("").SignIn(t.Context(), rest.SignIn{User: "admin", Password: stage.AdminPassword})
	if err != nil {
		t.Fatal(err)
	}
	j.Admin = j.client(in.Token)
	sum := 0
	for _, n := range done {
		sum += n
	}
	if sum == 0 {
		t.Error("nothing was run at all")
	}
	if n := j.count("process", event.ApplicationRun); n != sum {
		t.Errorf("%d applications were run and acknowledged, %d are in the report", sum, n)
		primary.logJournals()
		other.logJournals()
	}
	if n := j.count("process", event.Enrolled); n != len(agents) {
		t.Errorf("%d enrolments are in the report", n)
	}

	// The old primary comes back and refuses.
	if _, stderr, err := primary.run("serve"); err == nil || !strings.Contains(stderr, "has taken over with epoch 2") {
		t.Errorf("the old primary comes back: %v\n%s", err, stderr)
	}
	// So it does without the target, once it has known.
	if _, stderr, err := primary.run("serve", "--accept-split-brain"); err == nil || !strings.Contains(stderr, "epoch 2") {
		t.Errorf("the old primary comes back for the second time: %v\n%s", err, stderr)
	}
	// Another rehearsal, from what the new server ships.
	eventually(t, "the new server can be followed", func() bool {
		out, _, err := primary.run("standby", "rehearse", "--json")
		return err == nil && strings.Contains(out, `"source": 2`)
	})
}

// TestPromotedBesideThePrimary: a primary that is still on serves nobody any
// more once another was promoted, and the other needs to have followed nothing.
func TestPromotedBesideThePrimary(t *testing.T) {
	primary, other := newPlaces(t, fmt.Sprintf("target = %q", "file://"+filepath.Join(t.TempDir(), "target")))
	primary.begin("serve")
	eventually(t, "the primary serves", primary.serves)
	i := primary.instance()
	i.signIn()
	p := newAgentProcess(t)
	p.start()
	if _, err := p.client.Enrol(t.Context(), i.joinToken()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is shipped", func() bool {
		out, _, err := primary.run("standby", "status")
		return err == nil && strings.Contains(out, "whole; sign of life") && !strings.Contains(out, "never")
	})
	if out, stderr, err := other.run("standby", "promote", "--json"); err != nil || !strings.Contains(out, `"epoch": 2`) {
		t.Fatalf("promote: %v\n%s%s", err, out, stderr)
	}
	eventually(t, "the primary refuses operators", func() bool {
		_, err := i.Admin.Users(t.Context())
		return errors.Is(err, dormer.ErrFenced)
	})
	other.begin("serve")
	eventually(t, "the standby serves", other.serves)
	eventually(t, "the client is with the standby", func() bool {
		st, err := p.client.Refresh(t.Context())
		return err == nil && st.Epoch == 2 && st.EventsWaiting == 0
	})
	// Whoever comes second has nothing to promote from an epoch that is over.
	primary.kill()
	if _, stderr, err := primary.run("serve"); err == nil || !strings.Contains(stderr, "epoch 2") {
		t.Errorf("the primary starts again: %v\n%s", err, stderr)
	}
}

// TestTargetLost: a server does not start without its target unless it is told
// to, and what a standby has is promoted without it only if that is asked for.
func TestTargetLost(t *testing.T) {
	mount := t.TempDir()
	target := filepath.Join(mount, "target")
	primary, other := newPlaces(t, fmt.Sprintf("target = %q", "file://"+target))
	primary.begin("serve")
	eventually(t, "the primary serves", primary.serves)
	i := primary.instance()
	i.signIn()
	i.user("alice")
	other.begin("standby", "follow")
	eventually(t, "the follower has everything", func() bool {
		out, _, err := primary.run("standby", "status")
		return err == nil && strings.Contains(out, "has everything")
	})
	primary.kill()
	if err := os.Rename(target, filepath.Join(mount, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	for _, empty := range []bool{false, true} {
		if empty {
			if err := os.Mkdir(target, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, stderr, err := primary.run("serve"); err == nil || !strings.Contains(stderr, "--accept-split-brain") {
			t.Errorf("started without its target (empty: %v): %v\n%s", empty, err, stderr)
		}
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
	}
	primary.begin("serve", "--accept-split-brain")
	eventually(t, "the primary serves without its target", primary.serves)
	primary.kill()
	if err := os.RemoveAll(target); err != nil { // which it has made anew
		t.Fatal(err)
	}
	if _, stderr, err := other.run("standby", "promote"); err == nil || !strings.Contains(stderr, "--accept-split-brain promotes") {
		t.Errorf("promoted without the target: %v\n%s", err, stderr)
	}
	if out, stderr, err := other.run("standby", "promote", "--accept-split-brain"); err != nil || !strings.Contains(out, "epoch 2") {
		t.Fatalf("promote what is here: %v\n%s%s", err, out, stderr)
	}
	other.begin("serve", "--accept-split-brain")
	eventually(t, "the standby serves", other.serves)
	j := other.instance()
	if _, err := j.client("").SignIn(t.Context(), rest.SignIn{User: "admin", Password: stage.AdminPassword}); err != nil {
		t.Error(err)
	}
}

// TestPromoteKilled kills follower and promotion at any moment: repeated, the
// promotion completes, with everything that was safe.
func TestPromoteKilled(t *testing.T) {
	target := filepath.Join(t.TempDir(), "target")
	primary, other := newPlaces(t, fmt.Sprintf("target = %q", "file://"+target))
	primary.begin("serve")
	eventually(t, "the primary serves", primary.serves)
	i := primary.instance()
	i.signIn()
	for n := range 20 {
		if n%5 == 0 {
			other.kill()
			other.begin("standby", "follow")
		}
		i.user(fmt.Sprint("user", n))
	}
	eventually(t, "all is shipped", func() bool {
		out, _, err := primary.run("standby", "status", "--json")
		var s struct {
			Safe time.Time `json:"safe"`
		}
		return err == nil && json.Unmarshal([]byte(out), &s) == nil && !s.Safe.IsZero()
	})
	out, stderr, err := other.run("standby", "rehearse")
	if err != nil {
		t.Fatalf("rehearse: %v\n%s", err, stderr)
	}
	for _, says := range []string{"Restored keys", "polled", "thrown away"} {
		if !strings.Contains(out, says) {
			t.Errorf("rehearse says %q", out)
		}
	}
	if err := primary.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = primary.cmd.Wait() // it stopped in an orderly way and shipped the rest
	other.kill()
	tries := 0
	for pause := 50 * time.Millisecond; ; pause += 50 * time.Millisecond {
		tries++
		c := other.program("standby", "promote")
		var errOut bytes.Buffer
		c.Stderr = &errOut
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(pause, func() { _ = c.Process.Kill() })
		err := c.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Exited() {
			if strings.Contains(errOut.String(), "is a server's") {
				break // it was killed after the last step
			}
			t.Fatalf("promote: %v\n%s", err, errOut.String())
		}
	}
	t.Logf("promoted after %d tries", tries)
	other.begin("serve")
	eventually(t, "the standby serves", other.serves)
	j := other.instance()
	var in rest.SignedIn
	eventually(t, "an operator signs in", func() bool {
		in, err = j.client("").SignIn(t.Context(), rest.SignIn{User: "admin", Password: stage.AdminPassword})
		return err == nil
	})
	j.Admin = j.client(in.Token)
	// 20 and the first operator.
	if all, err := j.Admin.Users(t.Context()); err != nil || len(all) != 21 {
		t.Errorf("%d users, %v", len(all), err)
	}
}

// bucketSettings runs versitygw over a folder.
func bucketSettings(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("../../scripts/versitygw.sh").Output()
	if err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("versitygw is needed for buckets: %v", err)
		}
		t.Skipf("SKIPPED: versitygw is needed for buckets: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	// A folder at the top is a bucket.
	if err := os.MkdirAll(filepath.Join(dir, "data", "standby"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sidecar"), 0o700); err != nil {
		t.Fatal(err)
	}
	credentials := filepath.Join(dir, "credentials")
	if err := os.WriteFile(credentials, []byte("test\ntesttesttest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(lines[len(lines)-1], "--port", address, "posix", "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "data"))
	c.Env = append(os.Environ(), "ROOT_ACCESS_KEY=test", "ROOT_SECRET_KEY=testtesttest")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	eventually(t, "versitygw listens", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		return err == nil && c.Close() == nil
	})
	return fmt.Sprintf("target = \"s3://standby/prefix\"\ns3_endpoint = %q\ncredentials_file = %q", "http://"+address, credentials)
}
