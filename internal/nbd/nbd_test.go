package nbd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/nbd"
)

// sparse is a disk whose blocks of 64 KiB are data where data says so.
type sparse struct {
	content []byte
	data    map[int64]bool
	broken  bool
}

const grain = 64 << 10

func newSparse(size int64) *sparse {
	s := &sparse{content: make([]byte, size), data: map[int64]bool{}}
	random := rand.NewChaCha8([32]byte{1})
	for block := int64(0); block < size/grain; block += 3 {
		s.data[block] = true
		_, _ = random.Read(s.content[block*grain : (block+1)*grain]) // never fails
	}
	return s
}

func (s *sparse) Size() int64 { return int64(len(s.content)) }

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	if s.broken {
		return 0, errors.New("broken")
	}
	return copy(p, s.content[off:]), nil
}

func (s *sparse) Extents(off, n int64) ([]nbd.Extent, error) {
	var out []nbd.Extent
	for end := off + n; off < end; {
		next := min((off/grain+1)*grain, end)
		out = append(out, nbd.Extent{Length: next - off, Zero: !s.data[off/grain]})
		off = next
	}
	return out, nil
}

// serve serves a source on a socket until the end of the test.
func serve(t *testing.T, source nbd.Source) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- nbd.NewServer(source, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, stderr.Bytes())
	}
	return out
}

