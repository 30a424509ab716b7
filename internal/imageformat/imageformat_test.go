package imageformat_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

func testKey() *imageformat.RepositoryKey {
	k := new(imageformat.RepositoryKey)
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

func newCodec(t testing.TB, key *imageformat.RepositoryKey) *imageformat.Codec {
	t.Helper()
	c, err := imageformat.NewCodec(key, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sampleMap(t testing.TB) *imageformat.Map {
	t.Helper()
	h := func(s string) imageformat.Hash { return imageformat.HashOf([]byte(s)) }
	m, err := imageformat.NewMap(
		[]imageformat.Hash{h("p0"), h("p1")},
		[]imageformat.Frame{
			{Pack: 0, Offset: 0, Stored: 1000, Blocks: 256, Hash: h("f0")},
			{Pack: 0, Offset: 5000, Stored: 900, Blocks: 256, Hash: h("f1")},
			{Pack: 1, Offset: 70, Stored: 50, Blocks: 3, Hash: h("f2")},
		},
		[]imageformat.StreamMap{
			{Blocks: 10_000, Runs: []imageformat.Run{{Block: 5, Count: 300, Addr: 0}, {Block: 400, Count: 1, Addr: 514}, {Block: 401, Count: 2, Addr: 7}}},
			{Blocks: 1, Runs: []imageformat.Run{{Block: 0, Count: 1, Addr: 300}}},
			{Blocks: 7},
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sampleManifest() *imageformat.Manifest {
	object := func(k imageformat.Kind, s string) string {
		return imageformat.ObjectName(k, imageformat.HashOf([]byte(s)))
	}
	zero := imageformat.RootOf([]imageformat.Hash{imageformat.ZeroPage()})
	return &imageformat.Manifest{
		Format: 1, Architecture: "x86_64", Firmware: "bios", DiskBus: "virtio", MachineFloor: "pc-q35-7.2",
		Disks:  []imageformat.Stream{{Name: "system", Size: 4096 * 100, Root: zero}},
		Boot:   &imageformat.Boot{Kernel: imageformat.Stream{Name: "kernel", Size: 5000, Root: zero}, Append: "quiet"},
		Data:   &imageformat.DataConvention{Label: "data", MountPoint: "/home"},
		Cipher: "aes-256-gcm", KeyID: testKey().ID(),
		Map: imageformat.Ref{Object: object("maps", "m"), Raw: 77}, Keys: &imageformat.Ref{Object: object("keys", "k"), Raw: 5},
		Objects: []imageformat.Object{{Name: object("keys", "k"), Size: 3}, {Name: object("maps", "m"), Size: 60}, {Name: object("packs", "p0"), Size: 6000}},
	}
}

func TestSealedPieces(t *testing.T) {
	raw := bytes.Repeat([]byte("a block of text, again and again; "), 4000)
	for name, key := range map[string]*imageformat.RepositoryKey{"aes-256-gcm": testKey(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			c := newCodec(t, key)
			sealed := c.Seal(nil, imageformat.UseMap, raw)
			if again := newCodec(t, key).Seal(nil, imageformat.UseMap, raw); !bytes.Equal(sealed, again) {
				t.Error("the same content gives different pieces")
			}
			got, err := c.Open(nil, imageformat.UseMap, sealed, int64(len(raw)))
			if err != nil || !bytes.Equal(got, raw) {
				t.Fatalf("Open: %v", err)
			}
			for _, n := range []int64{int64(len(raw)) - 1, int64(len(raw)) + 1, 0, -1, 1 << 50} {
				if _, err := c.Open(nil, imageformat.UseMap, sealed, n); err == nil {
					t.Errorf("Open as %d bytes succeeded", n)
				}
			}
			if key == nil {
				return
			}
			for i := 0; i < len(sealed); i += 97 {
				bad := bytes.Clone(sealed)
				bad[i] ^= 0x10
				if _, err := c.Open(nil, imageformat.UseMap, bad, int64(len(raw))); !errors.Is(err, dormer.ErrCorrupt) {
					t.Errorf("bit of byte %d flipped: %v, want ErrCorrupt", i, err)
				}
			}
			if _, err := c.Open(nil, imageformat.UseFrame, sealed, int64(len(raw))); !errors.Is(err, dormer.ErrCorrupt) {
				t.Errorf("a map opened as a frame: %v, want ErrCorrupt", err)
			}
			other := testKey()
			other[0] ^= 1
			if _, err := newCodec(t, other).Open(nil, imageformat.UseMap, sealed, int64(len(raw))); !errors.Is(err, dormer.ErrCorrupt) {
				t.Errorf("opened with another key: %v, want ErrCorrupt", err)
			}
		})
	}
}

// TestVectors hold what docs/image-format.md prints.
func TestVectors(t *testing.T) {
	key := testKey()
	if got, want := key.ID(), "630dcd2966c43366"; got != want {
		t.Errorf("key id %s, want %s", got, want)
	}
	block := bytes.Repeat([]byte{0x41}, imageformat.BlockSize)
	k := imageformat.KeyOf(block)
	if got, want := hex.EncodeToString(k[:]), vectorBlockKey; got != want {
		t.Errorf("key of block %s, want %s", got, want)
	}
	root := imageformat.RootOf([]imageformat.Hash{imageformat.PageHash([]imageformat.Key{k}), imageformat.ZeroPage(), imageformat.ZeroPage()})
	if got, want := root.String(), vectorRoot; got != want {
		t.Errorf("root %s, want %s", got, want)
	}
	stored, err := hex.DecodeString(vectorFrame)
	if err != nil {
		t.Fatal(err)
	}
	frame := imageformat.Frame{Stored: len(stored), Blocks: 1, Hash: imageformat.HashOf(stored)}
	raw, err := newCodec(t, key).OpenFrame(nil, stored, frame)
	if err != nil || !bytes.Equal(raw, block) {
		t.Errorf("frame of the documentation does not open: %v", err)
	}
	if got := hex.EncodeToString(sampleMap(t).Encode()); got != vectorMap {
		t.Errorf("map of the documentation is\n%s, want\n%s", got, vectorMap)
	}
}

func TestMapRoundTrip(t *testing.T) {
	m := sampleMap(t)
	got, err := imageformat.ParseMap(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got, cmpopts.IgnoreUnexported(imageformat.Map{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("map differs after a round trip (-want +got):\n%s", d)
	}
	for addr, want := range map[uint32]imageformat.Place{0: {0, 0}, 255: {0, 255}, 256: {1, 0}, 511: {1, 255}, 512: {2, 0}, 514: {2, 2}} {
		if got := m.At(addr); got != want || m.Addr(want) != addr {
			t.Errorf("At(%d) = %v, want %v", addr, got, want)
		}
	}
}

func TestMapRefuses(t *testing.T) {
	good := sampleMap(t).Encode()
	for n := range good {
		if _, err := imageformat.ParseMap(good[:n]); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("map cut to %d bytes: %v, want ErrCorrupt", n, err)
		}
	}
	if _, err := imageformat.ParseMap(append(bytes.Clone(good), 0)); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("map with a byte more: %v, want ErrCorrupt", err)
	}
	frame := imageformat.Frame{Stored: 10, Blocks: 2}
	for name, c := range map[string]struct {
		frames []imageformat.Frame
		runs   []imageformat.Run
	}{
		"no pack":           {[]imageformat.Frame{{Pack: 1, Stored: 10, Blocks: 2}}, nil},
		"empty frame":       {[]imageformat.Frame{{Stored: 10}}, nil},
		"too many blocks":   {[]imageformat.Frame{{Stored: 10, Blocks: 257}}, nil},
		"overlap":           {[]imageformat.Frame{frame, {Offset: 9, Stored: 10, Blocks: 2}}, nil},
		"beyond the pack":   {[]imageformat.Frame{{Offset: 1 << 40, Stored: 10, Blocks: 2}}, nil},
		"empty run":         {[]imageformat.Frame{frame}, []imageformat.Run{{}}},
		"run beyond frames": {[]imageformat.Frame{frame}, []imageformat.Run{{Count: 2, Addr: 1}}},
		"run beyond stream": {[]imageformat.Frame{frame}, []imageformat.Run{{Block: 9, Count: 2}}},
		"runs overlap":      {[]imageformat.Frame{frame}, []imageformat.Run{{Count: 2}, {Block: 1, Count: 1}}},
	} {
		m := &imageformat.Map{Packs: make([]imageformat.Hash, 1), Frames: c.frames, Streams: []imageformat.StreamMap{{Blocks: 10, Runs: c.runs}}}
		if _, err := imageformat.NewMap(m.Packs, m.Frames, m.Streams); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%s: NewMap: %v, want ErrCorrupt", name, err)
		}
		if name == "overlap" || name == "runs overlap" {
			continue // cannot be written down
		}
		if _, err := imageformat.ParseMap(m.Encode()); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%s: ParseMap: %v, want ErrCorrupt", name, err)
		}
	}
}

func TestManifestRoundTrip(t *testing.T) {
	m := sampleManifest()
	payload, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := imageformat.ParseManifest(payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got); d != "" {
		t.Errorf("manifest differs after a round trip (-want +got):\n%s", d)
	}
}

func TestManifestRefuses(t *testing.T) {
	change := func(f func(map[string]any)) []byte {
		payload, err := sampleManifest().Encode()
		if err != nil {
			t.Fatal(err)
		}
		v := map[string]any{}
		if err := json.Unmarshal(payload, &v); err != nil {
			t.Fatal(err)
		}
		f(v)
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		f    func(map[string]any)
		want error
	}{
		"format":          {func(m map[string]any) { m["format"] = 2 }, dormer.ErrUnsupported},
		"feature":         {func(m map[string]any) { m["features"] = []string{"deltas"} }, dormer.ErrUnsupported},
		"unknown field":   {func(m map[string]any) { m["more"] = 1 }, dormer.ErrCorrupt},
		"architecture":    {func(m map[string]any) { m["architecture"] = "vax" }, dormer.ErrCorrupt},
		"firmware":        {func(m map[string]any) { m["firmware"] = "" }, dormer.ErrCorrupt},
		"no disk":         {func(m map[string]any) { m["disks"] = nil }, dormer.ErrCorrupt},
		"cipher":          {func(m map[string]any) { m["cipher"] = "rot13" }, dormer.ErrCorrupt},
		"none with key":   {func(m map[string]any) { m["cipher"] = "none" }, dormer.ErrCorrupt},
		"map not listed":  {func(m map[string]any) { m["objects"] = m["objects"].([]any)[2:] }, dormer.ErrCorrupt},
		"objects twice":   {func(m map[string]any) { o := m["objects"].([]any); m["objects"] = append(o, o[2]) }, dormer.ErrCorrupt},
		"append newline":  {func(m map[string]any) { m["boot"].(map[string]any)["append"] = "a\nb" }, dormer.ErrCorrupt},
		"option injected": {func(m map[string]any) { m["machine_floor"] = "q35,accel=kvm" }, dormer.ErrCorrupt},
	} {
		if _, err := imageformat.ParseManifest(change(c.f)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := imageformat.ParseManifest(append(change(func(map[string]any) {}), "{}"...)); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("something after the end: %v, want ErrCorrupt", err)
	}
}

func TestOpenManifest(t *testing.T) {
	signer, err := seal.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	trust := func(p seal.Purpose) seal.KeySet {
		return seal.KeySet{Keys: []seal.PublicKey{{ID: signer.ID(), Key: signer.Public(), Purposes: []seal.Purpose{p}}}}
	}
	payload, err := sampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	id := imageformat.IDOf(payload)
	env := signer.Sign(seal.TypeManifest, payload).Bytes()
	if _, got, err := imageformat.OpenManifest(trust(seal.PurposePublisher), id, env); err != nil || got != id {
		t.Errorf("OpenManifest = %s, %v", got, err)
	}
	if _, _, err := imageformat.OpenManifest(trust(seal.PurposeLease), id, env); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("signed by a key for another purpose: %v, want ErrDenied", err)
	}
	if _, _, err := imageformat.OpenManifest(trust(seal.PurposePublisher), imageformat.IDOf(nil), env); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("another image: %v, want ErrCorrupt", err)
	}
	flipped := signer.Sign(seal.TypeManifest, bytes.Clone(payload))
	flipped.Payload[20] ^= 1
	if _, _, err := imageformat.OpenManifest(trust(seal.PurposePublisher), "", flipped.Bytes()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("flipped bit: %v, want ErrCorrupt", err)
	}
}

func TestNames(t *testing.T) {
	h := imageformat.HashOf([]byte("x"))
	for _, k := range []imageformat.Kind{"manifests", "maps", "packs", "keys"} {
		gotKind, gotHash, err := imageformat.ParseObjectName(imageformat.ObjectName(k, h))
		if err != nil || gotKind != k || gotHash != h {
			t.Errorf("ParseObjectName of %s: %v %v %v", k, gotKind, gotHash, err)
		}
	}
	for _, n := range []string{"", "packs", "packs/", "packs/" + h.String()[1:], "packs/" + strings.ToUpper(h.String()), "names/" + h.String(), "../packs/" + h.String(), "packs/../" + h.String()[3:], "packs/" + h.String() + "/x"} {
		if _, _, err := imageformat.ParseObjectName(n); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("ParseObjectName(%q): %v, want ErrInvalid", n, err)
		}
	}
	for _, id := range []dormer.ImageID{"", "sha256:", "md5:" + dormer.ImageID(h.String()), "sha256:../../../etc"} {
		if _, err := imageformat.ParseID(id); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("ParseID(%q): %v, want ErrInvalid", id, err)
		}
	}
}

