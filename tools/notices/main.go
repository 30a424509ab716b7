// Command notices keeps the list of third-party software that is linked into
// the programs or is in their web application, with its licences.
//
//	notices -file THIRD_PARTY_NOTICES.md -web web ./cmd/...          compare
//	notices -file THIRD_PARTY_NOTICES.md -web web --write ./cmd/...  write
//
// It fails when a module or a package has no licence, one that it does not recognise, or one
// that the project does not accept.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("notices", flag.ContinueOnError)
	file := flags.String("file", "THIRD_PARTY_NOTICES.md", "`file` of the notices")
	write := flags.Bool("write", false, "write the file instead of comparing it")
	web := flags.String("web", "", "`folder` of the web application; empty: there is none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	modules, err := linkedModules(ctx, flags.Args())
	if err != nil {
		return err
	}
	if len(modules) == 0 {
		return errors.New("nothing is linked: are the packages right?")
	}
	var packages []*module
	if *web != "" {
		if packages, err = bundledPackages(*web); err != nil {
			return err
		}
		fonts := &module{path: "Red Hat Display, Red Hat Text, Red Hat Mono (typefaces)", version: "-", dir: filepath.Join(*web, "licences")}
		if err := fonts.add(fonts.dir); err != nil {
			return err
		}
		packages = append(packages, fonts)
	}
	var refused []error
	for _, m := range slices.Concat(modules, packages) {
		refused = append(refused, m.refused()...)
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	text := render(modules, packages)
	if *write {
		if err := os.WriteFile(*file, text, 0o644); err != nil {
			return fmt.Errorf("write notices: %w", err)
		}
		fmt.Fprintf(out, "%s: %d modules, %d packages\n", *file, len(modules), len(packages))
		return nil
	}
	old, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("read notices: %w", err)
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is out of date: run make licences-write", *file)
	}
	return nil
}

const heading = `# Third-party notices

The programs of Dormer contain the software listed here. This file is written
by ` + "`make licences-write`" + ` and compared by ` + "`make check`" + `.

Software under the Mozilla Public License 2.0 is used unchanged; its source is
at the address that its name gives.

`

func render(modules, packages []*module) []byte {
	var b bytes.Buffer
	b.WriteString(heading)
	table(&b, "module", modules)
	if len(packages) > 0 {
		b.WriteString("\nIn the console, the web application:\n\n")
		table(&b, "package", packages)
	}

	// The same text is printed once, under the names of all who use it.
	type entry struct {
		text string
		used []string
	}
	var entries []*entry
	byText := map[string]*entry{}
	for _, m := range slices.Concat(modules, packages) {
		for _, t := range m.texts {
			e := byText[t.text]
			if e == nil {
				e = &entry{text: t.text}
				byText[t.text] = e
				entries = append(entries, e)
			}
			e.used = append(e.used, m.path+" "+t.name)
		}
	}
	for _, e := range entries {
		fmt.Fprintf(&b, "\n## %s\n\n", strings.Join(e.used, ", "))
		for line := range strings.Lines(e.text + "\n") {
			b.WriteString(strings.TrimRight("    "+strings.TrimRight(line, " \t\r\n"), " ") + "\n")
		}
	}
	return b.Bytes()
}

func table(b *bytes.Buffer, kind string, of []*module) {
	fmt.Fprintf(b, "| %s | version | licences |\n|---|---|---|\n", kind)
	for _, m := range of {
		fmt.Fprintf(b, "| %s | %s | %s |\n", m.path, m.version, strings.Join(m.licences(), ", "))
	}
}