func TestNbdinfoSeesTheMap(t *testing.T) {
	source := newSparse(4 << 20)
	out := run(t, "nbdinfo", "--json", "--map", "nbd+unix:///?socket="+serve(t, source))
	var got []struct {
		Offset, Length int64
		Type           int
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at := int64(0)
	for _, e := range got {
		for ; at < e.Offset+e.Length; at += grain {
			if want := source.data[at/grain]; want != (e.Type == 0) {
				t.Errorf("at %d: type %d, data %t", at, e.Type, want)
			}
		}
	}
	if at != source.Size() {
		t.Errorf("the map ends at %d", at)
	}
}

func TestNbdinfoSeesTheExport(t *testing.T) {
	out := run(t, "nbdinfo", "--json", "--list", "nbd+unix:///?socket="+serve(t, newSparse(1<<20)))
	var got struct {
		Exports []struct {
			Name      string `json:"export-name"`
			Size      int64  `json:"export-size"`
			ReadOnly  bool   `json:"is_read_only"`
			MultiConn bool   `json:"can_multi_conn"`
			Preferred int    `json:"block_size_preferred"`
		} `json:"exports"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got.Exports) != 1 {
		t.Fatalf("exports: %s", out)
	}
	e := got.Exports[0]
	if e.Name != "" || e.Size != 1<<20 || !e.ReadOnly || !e.MultiConn || e.Preferred != 4096 {
		t.Errorf("export: %+v", e)
	}
}

func TestToolsReadTheSameBytes(t *testing.T) {
	source := newSparse(5<<20 + 512*3)
	socket := serve(t, source)
	want := filepath.Join(t.TempDir(), "want")
	if err := os.WriteFile(want, source.content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", "nbd+unix:///?socket="+socket, want)
	copied := filepath.Join(t.TempDir(), "copy")
	run(t, "nbdcopy", "nbd+unix:///?socket="+socket, copied)
	got, err := os.ReadFile(copied)
	if err != nil || !bytes.Equal(got, source.content) {
		t.Errorf("nbdcopy reads other bytes (%v)", err)
	}
	// A raw file from a map of holes stays sparse.
	if out := run(t, "qemu-img", "map", "--output=json", "-f", "raw", "nbd+unix:///?socket="+socket); !strings.Contains(string(out), `"data": false`) {
		t.Errorf("qemu-img sees no holes: %s", out)
	}
}

func TestBrokenDiskIsAnError(t *testing.T) {
	source := newSparse(1 << 20)
	source.broken = true
	cmd := exec.CommandContext(t.Context(), tool(t, "nbdcopy"), "nbd+unix:///?socket="+serve(t, source), filepath.Join(t.TempDir(), "copy"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "nput/output error") {
		t.Errorf("got %v: %s", err, out)
	}
}

// client speaks the protocol by hand, for what the tools do not do.
type client struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, source nbd.Source) client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", serve(t, source))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client{t, conn}
}

func (c client) send(parts ...any) {
	c.t.Helper()
	for _, p := range parts {
		if err := binary.Write(c, binary.BigEndian, p); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c client) receive(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c client) option(number uint32, data []byte) {
	c.send(uint64(0x49484156454f5054), number, uint32(len(data)), data)
}

// reply returns kind and length of an answer to an option and skips its data.
func (c client) reply() uint32 {
	b := c.receive(20)
	c.receive(int(binary.BigEndian.Uint32(b[16:])))
	return binary.BigEndian.Uint32(b[12:])
}

func TestOldWayAndSimpleReplies(t *testing.T) {
	source := newSparse(1 << 20)
	c := dial(t, source)
	c.receive(18)
	c.send(uint32(1))
	// What the server does not know, it says so and goes on.
	c.option(5, nil)
	if got := c.reply(); got != 1<<31|1 {
		t.Errorf("STARTTLS: %x", got)
	}
	c.option(99, []byte("x"))
	if got := c.reply(); got != 1<<31|1 {
		t.Errorf("unknown option: %x", got)
	}
	c.option(7, []byte{0, 0, 0, 1, 'x', 0, 0})
	if got := c.reply(); got != 1<<31|6 {
		t.Errorf("unknown export: %x", got)
	}
	c.option(7, []byte{0, 0, 9, 0})
	if got := c.reply(); got != 1<<31|3 {
		t.Errorf("short option: %x", got)
	}
	c.option(1, nil)
	head := c.receive(8 + 2 + 124)
	if size := binary.BigEndian.Uint64(head); size != 1<<20 {
		t.Errorf("size %d", size)
	}
	request := func(kind uint16, handle, offset uint64, length uint32) {
		c.send(uint32(0x25609513), uint16(0), kind, handle, offset, length)
	}
	answer := func(handle uint64) uint32 {
		b := c.receive(16)
		if got := binary.BigEndian.Uint64(b[8:]); got != handle {
			t.Errorf("answer to %d, want %d", got, handle)
		}
		return binary.BigEndian.Uint32(b[4:])
	}
	request(0, 1, 100, 1000)
	if errno := answer(1); errno != 0 {
		t.Fatalf("read: error %d", errno)
	}
	if diff := cmp.Diff(source.content[100:1100], c.receive(1000)); diff != "" {
		t.Error("read gives other bytes")
	}
	request(1, 2, 0, 4)
	c.send([]byte("data"))
	if errno := answer(2); errno != 1 {
		t.Errorf("write: error %d, want EPERM", errno)
	}
	for handle, r := range map[uint64]struct {
		offset uint64
		length uint32
	}{3: {1 << 20, 1}, 4: {1<<64 - 1, 2}, 5: {0, 64 << 20}, 6: {0, 0}} {
		request(0, handle, r.offset, r.length)
		if errno := answer(handle); errno != 22 {
			t.Errorf("read of %+v: error %d, want EINVAL", r, errno)
		}
	}
	request(3, 7, 0, 0)
	if errno := answer(7); errno != 0 {
		t.Errorf("flush: error %d", errno)
	}
	request(2, 8, 0, 0)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after a disconnect: %v", err)
	}
}

// memory is a connection from bytes to nowhere.
type memory struct {
	io.Reader
	net.Conn
}

func (memory) Write(p []byte) (int, error)     { return len(p), nil }
func (memory) Close() error                    { return nil }
func (memory) SetDeadline(time.Time) error     { return nil }
func (m memory) Read(p []byte) (int, error)    { return m.Reader.Read(p) }
func (memory) SetReadDeadline(time.Time) error { return nil }

func FuzzServer(f *testing.F) {
	be := binary.BigEndian
	option := func(n uint32, data []byte) []byte {
		b := be.AppendUint64(nil, 0x49484156454f5054)
		b = be.AppendUint32(be.AppendUint32(b, n), uint32(len(data)))
		return append(b, data...)
	}
	request := func(kind uint16, offset uint64, length uint32) []byte {
		b := be.AppendUint16(be.AppendUint16(be.AppendUint32(nil, 0x25609513), 0), kind)
		return be.AppendUint32(be.AppendUint64(be.AppendUint64(b, 1), offset), length)
	}
	flags := []byte{0, 0, 0, 3}
	meta := append([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 15}, "base:allocation"...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	f.Add(join(flags, option(8, nil), option(10, meta), option(7, []byte{0, 0, 0, 0, 0, 1, 0, 3}), request(0, 0, 1<<19), request(7, 0, 1<<20), request(2, 0, 0)))
	f.Add(join(flags, option(3, nil), option(1, nil), request(0, 5, 10), request(1, 0, 3), []byte("abc"), request(2, 0, 0)))
	f.Add(join(flags, option(9, []byte{0, 0, 0, 9}), option(6, []byte{0xff, 0xff, 0xff, 0xff, 0, 0}), option(2, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := nbd.NewServer(newSparse(1<<20), slog.New(slog.DiscardHandler))
		if err := s.ServeConn(context.Background(), memory{Reader: bytes.NewReader(b)}); err == nil && len(b) < 4 {
			t.Error("an empty conversation must not succeed")
		}
	})
}
