package transfer_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/transfer"
)

func TestRules(t *testing.T) {
	office := transfer.Rules{Allowed: true, Extensions: []string{"docx", "PDF", "tar.gz", "é"}}
	tests := []struct {
		rules transfer.Rules
		file  string
		want  error
	}{
		{transfer.Rules{}, "a.docx", dormer.ErrDenied},
		{transfer.Rules{Allowed: true}, "anything", nil},
		{transfer.Rules{Allowed: true}, "a:b", dormer.ErrInvalid},
		{office, "a.docx", nil},
		{office, "A.DocX", nil},
		{office, "a.pdf", nil},
		{office, "a.tar.gz", nil},
		{office, "a.E\u0301", nil},
		{office, "a.gz", dormer.ErrDenied},
		{office, ".docx", dormer.ErrDenied},
		{office, "docx", dormer.ErrDenied},
		{office, "a.docx.exe", dormer.ErrDenied},
		{office, "a.exe:b.docx", dormer.ErrInvalid},
		{office, "a.exe\x00.docx", dormer.ErrInvalid},
		{office, "a.exe .", dormer.ErrInvalid},
		{office, "a.docx.", dormer.ErrInvalid},
		{office, "a.docx ", dormer.ErrInvalid},
	}
	for _, tt := range tests {
		if err := tt.rules.Check(tt.file); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.file, err, tt.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "Büro 2026.docx", ".profile", "..a", "con1", "company", "com", "lpt.txt", "文書.pdf", "what?", "COM10"} {
		if err := transfer.CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "a/b", `a\b`, "/", "a\nb", "a\x7f", "a\u202excod.exe", "a\u200b", "con", "CON.txt", "nul.tar.gz", "Com1", "com\u00b9.txt", "ｃｏｎ", "aux .txt",
		strings.Repeat("a", 256), "a\xff", "a.", "a ", "a::$DATA", ".dormer-part-00", ".Dormer-Part-x",
	} {
		if err := transfer.CheckName(bad); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCheckPath(t *testing.T) {
	for _, good := range []string{".", "a", "a/b c/d"} {
		if err := transfer.CheckPath(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "..", "../a", "a/../b", "/a", "a//b", "a/", "./a", "a/con/b", strings.Repeat("a/", 64) + "a", strings.Repeat("aaaa/", 1000) + "a"} {
		if err := transfer.CheckPath(bad); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNames(t *testing.T) {
	n := transfer.Names{}
	for _, file := range []string{"Büro", "b"} {
		if err := n.Add(file); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{"bu\u0308ro", "B", "BÜRO"} {
		if err := n.Add(file); !errors.Is(err, dormer.ErrConflict) {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func place(t *testing.T) (*transfer.Place, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "place")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := transfer.OpenPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, dir
}

const key = "0123456789abcdef"

func TestStage(t *testing.T) {
	p, dir := place(t)
	s, err := p.Stage("report.pdf", key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(strings.NewReader("half"), 0, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(10, time.Time{}, false, false); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("half a file: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// It goes on where it ended.
	if s, err = p.Stage("report.pdf", key); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Size(); n != 4 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	if filepath.Ext(s.Path()) != ".pdf" {
		t.Errorf("who examines it sees %s", s.Path())
	}
	if h, err := s.Hash(4); err != nil || len(h) != 64 {
		t.Errorf("hash %s, %v", h, err)
	}
	if _, err := s.Hash(5); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("hash of too much: %v", err)
	}
	if _, err := s.Write(strings.NewReader("x"), 5, 10); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a gap: %v", err)
	}
	if _, err := s.Write(strings.NewReader("way too much"), 4, 10); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if _, err := s.Write(strings.NewReader(" whole"), 4, 10); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := s.Commit(10, when, true, false); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.pdf"))
	if err != nil || string(b) != "half whole" {
		t.Errorf("got %q, %v", b, err)
	}
	e, err := p.Stat("report.pdf")
	if err != nil || !e.Modified.Equal(when) || !e.Executable || e.Size != 10 || e.Kind != transfer.KindFile {
		t.Errorf("entry %+v, %v", e, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

// Who shares a folder makes the file first in which the parts are going to be
// kept, to read or change them.
func TestStageOfAnother(t *testing.T) {
	const key = "0123456789abcdef"
	for name, prepare := range map[string]func(t *testing.T, part string){
		"another's file": func(t *testing.T, part string) {
			if os.Geteuid() != 0 {
				if os.Getenv("DORMER_TEST_ALL") == "1" {
					t.Fatal("needs root")
				}
				t.Skip("needs root")
			}
			if err := errors.Join(os.WriteFile(part, nil, 0o666), os.Chown(part, 64099, 64099)); err != nil {
				t.Fatal(err)
			}
		},
		"a second name of a file": func(t *testing.T, part string) {
			mine := filepath.Join(t.TempDir(), "mine")
			if err := errors.Join(os.WriteFile(mine, []byte("x"), 0o600), os.Link(mine, part)); err != nil {
				t.Fatal(err)
			}
		},
		"a link": func(t *testing.T, part string) {
			if err := os.Symlink("elsewhere", part); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, err := transfer.OpenPlace(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			prepare(t, filepath.Join(dir, ".dormer-part-"+key+".txt"))
			if _, err := p.Stage("a.txt", key); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	p, dir := place(t)
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	receive := func(target string, overwrite bool) error {
		s, err := p.Stage(target, key)
		if err != nil {
			return err
		}
		defer s.Close()
		if _, err := s.Write(strings.NewReader("new"), 0, 3); err != nil {
			return err
		}
		if err := s.Commit(3, time.Time{}, false, overwrite); err != nil {
			return errors.Join(err, s.Discard())
		}
		return nil
	}
	if err := receive("kept", false); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a file: %v", err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "mine" {
		t.Errorf("now it is %q, %v", b, err)
	}
	if err := receive("kept", true); err != nil {
		t.Error(err)
	}
	if err := p.MakeFolder("folder"); err != nil {
		t.Fatal(err)
	}
	if err := receive("folder", true); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a folder: %v", err)
	}
	if err := p.MakeFolder("kept"); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a folder in the place of a file: %v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

// Nothing that is in a place leads out of it, whoever put it there.
func TestNothingLeadsOut(t *testing.T) {
	p, dir := place(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	if err := errors.Join(
		os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink("../outside/secret", filepath.Join(dir, "link")),
		os.Symlink("../outside/made", filepath.Join(dir, ".dormer-part-"+key)), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"out/secret", "link", "../outside/secret", filepath.Join(outside, "secret"), "fifo", "."} {
		if f, _, err := p.Open(file); err == nil {
			_ = f.Close()
			t.Errorf("%s is opened", file)
		}
	}
	if _, err := p.List("out"); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("list: %v", err)
	}
	for _, target := range []string{"out/x", "../outside/x", "a/../../outside/x", "made"} {
		if s, err := p.Stage(target, key); err == nil {
			_ = s.Close()
			t.Errorf("%s is staged", target)
		}
	}
	if err := p.MakeFolder("out/x"); err == nil {
		t.Error("a folder is made outside")
	}
	if _, err := p.Stage("a", "../x"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("key: %v", err)
	}
	// A link that has the name of what is received is replaced, not followed.
	s, err := p.Stage("link", "fedcba9876543210")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(0, time.Time{}, false, true); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("outside is now %q, %v", b, err)
	}
	if all, err := os.ReadDir(outside); err != nil || len(all) != 1 {
		t.Errorf("outside has %v, %v", all, err)
	}
	list, err := p.List(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if want := map[string]transfer.Kind{"out": transfer.KindOther, "link": transfer.KindFile, "fifo": transfer.KindOther}[e.Name]; e.Kind != want {
			t.Errorf("%s is a %s", e.Name, e.Kind)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "../a", "a/./b", "a\\..\\b", "a:b", "con", "a\x00", "a/b/../../..", "/etc/passwd", "C:\\x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if transfer.CheckPath(s) != nil {
			return
		}
		if !fs.ValidPath(s) || !filepath.IsLocal(s) || strings.ContainsAny(s, "\\:\x00\n") || !utf8.ValidString(s) {
			t.Errorf("%q passes", s)
		}
		if s == "." {
			return
		}
		for part := range strings.SplitSeq(s, "/") {
			if strings.TrimRight(part, ". ") != part {
				t.Errorf("%q passes", part)
			}
		}
	})
}
