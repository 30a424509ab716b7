package workbench

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/seal"
)

// openBench opens a bench in a folder before a server that answers as h does.
func openBench(t *testing.T, dir string, h http.HandlerFunc) *Bench {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	b, err := Open(Config{
		Folder: dir, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Server: func() (*apiclient.Client, string, error) {
			c, err := apiclient.New(apiclient.Config{Server: s.URL, Token: "token"})
			return c, s.URL, err
		},
		Signer: func(context.Context, *apiclient.Client) (*seal.SigningKey, error) { return nil, dormer.ErrDenied },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBenchKeeps: test images outlive the program; one program has the bench.
func TestBenchKeeps(t *testing.T) {
	dir, disk := t.TempDir(), filepath.Join(t.TempDir(), "a.raw")
	if err := os.WriteFile(disk, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBench(t, dir, http.NotFound)
	for _, name := range []string{"second", "first"} {
		if _, err := b.AddTest(name, disk, "raw"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(b.config); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a second program: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openBench(t, dir, http.NotFound)
	if got := b.Tests(); len(got) != 2 || got[0].Name != "first" || got[1].Disk != disk {
		t.Errorf("kept: %+v", got)
	}
	if err := b.RemoveTest("first"); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveTest("first"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("forgetting it twice: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{"nonsense": dormer.ErrCorrupt, `{"version": 9}`: dormer.ErrUnsupported} {
		if err := os.WriteFile(filepath.Join(dir, benchFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(b.config); !errors.Is(err, want) {
			t.Errorf("with the list %s: %v, want %v", text, err, want)
		}
	}
}

// TestJobs: those of one kind run one after the other; what runs and what waits
// can be cancelled, and closing the bench cancels all.
func TestJobs(t *testing.T) {
	asked := make(chan string, 10)
	b := openBench(t, t.TempDir(), func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		<-r.Context().Done() // a server that takes its time
	})
	begin := func(kind JobKind, name string) Job {
		t.Helper()
		j, err := b.Begin(NewJob{Kind: kind, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	ended := func(id string) Job {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for limit := time.After(10 * time.Second); ; {
			j, err := b.Job(id)
			if err != nil || j.State.Ended() {
				return j
			}
			select {
			case <-limit:
				t.Fatalf("it does not end: %+v", j)
			case <-tick.C:
			}
		}
	}
	first := begin(JobVerify, "first")
	if got := <-asked; got != "/api/v1/images/first" {
		t.Errorf("asked for %s", got)
	}
	second, third := begin(JobVerify, "second"), begin(JobVerify, "third")
	other := begin(JobDownload, "first")
	if got := <-asked; got != "/api/v1/images/first" {
		t.Errorf("a job of another kind waits; asked for %s", got)
	}
	if _, err := b.Begin(NewJob{Kind: JobVerify, Name: "second"}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("the same job twice: %v", err)
	}
	for id, want := range map[string]JobState{first.ID: JobRunning, second.ID: JobWaiting, third.ID: JobWaiting, other.ID: JobRunning} {
		if j, err := b.Job(id); err != nil || j.State != want {
			t.Errorf("%s of %s: %s, %v, want %s", j.Ask.Kind, j.Ask.Name, j.State, err, want)
		}
	}
	for _, j := range []Job{second, first} { // one that waits, one that runs
		if err := b.RemoveJob(j.ID); err != nil {
			t.Fatal(err)
		}
		if j := ended(j.ID); j.State != JobCancelled || j.Ended.IsZero() {
			t.Errorf("cancelled: %+v", j)
		}
	}
	if got := <-asked; got != "/api/v1/images/third" {
		t.Errorf("next is asked for %s", got)
	}
	if err := b.RemoveJob(first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Job(first.ID); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("what was forgotten: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, j := range b.Jobs() {
		if j.State != JobCancelled {
			t.Errorf("after the end: %s %s", j.Ask.Name, j.State)
		}
	}
}

// TestRate: it is measured over what was done since, and not over what was there.
func TestRate(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := &Bench{config: Config{Now: func() time.Time { return now }}}
	j := &Job{measured: now}
	b.progress(j, 1000, 5000) // was there already
	now = now.Add(2 * time.Second)
	b.progress(j, 3000, 5000)
	if j.Rate != 1000 || j.Done != 3000 || j.Total != 5000 {
		t.Errorf("%+v", j)
	}
}
