package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// accepted are the licences that may be linked into the programs (SPDX names).
var accepted = []string{
	"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-NoTrademark", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "OFL-1.1", "Unlicense", "Zlib",
}

// minimumRecognised is how much of a licence file, in percent, must be known text.
const minimumRecognised = 75

// licenceFile matches the names under which licences and notices are kept.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-._].*)?$`)

// besideLicence matches files that grant nothing by themselves, or repeat the licences
// of borrowed code between other words: how much of them is known does not matter,
// but no licence in them may be one that is not accepted.
var besideLicence = regexp.MustCompile(`(?i)(^|/)(notice|patents|copyright|license-3rd-party|license-logo)`)

// licenceText is one file of a module.
type licenceText struct {
	name string // relative to the module
	text string
	ids  []string // SPDX names that were recognised
	// recognised is how much of the text is known, in percent.
	recognised float64
}

// module is one module that is linked in, or one package of the web application.
type module struct {
	path, version, dir string
	texts              []licenceText
	// declared are the licences that a package names: its word counts where it has
	// no text of them, or one in words of its own.
	declared []string
}

// linkedModules lists the modules of what the packages import, without tests, as
// built for Linux without cgo; the standard library first.
func linkedModules(ctx context.Context, packages []string) ([]*module, error) {
	args := append([]string{"list", "-deps", "-json=Dir,Standard,Module"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find the standard library: %w", err)
	}
	// The version of Go is left out: it is that of whoever builds.
	standard := &module{path: "Go standard library", version: "-", dir: strings.TrimSpace(string(goroot))}
	if err := standard.add(standard.dir); err != nil {
		return nil, err
	}

	type listed struct {
		Dir      string
		Standard bool
		Module   *struct {
			Path, Version, Dir string
			Main               bool
		}
	}
	byPath := map[string]*module{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
			byPath[m.path] = m
		}
		// Some modules keep borrowed code with its own licence in a folder.
		for dir := p.Dir; strings.HasPrefix(dir, m.dir); dir = filepath.Dir(dir) {
			if err := m.add(dir); err != nil {
				return nil, err
			}
		}
	}
	modules := []*module{standard}
	for _, m := range byPath {
		modules = append(modules, m)
	}
	slices.SortFunc(modules[1:], func(a, b *module) int { return strings.Compare(a.path, b.path) })
	for _, m := range modules {
		slices.SortFunc(m.texts, func(a, b licenceText) int { return strings.Compare(a.name, b.name) })
	}
	return modules, nil
}

// add reads the licence files of one folder; those already read are skipped.
func (m *module) add(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read licences of %s: %w", m.path, err)
	}
	for _, e := range entries {
		if e.Type()&fs.ModeType != 0 || !licenceFile.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
			continue
		}
		file := filepath.Join(dir, e.Name())
		name, err := filepath.Rel(m.dir, file)
		if err != nil {
			return fmt.Errorf("read licences of %s: %w", m.path, err)
		}
		if slices.ContainsFunc(m.texts, func(t licenceText) bool { return t.name == name }) {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read licences of %s: %w", m.path, err)
		}
		text := licenceText{name: name, text: strings.TrimSpace(string(content))}
		coverage := licensecheck.Scan(content)
		text.recognised = coverage.Percent
		for _, match := range coverage.Match {
			if !match.IsURL && match.ID != "GooglePatentsFile" && !slices.Contains(text.ids, match.ID) {
				text.ids = append(text.ids, match.ID)
			}
		}
		m.texts = append(m.texts, text)
	}
	return nil
}

// licences lists the licences of all files, sorted.
func (m *module) licences() []string {
	var ids []string
	for _, t := range m.texts {
		ids = append(ids, t.ids...)
	}
	ids = append(ids, m.declared...)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// refused says why the module may not be linked in.
func (m *module) refused() []error {
	var errs []error
	root := false
	for _, t := range m.texts {
		grants := !besideLicence.MatchString(t.name)
		if grants && t.recognised < minimumRecognised && len(m.declared) == 0 {
			errs = append(errs, fmt.Errorf("%s: %s: not a licence text that is known (%.0f %%)", m.path, t.name, t.recognised))
		}
		for _, id := range t.ids {
			if !slices.Contains(accepted, id) {
				errs = append(errs, fmt.Errorf("%s: %s: licence %s is not accepted", m.path, t.name, id))
			}
		}
		root = root || grants && !strings.Contains(t.name, "/")
	}
	for _, id := range m.declared {
		if !slices.Contains(accepted, id) {
			errs = append(errs, fmt.Errorf("%s: licence %q is not accepted", m.path, id))
		}
	}
	if !root && len(m.declared) == 0 {
		errs = append(errs, fmt.Errorf("%s: no licence", m.path))
	}
	return errs
}