func sampleDirectory(t testing.TB) (*imageformat.Directory, *imageformat.Manifest) {
	t.Helper()
	m := sampleManifest()
	m.Disks[0].Size = 3 * imageformat.PageBlocks * imageformat.BlockSize
	r := rand.New(rand.NewPCG(1, 1))
	keys := make([]imageformat.Key, imageformat.PageBlocks)
	for i := range keys {
		keys[i][3] = byte(r.Uint32())
	}
	node, zero := imageformat.PageHash(keys), imageformat.ZeroPage()
	d := &imageformat.Directory{Objects: []imageformat.Hash{node}, Streams: [][]imageformat.Page{
		{{Object: 0, Offset: 0, Stored: 900, Node: node}, {Object: -1, Node: zero}, {Object: 0, Offset: 900, Stored: 900, Node: node}},
		{{Object: -1, Node: zero}},
	}}
	m.Disks[0].Root = imageformat.RootOf([]imageformat.Hash{node, zero, node})
	return d, m
}

func TestDirectory(t *testing.T) {
	d, m := sampleDirectory(t)
	got, err := imageformat.ParseDirectory(d.Encode(), m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got); diff != "" {
		t.Errorf("directory differs after a round trip (-want +got):\n%s", diff)
	}
	good := d.Encode()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		// Offsets and lengths are not under the tree; a wrong page shows when it is
		// opened.
		if got, err := imageformat.ParseDirectory(bad, m); err == nil && got.Streams[0][0].Node != d.Streams[0][0].Node {
			t.Errorf("bit of byte %d flipped and accepted", i)
		}
	}
	m.Disks[0].Root[0] ^= 1
	if _, err := imageformat.ParseDirectory(good, m); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("wrong root: %v, want ErrCorrupt", err)
	}
}

