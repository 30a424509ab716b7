package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dormer-project/dormer"
)

// TestConfigErrors: each mistake is named with its line, and no value is
// repeated.
func TestConfigErrors(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct {
		name, text, path string
		line             int
		says             string
	}{
		{"unknown key", "data = \"/d\"\nlisten_on = []\n", "listen_on", 2, "is not a setting"},
		{"mistyped key", "\nlistne = [\"0.0.0.0:1\"]\n", "listne", 2, "did you mean listen?"},
		{"key in the wrong section", "[tls]\npoll_interval = \"1m\"\n", "tls.poll_interval", 2, "is not a setting"},
		{"mistyped in a section", "[clients]\n\npol_interval = \"1m\"\n", "clients.pol_interval", 3, "did you mean clients.poll_interval?"},
		{"section's key at the top", "poll_interval = \"1m\"\n", "poll_interval", 1, "did you mean clients.poll_interval?"},
		{"unknown section", "[tsl]\nmode = \"off\"\n", "tsl", 1, "did you mean"},
		{"wrong type", "listen = \"" + secret + "\"\n", "listen", 1, "a list of strings"},
		{"wrong duration", "\n[clients]\npoll_interval = \"" + secret + "\"\n", "clients.poll_interval", 3, "a duration"},
		{"negative duration", "[clients]\npoll_interval = \"-1m\"\n", "clients.poll_interval", 2, "a duration"},
		{"number for text", "data = 7\n", "data", 1, "a string"},
		{"not TOML", "data = /" + secret + "\n", "", 1, "not valid TOML"},
		{"relative folder", "data = \"d\"\n", "data", 1, "absolute"},
		{"no port", "listen = [\"127.0.0.1\"]\n", "listen[0]", 1, "a port"},
		{"plain URL", "\npublic_urls = [\"http://x\"]\n", "public_urls[0]", 2, "https://"},
		{"URL with the server's own path", "public_urls = [\"https://x/api\"]\n", "public_urls[0]", 1, "/dormer"},
		{"URL with an odd path", "public_urls = [\"https://x/a/../b\"]\n", "public_urls[0]", 1, "path"},
		{"URL with a password", "public_urls = [\"https://a:" + secret + "@x\"]\n", "public_urls[0]", 1, "base URL"},
		{"bad mode", "[tls]\nmode = \"none\"\n", "tls.mode", 2, "authority"},
		{"files without names", "[tls]\nmode = \"files\"\n", "tls.certificate", 0, "absolute path"},
		{"names without files", "[tls]\ncertificate = \"/c\"\n", "tls.mode", 0, "files"},
		{"bad database", "[state]\ndsn = \"mysql://root:" + secret + "@db\"\n", "state.dsn", 2, "postgres://"},
		{"relative database", "[events]\ndsn = \"sqlite:e.db\"\n", "events.dsn", 2, "absolute"},
		{"too often", "[clients]\npoll_interval = \"1ms\"\n", "clients.poll_interval", 2, "from 1s"},
		{"unknown directory", "[access]\ndefault_directory = \"corp\"\n", "access.default_directory", 2, "not configured"},
		{"bad zone", "time_zone = \"Mars/Olympus\"\n", "time_zone", 1, "Europe/Berlin"},
		{"short queue", "[events]\nqueue = 1\n", "events.queue", 2, "from 1000"},
		{"bad proxy", "trusted_proxies = [\"proxy\"]\n", "trusted_proxies[0]", 1, "prefix"},
		{"bad level", "[log]\nlevel = \"loud\"\n", "log.level", 2, "debug"},
	} {
		_, err := ParseConfig([]byte(c.text))
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if f := invalid.Fields[0]; f.Path != c.path || f.Line != c.line || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: line %d, %q: %s", c.name, f.Line, f.Path, f.Message)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats a value: %v", c.name, err)
		}
	}
}

// TestAllMistakesAtOnce: who corrects one does not have to start again to
// learn of the next.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := ParseConfig([]byte("data = \"d\"\nlisten = []\n[tls]\nmode = \"x\"\n"))
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok || len(invalid.Fields) != 3 {
		t.Errorf("%v", err)
	}
}

// TestExplain: every setting is explained, and what is printed is a valid file
// that changes nothing, commented out or not.
func TestExplain(t *testing.T) {
	var b strings.Builder
	if err := Explain(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings() {
		key := s.path[strings.LastIndexByte(s.path, '.')+1:]
		if s.doc == "" || !strings.Contains(b.String(), "\n#"+key+" = ") {
			t.Errorf("%s is not explained", s.path)
		}
	}
	var bare strings.Builder
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		bare.WriteString(line)
	}
	samples := Default()
	samples.Directories, samples.Providers = []DirectoryConfig{sampleDirectory()}, []ProviderConfig{sampleProvider()}
	samples.Forward = sampleForward()
	for text, want := range map[string]Config{"": Default(), b.String(): Default(), bare.String(): samples} {
		got, err := ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the explained configuration differs from the default:\n%s", diff)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "30d": 720 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %s, %v", text, time.Duration(d), err)
		}
		again, err := d.MarshalText()
		var back Duration
		if err != nil || back.UnmarshalText(again) != nil || back != d {
			t.Errorf("%s is written %s", text, again)
		}
	}
	for _, text := range []string{"", "5", "-1s", "-3d", "99999999999999999d", "1.5d", "d"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %s", text, time.Duration(d))
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("data = \"/d\"\n[tls]\nmode = \"off\"\n"))
	f.Add([]byte("[clients]\npoll_interval = \"1m\"\n"))
	f.Add([]byte("a.b.c = [1, {x = 2}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err != nil {
			if !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("taken and not valid: %v", err)
		}
	})
}

func TestLoadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dormerd.toml")
	if err := os.WriteFile(path, []byte("data = \"/d\"\nx = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "line 2: x") {
		t.Errorf("%v", err)
	}
	if _, err := LoadConfig(path + "x"); err == nil || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("%v", err)
	}
}

func TestPublicURLs(t *testing.T) {
	c := Default()
	if got := c.publicURLs("host"); got[0] != "https://host:8443" {
		t.Errorf("default: %v", got)
	}
	c.TLS.Mode, c.Listen = TLSOff, []string{"127.0.0.1:80"}
	if got := c.publicURLs("host"); got[0] != "http://host:80" {
		t.Errorf("plain: %v", got)
	}
	c.PublicURLs = []string{"https://a/", "https://b"}
	if diff := cmp.Diff([]string{"https://a", "https://b"}, c.publicURLs("host")); diff != "" {
		t.Error(diff)
	}
}

// TestReadersOfPasswords: a server does not run on settings that show a password
// to everybody.
func TestReadersOfPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dormerd.toml")
	for _, c := range []struct {
		dsn  string
		mode os.FileMode
		ok   bool
	}{
		{"postgres://dormer:hidden@db.example.com/dormer", 0o644, false},
		{"postgres://dormer@db.example.com/dormer?password=hidden", 0o644, false},
		{"postgres://dormer:hidden@db.example.com/dormer", 0o640, true},
		{"postgres://dormer@db.example.com/dormer", 0o644, true},
		{"sqlite:/var/lib/dormer/events.db", 0o644, true},
	} {
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		cfg := Default()
		cfg.Events.DSN = c.dsn
		err := cfg.checkReaders(file)
		if (err == nil) != c.ok || err != nil && (!errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s with mode %o: %v", c.dsn, c.mode, err)
		}
	}
}
