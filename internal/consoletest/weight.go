package consoletest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
)

// maxFirstPage bounds the script of the first page, compressed, in bytes: what
// a browser must have before somebody can sign in.
const maxFirstPage = 400_000

// indexScripts matches the scripts that a page names, importedScripts those that
// a script needs before it runs, and loadedAtOnce those that are loaded as soon as
// it runs: the application, and the page that people come to first. Whatever else is
// written import("...") loads later.
var (
	indexScripts    = regexp.MustCompile(`(?:src|href)="\./(assets/[^"]+\.js)"`)
	importedScripts = regexp.MustCompile(`(?:from|import)\s*["']\./([^"']+\.js)["']`)
	loadedAtOnce    = regexp.MustCompile("import\\([\"'`]\\./((?:App|Overview)-[^\"'`]+\\.js)[\"'`]\\)")
)

// firstPage returns the scripts that the first page of a build needs, and how
// many bytes they are as they are sent.
func firstPage(dist fs.FS) (files []string, total int64, err error) {
	index, err := fs.ReadFile(dist, "index.html")
	if err != nil {
		return nil, 0, fmt.Errorf("read the console's page: %w", err)
	}
	for _, m := range indexScripts.FindAllSubmatch(index, -1) {
		files = append(files, string(m[1]))
	}
	if len(files) == 0 {
		return nil, 0, errors.New("the console's page has no scripts")
	}
	for n := 0; n < len(files); n++ {
		packed, err := fs.ReadFile(dist, files[n]+".gz")
		if err != nil {
			return nil, 0, fmt.Errorf("read a script of the console: %w", err)
		}
		total += int64(len(packed))
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, 0, fmt.Errorf("unpack %s: %w", files[n], err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			return nil, 0, fmt.Errorf("unpack %s: %w", files[n], err)
		}
		for _, m := range append(importedScripts.FindAllSubmatch(text, -1), loadedAtOnce.FindAllSubmatch(text, -1)...) {
			if needed := path.Join(path.Dir(files[n]), string(m[1])); !slices.Contains(files, needed) {
				files = append(files, needed)
			}
		}
	}
	return files, total, nil
}
