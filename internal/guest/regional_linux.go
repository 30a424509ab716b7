package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const (
	localeConf    = "/etc/locale.conf"
	debianLocale  = "/etc/default/locale"
	consoleConf   = "/etc/vconsole.conf"
	debianKeys    = "/etc/default/keyboard"
	xorgKeys      = "/etc/X11/xorg.conf.d/00-keyboard.conf"
	defaultLocale = "C.UTF-8"
)

// setRegional sets language and keyboard for later sign-ons and for commands.
// What the guest can do of it is done, also when the rest cannot be.
func (g *Guest) setRegional(ctx context.Context, r guestwire.RegionalRequest) error {
	if err := checkRegional(r); err != nil {
		return err
	}
	var keys, language error
	if r.Layout != "" {
		keys = g.setKeyboard(r)
	}
	if r.Locale != "" {
		language = g.setLocale(ctx, r.Locale)
	}
	return errors.Join(keys, language)
}

func (g *Guest) setKeyboard(r guestwire.RegionalRequest) error {
	first, _, _ := strings.Cut(r.Layout, ",")
	console := map[string]string{"XKBLAYOUT": r.Layout, "XKBVARIANT": r.Variant}
	// Most names of console keymaps are those of layouts; one that the guest
	// does not have would leave the console without.
	if g.hasKeymap(first) {
		console["KEYMAP"] = first
	}
	if err := g.assign(consoleConf, console); err != nil {
		return err
	}
	if err := g.assign(debianKeys, map[string]string{"XKBLAYOUT": r.Layout, "XKBVARIANT": r.Variant}); err != nil {
		return err
	}
	if !isDir(g.path("/etc/X11")) {
		return nil
	}
	text := strings.TrimSuffix(written, "\n") + "\nSection \"InputClass\"\n\tIdentifier \"system-keyboard\"\n\tMatchIsKeyboard \"on\"\n\tOption \"XkbLayout\" \"" + r.Layout + "\"\n"
	if r.Variant != "" {
		text += "\tOption \"XkbVariant\" \"" + r.Variant + "\"\n"
	}
	return g.dropIn(xorgKeys, text+"EndSection\n")
}

func (g *Guest) hasKeymap(name string) bool {
	for _, dir := range []string{"/usr/share/kbd/keymaps", "/usr/share/keymaps", "/usr/lib/kbd/keymaps"} {
		for _, pattern := range []string{"*/*/" + name + ".map.gz", "*/*/" + name + ".kmap.gz", "*/" + name + ".map.gz"} {
			if found, err := filepath.Glob(g.path(filepath.Join(dir, pattern))); err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}

func (g *Guest) setLocale(ctx context.Context, name string) error {
	known, err := (tool{args: []string{"locale", "-a"}}).run(ctx)
	if err == nil && !hasLocale(string(known), name) {
		return fmt.Errorf("language %s: %w in the guest; its image must have it installed", name, dormer.ErrNotFound)
	}
	if err := g.assign(localeConf, map[string]string{"LANG": name}); err != nil {
		return err
	}
	return g.assign(debianLocale, map[string]string{"LANG": name})
}

// hasLocale looks for a locale in what `locale -a` lists, which writes
// de_DE.utf8 for de_DE.UTF-8.
func hasLocale(list, name string) bool {
	plain := func(s string) string {
		return strings.ToLower(strings.ReplaceAll(s, "-", ""))
	}
	for line := range strings.Lines(list) {
		if plain(strings.TrimSpace(line)) == plain(name) {
			return true
		}
	}
	return false
}

// assign sets variables in a file of NAME=value lines and leaves its other
// lines; an empty value removes the variable. Nothing is done where the folder is missing.
func (g *Guest) assign(name string, values map[string]string) error {
	name = g.path(name)
	if !isDir(filepath.Dir(name)) {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("read", name, err)
	}
	return replaceFile(name, []byte(assigned(string(text), values)), 0o644, "")
}

func assigned(text string, values map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		variable, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, ok := values[variable]; !ok {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	for _, variable := range []string{"LANG", "KEYMAP", "XKBLAYOUT", "XKBVARIANT"} {
		if v := values[variable]; v != "" {
			b.WriteString(variable + "=" + v + "\n")
		}
	}
	return b.String()
}

// locale is the language of commands.
func locale() string {
	for _, name := range []string{localeConf, debianLocale} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "LANG="); ok {
				if v = strings.Trim(v, `"'`); localePattern.MatchString(v) {
					return v
				}
			}
		}
	}
	return defaultLocale
}
