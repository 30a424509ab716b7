package producttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// order orders what a computer is to do and lets it come for it. It returns the
// order when it was reported as done.
func (i *instance) order(c *computer, o rest.NewOrder) rest.Order {
	i.t.Helper()
	s, err := c.Agent.Status(i.t.Context(), me(alice))
	if err != nil {
		i.t.Fatal(err)
	}
	given, err := i.Admin.Order(i.t.Context(), s.Client, o)
	if err != nil {
		i.t.Fatalf("order %s: %v", o.Kind, err)
	}
	c.mustRefresh()
	eventually(i.t, "order "+o.Kind+" is reported", func() bool {
		if c.refresh() != nil {
			return false
		}
		all, err := i.Admin.Orders(i.t.Context(), s.Client, false)
		if err != nil {
			return false
		}
		for _, known := range all {
			if known.ID == given.ID {
				given = known
			}
		}
		return given.Done != nil
	})
	if given.Error != "" {
		i.t.Errorf("order %s ended with %s", o.Kind, given.Error)
	}
	return given
}

// TestDiagnosticsFromAfar: an operator orders diagnostics, and downloads what the
// client sent.
func TestDiagnosticsFromAfar(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	o := i.order(c, rest.NewOrder{Kind: "diagnostics", Reason: "it is slow"})
	list, err := i.Admin.Diagnostics(t.Context(), o.Client)
	if err != nil || len(list) != 1 || list[0].Order != o.ID || list[0].Bytes == 0 || !list[0].Expires.After(list[0].Received) {
		t.Fatalf("archives are %+v, %v", list, err)
	}
	var archive bytes.Buffer
	if err := i.Admin.DownloadDiagnostics(t.Context(), list[0].ID, &archive); err != nil {
		t.Fatal(err)
	}
	if int64(archive.Len()) != list[0].Bytes {
		t.Errorf("%d bytes came of %d", archive.Len(), list[0].Bytes)
	}
	unpacked, err := gzip.NewReader(&archive)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for members := tar.NewReader(unpacked); ; files++ {
		if _, err := members.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("after %d files: %v", files, err)
		}
	}
	if files == 0 {
		t.Error("the archive is empty")
	}
	if err := i.Admin.DeleteDiagnostics(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := i.Admin.DownloadDiagnostics(t.Context(), list[0].ID, io.Discard); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// TestResetFromAfar: a machine is taken back to its image by order, and is the
// same machine afterwards.
func TestResetFromAfar(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	w := c.mustStart(alice)
	layer := func() string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(c.Dir, "state", "machines", string(w.Machine), "machine.json"))
		if err != nil {
			t.Fatal(err)
		}
		var record struct {
			Layer string `json:"layer"`
		}
		if err := json.Unmarshal(b, &record); err != nil {
			t.Fatal(err)
		}
		return record.Layer
	}
	before, atOnce := layer(), int64(0)
	o := i.order(c, rest.NewOrder{Kind: "reset", Machine: w.Machine, Reason: "it is broken", Grace: &atOnce})
	if o.Host != c.Name || o.Workspace != w.Workspace || o.User != "alice" {
		t.Errorf("the order is to the machine of %q from %q on %q", o.User, o.Workspace, o.Host)
	}
	c.await(alice, "ready")
	if layer() == before {
		t.Errorf("it is still in the layer %q", before)
	}
	if got := c.mustStart(alice); got.Machine != w.Machine {
		t.Errorf("it was %s and is %s", w.Machine, got.Machine)
	}
}

// TestWatchersWhenTheServerStops: a server does not wait for those who listen, and
// they go on where they were when it is back.
func TestWatchersWhenTheServerStops(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, away, ended := make(chan rest.Notice, 100), make(chan error, 100), make(chan error, 1)
	listening := make(chan struct{}, 100)
	go func() {
		ended <- i.Admin.Watch(ctx, 0, apiclient.Watcher{
			Change:  func(n rest.Notice) error { changes <- n; return nil },
			Present: func([]rest.Present) error { listening <- struct{}{}; return nil },
			Away:    func(err error) { away <- err },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	hears := func(name string) {
		t.Helper()
		late := time.After(patience)
		for {
			select {
			case n := <-changes:
				if n.Name == name {
					return
				}
			case <-late:
				t.Fatalf("nobody was told of %s", name)
			}
		}
	}
	<-listening
	i.user("bob")
	hears("bob")
	began := time.Now()
	i.shut()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the server stopped after %s", took)
	}
	select {
	case err := <-away:
		if !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("the stream ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the stream goes on without a server")
	}
	i.start()
	i.user("carol")
	hears("carol")
}
