package imagerepo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/imagerepo/memblobs"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
)

const (
	here  dormer.InstanceID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	there dormer.InstanceID = "baaaaaaaaaaaaaaaaaaaaaaaaa"
)

// world is a storage, the repositories of two instances on it, and a clock.
type world struct {
	blobs *memblobs.Blobs
	now   time.Time
	trust seal.KeySet
	key   *imageformat.RepositoryKey
	repos map[dormer.InstanceID]*imagerepo.Repository
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), repos: map[dormer.InstanceID]*imagerepo.Repository{}}
	clock := func() time.Time { return w.now }
	w.blobs = memblobs.New(clock)
	var signer *seal.SigningKey
	signer, w.trust, w.key = packtest.Keys(t, here)
	for _, id := range []dormer.InstanceID{here, there} {
		r, err := imagerepo.New(w.blobs, imagerepo.Config{
			Instance: id, Trust: func() seal.KeySet { return w.trust }, Now: clock,
			Sign: func(p []byte) seal.Envelope { return signer.Sign(seal.TypeName, p) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.repos[id] = r
	}
	return w
}

func (w *world) repo() *imagerepo.Repository { return w.repos[here] }

// upload begins a push and stores what is missing; it returns how many bytes
// that were.
func upload(t *testing.T, r *imagerepo.Repository, name string, p *imagepack.Packed) (imagerepo.Push, int64) {
	t.Helper()
	push, err := r.BeginPush(t.Context(), name, p.Envelope)
	if err != nil {
		t.Fatalf("BeginPush: %v", err)
	}
	n := int64(0)
	for _, o := range push.Missing {
		f, err := p.Open(o.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.PutObject(t.Context(), push.ID, o.Name, o.Size, f); err != nil {
			t.Fatalf("PutObject: %v", err)
		}
		f.Close()
		n += o.Size
	}
	return push, n
}

func push(t *testing.T, r *imagerepo.Repository, name string, p *imagepack.Packed) (imagerepo.Version, int64) {
	t.Helper()
	u, n := upload(t, r, name, p)
	v, err := r.Commit(t.Context(), u.ID, 0, "alice")
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return v, n
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// versions packs n versions, each with the one before as its base.
func (w *world) versions(t *testing.T, n int) ([]*imagepack.Packed, []packtest.Disk) {
	t.Helper()
	disk := packtest.NewDisk(1, 6<<20)
	var packed []*imagepack.Packed
	var disks []packtest.Disk
	var sources imagesync.Sources
	for i := range n {
		var o imagepack.Options
		if i > 0 {
			disk = disk.Change(uint64(i), 20)
			o.Bases = []imagepack.Base{{Image: packed[i-1].Image, Source: sources, Trust: w.trust}}
		}
		p := packtest.Pack(t, disk, o)
		packed, disks, sources = append(packed, p), append(disks, disk), append(sources, imagesync.DirSource(p.Dir))
	}
	return packed, disks
}

func TestPushAndRead(t *testing.T) {
	w := newWorld(t)
	packed, disks := w.versions(t, 2)
	v1, first := push(t, w.repo(), "Office", packed[0])
	v2, second := push(t, w.repo(), "office", packed[1])
	if v1.Number != 1 || v2.Number != 2 || v1.By != "alice" || !v1.Created.Equal(w.now) {
		t.Errorf("versions are %+v and %+v", v1, v2)
	}
	if second*5 > first {
		t.Errorf("second push sent %d bytes, the first %d", second, first)
	}
	if _, again := push(t, w.repo(), "office", packed[1]); again != 0 {
		t.Errorf("pushing an unchanged image sent %d bytes", again)
	}
	if v, n := push(t, w.repo(), "copy", packed[0]); n != 0 || v.Number != 1 {
		t.Errorf("the same image under another name sent %d bytes and is number %d", n, v.Number)
	}
	names, err := w.repo().Names(t.Context())
	if d := cmp.Diff([]string{"copy", "office"}, names); err != nil || d != "" {
		t.Errorf("Names (-want +got), %v:\n%s", err, d)
	}
	got, err := w.repo().Versions(t.Context(), "OFFICE")
	if err != nil || len(got) != 2 {
		t.Fatalf("Versions = %+v, %v", got, err)
	}
	if got[0].Unique != 0 || got[1].Unique <= 0 || got[1].Unique > second || got[0].Stored < first {
		t.Errorf("sizes are %+v", got)
	}
	for i, v := range got {
		img, err := imagesync.OpenSource(t.Context(), v.Image, w.repo(), w.trust, w.key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(img.Disks()[0], 0, img.Disks()[0].Size()))
		if err != nil || !bytes.Equal(b, disks[i]) {
			t.Errorf("version %d reads wrongly: %v", v.Number, err)
		}
	}
	if names, err := w.repos[there].Names(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("another instance sees %v, %v", names, err)
	}
	_, err = w.repo().Version(t.Context(), "office", 9)
	wantErr(t, "unknown number", err, dormer.ErrNotFound)
	_, err = w.repo().Versions(t.Context(), "nothing")
	wantErr(t, "unknown name", err, dormer.ErrNotFound)
	_, err = w.repo().Versions(t.Context(), "a/b")
	wantErr(t, "forbidden name", err, dormer.ErrInvalid)
}

func TestPushRefuses(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 1)
	p := packed[0]
	r := w.repo()
	for _, name := range []string{"", "a b", "a*b", "../x"} {
		_, err := r.BeginPush(t.Context(), name, p.Envelope)
		wantErr(t, "name "+name, err, dormer.ErrInvalid)
	}
	trust := w.trust
	w.trust = seal.KeySet{}
	_, err := r.BeginPush(t.Context(), "office", p.Envelope)
	wantErr(t, "untrusted publisher", err, dormer.ErrDenied)
	w.trust = trust

	u, err := r.BeginPush(t.Context(), "office", p.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Missing) != len(p.Objects) {
		t.Errorf("%d objects are missing of %d", len(u.Missing), len(p.Objects))
	}
	_, err = r.Commit(t.Context(), u.ID, 0, "alice")
	wantErr(t, "commit with missing objects", err, dormer.ErrConflict)
	o := u.Missing[0]
	bad := bytes.Repeat([]byte{1}, int(o.Size))
	wantErr(t, "wrong content", r.PutObject(t.Context(), u.ID, o.Name, o.Size, bytes.NewReader(bad)), dormer.ErrCorrupt)
	wantErr(t, "wrong size", r.PutObject(t.Context(), u.ID, o.Name, o.Size-1, bytes.NewReader(bad)), dormer.ErrInvalid)
	wantErr(t, "cut", r.PutObject(t.Context(), u.ID, o.Name, o.Size, bytes.NewReader(bad[1:])), dormer.ErrInvalid)
	wantErr(t, "foreign object", r.PutObject(t.Context(), u.ID, "packs/"+strings.Repeat("0", 64), 5, strings.NewReader("12345")), dormer.ErrInvalid)
	wantErr(t, "no object", r.PutObject(t.Context(), u.ID, "names/x", 5, strings.NewReader("12345")), dormer.ErrInvalid)
	wantErr(t, "unknown push", r.PutObject(t.Context(), string(there), o.Name, o.Size, nil), dormer.ErrNotFound)
	wantErr(t, "push that is none", r.PutObject(t.Context(), "../x", o.Name, o.Size, nil), dormer.ErrNotFound)
	if missing, err := r.Missing(t.Context(), u.ID); err != nil || len(missing) != len(u.Missing) {
		t.Errorf("after refused objects %d are missing, %v", len(missing), err)
	}
	w.now = w.now.Add(25 * time.Hour)
	_, err = r.Missing(t.Context(), u.ID)
	wantErr(t, "expired push", err, dormer.ErrNotFound)
	_, err = r.Open(t.Context(), "names/"+string(here)+"/office/000000001")
	wantErr(t, "object that is none", err, dormer.ErrInvalid)
}

func TestSameNumberFromTwoPlaces(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 2)
	var pushes []imagerepo.Push
	for i := range 2 {
		u, _ := upload(t, w.repo(), "office", packed[i])
		pushes = append(pushes, u)
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range pushes {
		wg.Go(func() { _, errs[i] = w.repo().Commit(t.Context(), pushes[i].ID, 7, "alice") })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("commits gave %v and %v, want one winner", errs[0], errs[1])
	}
	var conflict *dormer.ConflictError
	if err := errors.Join(errs...); !errors.As(err, &conflict) || conflict.By != "alice" || !conflict.At.Equal(w.now) {
		t.Errorf("the loser got %v, want a ConflictError that names alice", err)
	}
}

func TestNextNumberFromTwoPlaces(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 4)
	got := make([]int, len(packed))
	var wg sync.WaitGroup
	for i, p := range packed {
		for _, p := range packed[:i] {
			upload(t, w.repo(), "office", p)
		}
		u, _ := upload(t, w.repo(), "office", p)
		wg.Go(func() {
			v, err := w.repo().Commit(t.Context(), u.ID, 0, "alice")
			if err != nil {
				t.Errorf("Commit: %v", err)
			}
			got[i] = v.Number
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for _, n := range got {
		if seen[n] || n < 1 || n > len(packed) {
			t.Errorf("numbers are %v", got)
		}
		seen[n] = true
	}
}

// objects returns the names of all objects that are stored.
func (w *world) objects(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, prefix := range []string{"manifests/", "maps/", "packs/", "keys/"} {
		infos, err := w.blobs.List(t.Context(), prefix, "", 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			out[i.Name] = i.Size
		}
	}
	return out
}

func (w *world) sweep(t *testing.T, after time.Duration) imagerepo.Swept {
	t.Helper()
	w.now = w.now.Add(after)
	s, err := w.repo().Sweep(t.Context())
	if err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	return s
}

func TestDeletionFreesWhatNothingElseUses(t *testing.T) {
	w := newWorld(t)
	packed, disks := w.versions(t, 3)
	for _, p := range packed {
		push(t, w.repo(), "office", p)
	}
	// The other instance has the second version as well.
	push(t, w.repos[there], "theirs", packed[1])
	before := w.objects(t)
	vs, err := w.repo().Versions(t.Context(), "office")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo().Delete(t.Context(), "office", 3, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := w.repo().Delete(t.Context(), "office", 2, "bob"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "second Delete", w.repo().Delete(t.Context(), "office", 3, "bob"), dormer.ErrNotFound)
	if s := w.sweep(t, 0); s.Deleted != 0 || s.Marked == 0 {
		t.Errorf("first sweep: %+v", s)
	}
	if s := w.sweep(t, 71*time.Hour); s.Deleted != 0 {
		t.Errorf("sweep after 71 hours deleted %d", s.Deleted)
	}
	s := w.sweep(t, 2*time.Hour)
	manifest, err := imageformat.ManifestName(packed[2].Image)
	if err != nil {
		t.Fatal(err)
	}
	if want := vs[2].Unique + before[manifest]; s.Freed != want {
		t.Errorf("sweep freed %d bytes, want %d", s.Freed, want)
	}
	for i := range 2 {
		img, err := imagesync.OpenSource(t.Context(), packed[i].Image, w.repo(), w.trust, w.key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(img.Disks()[0], 0, img.Disks()[0].Size()))
		if err != nil || !bytes.Equal(b, disks[i]) {
			t.Errorf("image %d reads wrongly after the sweep: %v", i, err)
		}
	}
	// A number is never used again.
	if v, n := push(t, w.repo(), "office", packed[2]); v.Number != 4 || n == 0 {
		t.Errorf("pushed anew: number %d, %d bytes", v.Number, n)
	}
	u, _ := upload(t, w.repo(), "office", packed[1])
	_, err = w.repo().Commit(t.Context(), u.ID, 3, "alice")
	wantErr(t, "commit of a deleted number", err, dormer.ErrConflict)
	if err := w.repo().Abort(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}

	for id, name := range map[dormer.InstanceID]string{here: "office", there: "theirs"} {
		if _, err := w.repos[id].DeleteAll(t.Context(), name, "bob"); err != nil {
			t.Fatal(err)
		}
	}
	w.sweep(t, 0)
	w.sweep(t, 73*time.Hour)
	if left := w.objects(t); len(left) != 0 {
		t.Errorf("left after deleting everything: %v", left)
	}
	if marks, err := w.blobs.List(t.Context(), "garbage/", "", 10); err != nil || len(marks) != 0 {
		t.Errorf("marks left: %v, %v", marks, err)
	}
}

func TestPushKeepsFromSweep(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 2)
	push(t, w.repo(), "office", packed[0])
	if err := w.repo().Delete(t.Context(), "office", 1, "bob"); err != nil {
		t.Fatal(err)
	}
	w.sweep(t, 0)
	w.now = w.now.Add(73 * time.Hour)
	// The new version needs what is due to be swept.
	u, _ := upload(t, w.repo(), "office", packed[1])
	w.sweep(t, 0)
	if v, err := w.repo().Commit(t.Context(), u.ID, 0, "alice"); err != nil || v.Number != 2 {
		t.Errorf("Commit = %+v, %v", v, err)
	}
	// One that is given up does not keep for ever.
	upload(t, w.repo(), "other", packed[0])
	w.sweep(t, 25*time.Hour)
	w.sweep(t, 73*time.Hour)
	if problems, err := w.repo().Verify(t.Context(), nil); err != nil || len(problems) != 0 {
		t.Errorf("Verify = %v, %v", problems, err)
	}
}

func TestSweepStopsAtWhatItCannotRead(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 1)
	push(t, w.repo(), "office", packed[0])
	name := "names/" + string(here) + "/other/000000001"
	if err := w.blobs.Put(t.Context(), name, strings.NewReader("rubbish"), 7); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo().Sweep(t.Context()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("Sweep: %v, want ErrCorrupt", err)
	}
	if problems, err := w.repo().Verify(t.Context(), nil); err != nil || len(problems) != 1 || problems[0].Object != name {
		t.Errorf("Verify = %v, %v", problems, err)
	}
}

func TestVerifyNamesWhatIsDamaged(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 1)
	push(t, w.repo(), "office", packed[0])
	objects := packed[0].Manifest.Objects
	if err := w.blobs.Corrupt(objects[0].Name, 5); err != nil {
		t.Fatal(err)
	}
	if err := w.blobs.Delete(t.Context(), objects[1].Name); err != nil {
		t.Fatal(err)
	}
	problems, err := w.repo().Verify(t.Context(), nil)
	if err != nil || len(problems) != 2 {
		t.Fatalf("Verify = %v, %v, want two problems", problems, err)
	}
	for _, p := range problems {
		if p.Object != objects[0].Name && p.Object != objects[1].Name {
			t.Errorf("problem with %s", p.Object)
		}
	}
}

func TestForgedName(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 1)
	push(t, w.repo(), "office", packed[0])
	seed := sha256.Sum256([]byte("somebody else"))
	forger, err := seal.SigningKeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	e := forger.Sign(seal.TypeName, []byte(`{"instance":"`+string(here)+`","name":"evil","number":1,"image":"`+string(packed[0].Image)+`"}`)).Bytes()
	if err := w.blobs.Put(t.Context(), "names/"+string(here)+"/evil/000000001", bytes.NewReader(e), int64(len(e))); err != nil {
		t.Fatal(err)
	}
	_, err = w.repo().Version(context.Background(), "evil", 0)
	wantErr(t, "forged name", err, dormer.ErrDenied)
}
