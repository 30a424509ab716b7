package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// flip changes one bit of a file at an offset.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// largest returns the largest file below a folder whose name ends so.
func largest(t *testing.T, dir, suffix string) (path string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(p, suffix) {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			path, size = p, info.Size()
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no file *%s in %s: %v", suffix, dir, err)
	}
	return path, size
}

// damagedClient is a bit that flips on the client's disk: it is found where it
// is read, named, and the frame is fetched again.
func (s *suite) damagedClient(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Old disk", image: s.instance.image(t, "tiny/1")})
	d.boots(t, "Old disk")
	d.expect(t, "Old disk", "note", "1")
	d.dormer(t, "stop", "Old disk")
	pack, size := largest(t, d.images, ".data")
	before := read(t, pack)
	// One bit in each of many frames, so that some are read.
	for n := range int64(64) {
		flip(t, pack, size*n/64+size/128)
	}
	d.boots(t, "Old disk")
	d.expect(t, "Old disk", "note", "2")
	if read(t, pack) != before {
		t.Error("the stored image is not as it was")
	}
	d.dormer(t, "stop", "Old disk", "--kill")
	events := d.delivered(t)
	once(t, events)
	if count(events, codeBlockCorrupt, "frame") == 0 {
		t.Error("the report does not name a damaged frame")
	}
}

// packs are the stored packs of the client's images.
func (d *desk) packs(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(d.images, "packs", "*.data"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// atlas is the SHA-256 of the file that only the second version of the guest
// has, as sha256sum prints it.
func atlas() string {
	h := sha256.New()
	x := int64(42)
	for range 250000 {
		x = x * 16807 % (1<<31 - 1)
		fmt.Fprintf(h, "%08x", x)
	}
	return fmt.Sprintf("%x  -", h.Sum(nil))
}

// mended is a bit that flips on the client's disk while a machine runs, in what
// it has not read yet: the machine waits until it was fetched again. old are
// the packs that are left alone.
func (d *desk) mended(t *testing.T, name, application, want string, old []string) {
	t.Helper()
	good := map[string]string{}
	for _, pack := range d.packs(t) {
		if slices.Contains(old, pack) {
			continue
		}
		good[pack] = read(t, pack)
		size := int64(len(good[pack]))
		for n := range int64(64) {
			flip(t, pack, size*n/64+size/128)
		}
	}
	if len(good) == 0 {
		t.Fatal("the second version brought no pack")
	}
	began := time.Now()
	d.expect(t, name, application, want)
	t.Logf("%s ran with a damaged image after %.1f s", application, time.Since(began).Seconds())
	for pack, content := range good {
		if read(t, pack) != content {
			t.Error("the stored image is not as it was")
		}
	}
}

// damagedRepository is a repository that lost or changed an object: no half of
// an image is started, and what was wrong is said.
func (s *suite) damagedRepository(t *testing.T) {
	image := s.instance.image(t, "tiny/1")
	d := s.newDesk(t)
	d.given(t, document{name: "Whole", image: image})
	d.awaits(t, soon, "Whole", "is here", func(w workspace) bool { return w.State == "ready" })
	// What this client has is what the next one will ask for.
	pack, size := largest(t, d.images, ".data")
	pack = filepath.Join(s.instance.dir, "repository", "packs", strings.TrimSuffix(filepath.Base(pack), ".data"))
	good := read(t, pack)
	d = s.newDesk(t)

	if err := os.Remove(pack); err != nil {
		t.Fatal(err)
	}
	d.apply(t, document{name: "Torn", image: image})
	d.dormer(t, "refresh")
	w := d.awaits(t, soon, "Torn", "has failed", func(w workspace) bool { return w.State == "failed" })
	said := d.refused(t, "start", "Torn")
	t.Logf("an object is missing: %s", said)
	if !strings.Contains(said, "not found") || !strings.Contains(said, filepath.Base(pack)[:8]) {
		t.Errorf("an object is missing: status %q, start %s", w.Error, said)
	}

	write(t, pack, good)
	flip(t, pack, size/2)
	said = d.refused(t, "start", "Torn")
	t.Logf("an object is damaged: %s", said)
	if !strings.Contains(said, "corrupt") && !strings.Contains(said, "damaged") || !strings.Contains(said, "frame") {
		t.Errorf("an object is damaged: %s", said)
	}
	if a := s.instance.admin.tries(t.Context(), t, "", "image", "verify", "tiny/1"); a.code != 8 {
		t.Errorf("verify does not find it: %s", a)
	}
	if n := len(d.machineFolders()); n != 0 {
		t.Errorf("a machine was made of half an image")
	}

	write(t, pack, good)
	d.boots(t, "Torn")
	d.expect(t, "Torn", "note", "1")
	d.dormer(t, "stop", "Torn", "--kill")
	events := d.delivered(t)
	once(t, events)
	if count(events, codeImageFailed, "tiny/1") == 0 {
		t.Error("the report does not tell of the missing object")
	}
	if count(events, codeImageRefused, "frame") == 0 {
		t.Error("the report does not tell of the damaged object")
	}
}

// otherAuthority is a server whose authority was replaced: clients refuse it,
// say so, and keep what they have.
func (s *suite) otherAuthority(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Loyal", image: s.instance.image(t, "tiny/1")})
	d.boots(t, "Loyal")
	d.dormer(t, "stop", "Loyal")
	d.delivered(t)

	tls, kept := filepath.Dir(s.instance.authority()), filepath.Join(s.instance.dir, "kept")
	s.instance.server.stop(t)
	if err := os.Rename(tls, kept); err != nil {
		t.Fatal(err)
	}
	s.instance.start(t)
	said := d.refused(t, "refresh")
	t.Logf("refused: %s", said)
	if !strings.Contains(said, "certificate") && !strings.Contains(said, "authority") {
		t.Errorf("another authority: %s", said)
	}
	st := d.status(t)
	if st.Online || st.Problem == "" || len(st.Workspaces) != 1 || !st.Workspaces[0].Permitted {
		t.Errorf("another authority: %+v", st)
	}
	d.daemon.kill()
	d.startAgent(t)
	d.boots(t, "Loyal")
	d.expect(t, "Loyal", "note", "1")

	s.instance.server.stop(t)
	if err := os.RemoveAll(tls); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, tls); err != nil {
		t.Fatal(err)
	}
	s.instance.start(t)
	d.delivered(t)
	d.expect(t, "Loyal", "note", "2")
	d.dormer(t, "stop", "Loyal", "--kill")
	if n := count(d.delivered(t), codeApplicationRun, "note"); n != 2 {
		t.Errorf("2 notes were written, the report says %d", n)
	}
}