func TestPages(t *testing.T) {
	c := newCodec(t, testKey())
	keys := []imageformat.Key{{1}, {}, {2}}
	stored := c.SealPage(nil, keys)
	got, err := c.OpenPage(stored, imageformat.PageHash(keys))
	if err != nil || len(got) != imageformat.PageBlocks || got[2] != keys[2] {
		t.Errorf("OpenPage: %v", err)
	}
	if _, err := c.OpenPage(stored, imageformat.ZeroPage()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("page under another node: %v, want ErrCorrupt", err)
	}
	stored[len(stored)-1] ^= 1
	if _, err := c.OpenPage(stored, imageformat.PageHash(keys)); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("flipped bit: %v, want ErrCorrupt", err)
	}
}

func FuzzParseMap(f *testing.F) {
	f.Add(sampleMap(f).Encode())
	f.Add([]byte("DRMMAP1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := imageformat.ParseMap(b)
		if err != nil {
			return
		}
		again, err := imageformat.ParseMap(m.Encode())
		if err != nil || !bytes.Equal(again.Encode(), m.Encode()) {
			t.Errorf("an accepted map does not survive a round trip: %v", err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	b, err := sampleManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := imageformat.ParseManifest(b)
		if err != nil {
			return
		}
		if _, err := m.Encode(); err != nil {
			t.Errorf("an accepted manifest does not encode: %v", err)
		}
	})
}

func FuzzParseDirectory(f *testing.F) {
	d, m := sampleDirectory(f)
	f.Add(d.Encode())
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = imageformat.ParseDirectory(b, m) })
}

func FuzzOpenFrame(f *testing.F) {
	block := bytes.Repeat([]byte{7}, imageformat.BlockSize)
	keyed, plain := newCodec(f, testKey()), newCodec(f, nil)
	f.Add(keyed.Seal(nil, imageformat.UseFrame, block))
	f.Add(plain.Seal(nil, imageformat.UseFrame, block))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := imageformat.Frame{Stored: len(b), Blocks: 1, Hash: imageformat.HashOf(b)}
		for _, c := range []*imageformat.Codec{keyed, plain} {
			if raw, err := c.OpenFrame(nil, b, fr); err == nil && len(raw) != imageformat.BlockSize {
				t.Errorf("a frame of one block opened to %d bytes", len(raw))
			}
		}
	})
}
