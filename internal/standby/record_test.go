package standby

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"
	"github.com/superfly/ltx"

	"github.com/dormer-project/dormer"
)

func TestStandingOf(t *testing.T) {
	for _, x := range []struct {
		record *Record
		want   standing
	}{
		{nil, standingNew},
		{&Record{Instance: "i", Epoch: 3, Owner: "me"}, standingRules},
		{&Record{Instance: "i", Epoch: 3, Owner: "you"}, standingTwin},
		{&Record{Instance: "i", Epoch: 2, Owner: "me"}, standingHigher},
		{&Record{Instance: "i", Epoch: 2, Owner: "you"}, standingHigher},
		{&Record{Instance: "i", Epoch: 4, Owner: "me"}, standingSuperseded},
		{&Record{Instance: "i", Epoch: 4, Owner: "you"}, standingSuperseded},
		{&Record{Instance: "j", Epoch: 3, Owner: "me"}, standingForeign},
		{&Record{Instance: "j", Epoch: 9, Owner: "you"}, standingForeign},
	} {
		if got := standingOf(x.record, "i", 3, "me"); got != x.want {
			t.Errorf("%+v: %d, expected %d", x.record, got, x.want)
		}
	}
}

// TestRuleRefuses: who may not ship does not.
func TestRuleRefuses(t *testing.T) {
	url := "file://" + filepath.Join(t.TempDir(), "target")
	open := func() *Target { return openTarget(t, TargetConfig{URL: url}) }
	p := newPrimary(t)
	p.run(open())
	p.sync()
	p.stop()
	if err := p.rule(open()); err != nil {
		t.Errorf("it comes back: %v", err)
	}
	twin := newPrimary(t)
	if err := twin.rule(open()); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a copy of the folder: %v", err)
	}
	restored := newPrimary(t)
	restored.epoch = 5
	if err := restored.rule(open()); err != nil {
		t.Errorf("a restored server: %v", err)
	}
	if err := p.rule(open()); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("the server from before the restore: %v", err)
	}
	if e := <-p.fenced; e != 5 {
		t.Errorf("fenced by %d", e)
	}
}

// TestTargetAway: nothing is called safe while the target is away or empty, it
// is not filled in its place, and all arrives when it is back.
func TestTargetAway(t *testing.T) {
	mount := t.TempDir()
	dir := filepath.Join(mount, "target")
	target := openTarget(t, TargetConfig{URL: "file://" + dir})
	p := newPrimary(t)
	p.run(target)
	p.insert(1)
	p.sync()
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	p.insert(2)
	if err := p.shipper.Sync(t.Context()); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without the target: %v", err)
	}
	// A round that was under way may have made its folder anew.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if s := p.shipper.Status(); s.Error == "" {
		t.Error("the status says nothing")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := p.shipper.Sync(t.Context()); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("with an empty target: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("in the place of the target: %v, %v", left, err)
	}
	cfg := p.shipper.cfg
	cfg.Known = true
	if err := NewShipper(cfg).Rule(t.Context(), false); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("rules at an empty target that it knows: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ships again", func() bool { return p.shipper.Sync(t.Context()) == nil })
	f, _ := testFollower(t, target)
	if err := f.CatchUp(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, f.Database("state")); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// replicaFunc does something before each change is written.
type replicaFunc struct {
	litestream.ReplicaClient
	before func()
}

func (r replicaFunc) WriteLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, b io.Reader) (*ltx.FileInfo, error) {
	r.before()
	return r.ReplicaClient.WriteLTXFile(ctx, level, minTXID, maxTXID, b)
}

// TestTargetGoesWhileShipping: what was written into the place of a target that
// is not mounted any more is not safe, and is written again when it is back.
func TestTargetGoesWhileShipping(t *testing.T) {
	mount := t.TempDir()
	dir, moved := filepath.Join(mount, "target"), filepath.Join(mount, "moved")
	target := openTarget(t, TargetConfig{URL: "file://" + dir})
	var gone atomic.Bool
	target.replica = func(name string) litestream.ReplicaClient {
		return replicaFunc{file.NewReplicaClient(filepath.Join(dir, name)), func() {
			if gone.CompareAndSwap(true, false) {
				if err := os.Rename(dir, moved); err != nil {
					t.Error(err)
				}
			}
		}}
	}
	p := newPrimary(t)
	p.run(target)
	p.insert(1)
	p.sync()
	gone.Store(true)
	p.insert(2)
	if err := p.shipper.Sync(t.Context()); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without the target: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	p.insert(3)
	eventually(t, "it ships again", func() bool { return p.shipper.Sync(t.Context()) == nil })
	f, _ := testFollower(t, target)
	if err := f.CatchUp(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, f.Database("state")); n != 3 {
		t.Errorf("%d rows", n)
	}
}

