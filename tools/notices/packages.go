package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// manifest is what is read of a package.json.
type manifest struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Licence string `json:"license"`
}

// bundledPackages lists the packages of the web application in dir that may be
// in what its build makes: all that its lock file has and that are not needed
// for building alone.
func bundledPackages(dir string) ([]*module, error) {
	text, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return nil, fmt.Errorf("read the list of packages: %w", err)
	}
	var lock struct {
		Packages map[string]struct {
			Dev bool `json:"dev"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("read the list of packages: %w", err)
	}
	var all []*module
	for path, p := range lock.Packages {
		if path == "" || p.Dev {
			continue
		}
		m, err := readPackage(filepath.Join(dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *module) int { return strings.Compare(a.path+" "+a.version, b.path+" "+b.version) })
	// The same package may be in several places.
	return slices.CompactFunc(all, func(a, b *module) bool { return a.path == b.path && a.version == b.version }), nil
}

// readPackage reads a package and the licences in it, of what it borrows too.
func readPackage(dir string) (*module, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("find a package (scripts/console.sh --modules fetches them): %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return nil, fmt.Errorf("read a package: %w", err)
	}
	var about manifest
	if err := json.Unmarshal(text, &about); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "package.json"), err)
	}
	m := &module{path: about.Name, version: about.Version, dir: dir}
	for id := range strings.SplitSeq(strings.Trim(about.Licence, "()"), " AND ") {
		m.declared = append(m.declared, strings.TrimSpace(id))
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case d.Name() == "node_modules" && path != dir:
			return filepath.SkipDir
		}
		return m.add(path)
	})
	if err != nil {
		return nil, fmt.Errorf("read licences of %s: %w", m.path, err)
	}
	slices.SortFunc(m.texts, func(a, b licenceText) int { return strings.Compare(a.name, b.name) })
	return m, nil
}
