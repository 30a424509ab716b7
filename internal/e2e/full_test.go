package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// small puts a file system of some size in a folder of the desk.
func (d *desk) small(t *testing.T, folder, size string) (more func(size string)) {
	t.Helper()
	needRoot(t)
	dir := filepath.Join(d.dir, folder)
	mount := func(options string) {
		out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", options, "dormer-e2e", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("mount: %v: %s", err, out)
		}
	}
	mount("mode=0700,size=" + size)
	return func(size string) { mount("remount,size=" + size) }
}

// fullDisk is a host disk that becomes full while a guest writes: the machine
// waits and goes on when there is room.
func (s *suite) fullDisk(t *testing.T) {
	d := s.bareDesk(t)
	more := d.small(t, "state", "64m")
	d.open(t)
	d.given(t, document{name: "Writer", image: s.instance.image(t, "tiny/1"), dataDisk: "512MiB", apps: map[string]string{
		"fill": shell(`dd if=/dev/zero bs=1M count=120 2>/dev/null | tr "\0" x >/data/fill && sync && ls -l /data/fill | wc -l`),
	}})
	d.boots(t, "Writer")
	d.expect(t, "Writer", "note", "1")
	filled := make(chan answer, 1)
	go func() { filled <- d.tries(t.Context(), t, "", "run", "Writer", "fill") }()
	w := d.awaits(t, bootTime, "Writer", "waits for room", func(w workspace) bool { return w.State == "paused" })
	if !strings.Contains(w.Detail, "no space left") {
		t.Errorf("a paused workspace says %+v", w)
	}
	t.Logf("paused: %s", w.Detail)
	if said := d.dormer(t, "status"); !strings.Contains(said, "paused") || !strings.Contains(said, "no space left") {
		t.Errorf("status of a paused workspace:\n%s", said)
	}
	select {
	case a := <-filled:
		t.Fatalf("the application ended on a full disk: %s", a)
	default:
	}
	more("512m")
	d.awaits(t, soon, "Writer", "goes on", func(w workspace) bool { return w.State == "running" && w.Detail == "" })
	if a := <-filled; a.code != 0 || strings.TrimSpace(a.out) != "1" {
		t.Errorf("the application after there was room: %s", a)
	}
	d.expect(t, "Writer", "note", "2")
	d.dormer(t, "stop", "Writer")
	d.boots(t, "Writer")
	d.expect(t, "Writer", "note", "3")
	d.dormer(t, "stop", "Writer", "--kill")
	events := d.delivered(t)
	once(t, events)
	if p, r := count(events, codePaused, ""), count(events, codeResumed, ""); p < 1 || r < 1 {
		t.Errorf("the report has %d pauses and %d ends of pauses", p, r)
	}
}

// fullImages is no room for an image: the reason is said, and with room the
// image comes.
func (s *suite) fullImages(t *testing.T) {
	image := s.instance.image(t, "tiny/1")
	d := s.bareDesk(t)
	more := d.small(t, "data", "8m")
	d.open(t)
	d.apply(t, document{name: "Large", image: image})
	d.dormer(t, "refresh")
	w := d.awaits(t, soon, "Large", "has failed", func(w workspace) bool { return w.State == "failed" })
	if !strings.Contains(w.Error, "space") {
		t.Errorf("no room for the image: %+v", w)
	}
	said := d.refused(t, "start", "Large")
	if !strings.Contains(said, "space") {
		t.Errorf("a start without room for the image: %s", said)
	}
	t.Logf("refused: %s", said)
	more("128m")
	d.boots(t, "Large")
	d.expect(t, "Large", "note", "1")
	d.dormer(t, "stop", "Large", "--kill")
	events := d.delivered(t)
	if count(events, codeImageFailed, "space") == 0 {
		t.Error("the report does not say why the image did not come")
	}
}
