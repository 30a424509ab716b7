package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// apache is a licence text that is surely at hand: this project's own.
func apache(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(file), "../../LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRefused(t *testing.T) {
	const isc = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES
OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY
DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.`
	const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as
published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.`
	tests := []struct {
		name  string
		files map[string]string
		want  string // in the error; empty: accepted
	}{
		{"Apache-2.0", map[string]string{"LICENSE": apache(t)}, ""},
		{"ISC beside a notice", map[string]string{"LICENCE.md": isc, "NOTICE": "Made by somebody."}, ""},
		{"none", map[string]string{"README.md": isc}, "no licence"},
		{"only in a notice", map[string]string{"NOTICE": isc}, "no licence"},
		{"unknown text", map[string]string{"COPYING": "You may read this on Sundays."}, "not a licence text"},
		{"copyleft", map[string]string{"LICENSE": gpl}, "is not accepted"},
		{"copyleft beside a good one", map[string]string{"LICENSE": isc, "LICENSE.gpl": gpl}, "is not accepted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &module{path: "example.com/m", dir: t.TempDir()}
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.add(m.dir); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, err := range m.refused() {
				got = append(got, err.Error())
			}
			all := strings.Join(got, "\n")
			if (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("refused: %q, want %q", all, tt.want)
			}
		})
	}
}

// TestPackages reads a web application with a package that is bundled, one that
// is for building alone, and one that has no text of its licence.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"package-lock.json":                         `{"packages": {"": {}, "node_modules/a": {}, "node_modules/@x/b": {}, "node_modules/builds": {"dev": true}}}`,
		"node_modules/a/package.json":               `{"name": "a", "version": "1.0.0", "license": "Apache-2.0"}`,
		"node_modules/a/LICENSE":                    apache(t),
		"node_modules/a/node_modules/other/LICENSE": "not of this package",
		"node_modules/@x/b/package.json":            `{"name": "@x/b", "version": "2.0.0", "license": "(MIT AND GPL-3.0)"}`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := bundledPackages(dir)
	if err != nil || len(got) != 2 || got[0].path != "@x/b" || got[1].path != "a" {
		t.Fatalf("packages %+v, %v", got, err)
	}
	if errs := got[0].refused(); len(errs) != 1 || !strings.Contains(errs[0].Error(), `"GPL-3.0" is not accepted`) {
		t.Errorf("refused of one that names copyleft: %v", errs)
	}
	if errs := got[1].refused(); len(errs) != 0 || strings.Join(got[1].licences(), " ") != "Apache-2.0" {
		t.Errorf("refused of a good one: %v, licences %v", errs, got[1].licences())
	}
}
