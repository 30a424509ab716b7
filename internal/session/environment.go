package session

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer/internal/agentapi"
)

// environment tells how the user has set language, formats, keyboard and time
// zone, as far as the host's files and the user's environment say.
func (s *Session) environment(w http.ResponseWriter, _ *http.Request) error {
	return agentapi.AnswerDesk(w, s.settings(), nil)
}

func (s *Session) settings() agentapi.Environment {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" && v != "C" && v != "POSIX" {
				return v
			}
		}
		return ""
	}
	system := s.assignments("/etc/locale.conf", "/etc/default/locale")
	e := agentapi.Environment{
		Locale:  first(s.cfg.Env("LC_ALL"), s.cfg.Env("LANG"), system["LANG"]),
		Formats: first(s.cfg.Env("LC_ALL"), s.cfg.Env("LC_TIME"), system["LC_TIME"]),
	}
	if e.Formats == e.Locale {
		e.Formats = ""
	}
	e.Layout, e.Variant = s.keyboard()
	e.TimeZone = s.timeZone()
	return e
}

// keyboard is the layout of the user's session where its environment says so,
// else the system's, as localectl and Debian keep it.
func (s *Session) keyboard() (layout, variant string) {
	layout, variant = s.cfg.Env("XKB_DEFAULT_LAYOUT"), s.cfg.Env("XKB_DEFAULT_VARIANT")
	if layout == "" {
		file := s.assignments("/etc/vconsole.conf", "/etc/default/keyboard")
		layout, variant = file["XKBLAYOUT"], file["XKBVARIANT"]
	}
	if layout == "" {
		layout, variant = s.xorgKeyboard()
	}
	// Of several the first is the one in use after the sign-on.
	layout, _, _ = strings.Cut(layout, ",")
	variant, _, _ = strings.Cut(variant, ",")
	return layout, variant
}

// xorgKeyboard reads the file that localectl writes for X.
func (s *Session) xorgKeyboard() (layout, variant string) {
	for _, line := range s.lines("/etc/X11/xorg.conf.d/00-keyboard.conf") {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "Option" {
			continue
		}
		switch strings.Trim(words[1], `"`) {
		case "XkbLayout":
			layout = strings.Trim(words[2], `"`)
		case "XkbVariant":
			variant = strings.Trim(words[2], `"`)
		}
	}
	return layout, variant
}

// timeZone is the user's, else the computer's.
func (s *Session) timeZone() string {
	if tz := strings.TrimPrefix(s.cfg.Env("TZ"), ":"); strings.Contains(tz, "/") && !filepath.IsAbs(tz) {
		return tz
	}
	const zones = "/zoneinfo/"
	if to, err := os.Readlink(filepath.Join(s.cfg.Root, "/etc/localtime")); err == nil {
		if _, zone, ok := strings.Cut(to, zones); ok {
			return zone
		}
	}
	if all := s.lines("/etc/timezone"); len(all) > 0 {
		return strings.TrimSpace(all[0])
	}
	return ""
}

// assignments reads NAME=value lines; of several files the first with a name
// counts.
func (s *Session) assignments(paths ...string) map[string]string {
	out := map[string]string{}
	for _, path := range paths {
		for _, line := range s.lines(path) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if _, known := out[name]; ok && !known && !strings.HasPrefix(name, "#") {
				out[name] = strings.Trim(value, `"'`)
			}
		}
	}
	return out
}

// maxLines bounds what is read of a file of settings.
const maxLines = 1000

// lines returns the lines of a file of the system; none when it cannot be read.
func (s *Session) lines(path string) []string {
	f, err := os.Open(filepath.Join(s.cfg.Root, path))
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for in := bufio.NewScanner(f); in.Scan() && len(out) < maxLines; {
		out = append(out, in.Text())
	}
	return out
}