// TestImagesAreMirrored: what is added comes, what is swept goes, what another
// has put at the target stays.
func TestImagesAreMirrored(t *testing.T) {
	target := openTarget(t, TargetConfig{URL: "file://" + filepath.Join(t.TempDir(), "target")})
	p := newPrimary(t)
	p.run(target)
	p.sync()
	at := func(name string) bool {
		f, err := target.Open(t.Context(), prefixRepository+name)
		return err == nil && f.Close() == nil
	}
	eventually(t, "the first objects are there", func() bool { return at("names/i/office/000000001") && at("packs/ab/abcd") })
	if at("pending/i/x") {
		t.Error("a push under way was shipped")
	}
	if err := target.Put(t.Context(), prefixRepository+"packs/another", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, "repository", "packs", "new"), "new")
	if err := os.Remove(filepath.Join(p.dir, "repository", "packs", "ab", "abcd")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is there", func() bool { return at("packs/new") && !at("packs/ab/abcd") })
	if !at("packs/another") {
		t.Error("another's object was removed")
	}
	// A folder that is empty is not mounted.
	if err := os.RemoveAll(filepath.Join(p.dir, "repository")); err != nil {
		t.Fatal(err)
	}
	if changed, err := p.shipper.images.ship(t.Context(), target, func(context.Context) error { return nil }); changed || err != nil {
		t.Errorf("shipped from nowhere: %v, %v", changed, err)
	}
	dir, near := t.TempDir(), t.TempDir()
	write(t, filepath.Join(near, "packs", "new"), "new")
	write(t, filepath.Join(dir, "packs", "gone"), "gone")
	if err := target.fetchImages(t.Context(), dir, near); err != nil {
		t.Fatal(err)
	}
	here, err := localObjects(t.Context(), dir)
	if err != nil || len(here) != 3 || here["packs/new"] != 3 {
		t.Errorf("fetched %v, %v", here, err)
	}
	a, err := os.Stat(filepath.Join(dir, "packs", "new"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(filepath.Join(near, "packs", "new"))
	if err != nil || !os.SameFile(a, b) {
		t.Errorf("an object that is near was fetched: %v", err)
	}
}

func TestFollowersAndSignsOfLife(t *testing.T) {
	target := openTarget(t, TargetConfig{URL: "file://" + filepath.Join(t.TempDir(), "target")})
	now := time.Now().UTC()
	for _, r := range []FollowerReport{
		{Owner: "a", Host: "one", Time: now, Behind: time.Minute}, {Owner: "b", Host: "two", Time: now.Add(-20 * 24 * time.Hour)},
	} {
		if err := target.putJSON(t.Context(), prefixFollowers+r.Owner, r); err != nil {
			t.Fatal(err)
		}
	}
	all, err := target.Followers(t.Context())
	if err != nil || len(all) != 1 || all[0].Host != "one" {
		t.Errorf("followers: %+v, %v", all, err)
	}
	if err := target.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if told, _, err := target.Alive(t.Context(), 1); err != nil || !told.IsZero() {
		t.Errorf("alive: %v, %v", told, err)
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"file:///srv/standby", "s3://bucket", "s3://bucket/a/prefix", "sftp://dormer@standby.example.com/srv/x", "sftp://dormer@standby.example.com:2222/srv/x"} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/srv", "file:///", "file://host/x", "s3:///x", "sftp://host/x", "sftp://u:secret@host/x", "sftp://u@host/", "https://x/y", "s3://b?x=y", "\x00"} {
		err := CheckURL(bad)
		if !errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadLock(t *testing.T) {
	for content, good := range map[string]bool{
		"a passphrase of some length\n": true, "too short\n": false, "": false,
		"AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9\n": true,
		"AGE-SECRET-KEY-1WRONG\n": false,
	} {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, content)
		l, err := ReadLock(path)
		if (err == nil) != good {
			t.Errorf("%q: %v", content, err)
			continue
		}
		if !good {
			if content != "" && strings.Contains(err.Error(), strings.TrimSpace(content)) {
				t.Errorf("the error repeats the secret: %v", err)
			}
			continue
		}
		if r, ok := l.recipient.(*age.ScryptRecipient); ok {
			r.SetWorkFactor(10) // as it is it takes a second, and many with the race detector
		}
		sealed, err := l.seal([]byte("secret"))
		if err != nil || bytes.Contains(sealed, []byte("secret")) {
			t.Fatalf("seal: %v", err)
		}
		if b, err := l.open(sealed); err != nil || string(b) != "secret" {
			t.Errorf("open: %q, %v", b, err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := l.open(sealed); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("open what was changed: %v", err)
		}
	}
	other := filepath.Join(t.TempDir(), "key")
	write(t, other, "another passphrase of some length")
	l, err := ReadLock(other)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := testLock(t).seal(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.open(sealed); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("with another key: %v", err)
	}
}

func FuzzUnpackSecrets(f *testing.F) {
	dir := f.TempDir()
	for _, name := range []string{"root.key", "tls/ca.crt"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	b, err := packSecrets(dir, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(bytes.Replace(b, []byte("keys/root.key"), []byte("keys/../x.key"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := unpackSecrets(b, func(name string, _ []byte) error {
			if name != bundleConfig && (!strings.HasPrefix(name, bundleKeys) || slices.Contains(strings.Split(name, "/"), "..")) {
				t.Errorf("an entry %q", name)
			}
			return nil
		})
		if err != nil && !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(`{"format":1,"instance":"i","epoch":2,"owner":"o","host":"h","source":1,"time":"2025-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"format":2,"instance":"i","epoch":2,"owner":"o"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err == nil && (r.Epoch < 1 || r.Owner == "" || r.Source > r.Epoch) {
			t.Errorf("%+v", r)
		}
		if err != nil && !errors.Is(err, dormer.ErrCorrupt) && !errors.Is(err, dormer.ErrUnsupported) {
			t.Errorf("%v", err)
		}
	})
}
