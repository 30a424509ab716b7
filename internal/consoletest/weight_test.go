package consoletest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/dormer-project/dormer/internal/consoletest/playwright"
)

// TestFirstPage holds the build against its budget.
func TestFirstPage(t *testing.T) {
	const dist = "../console/dist"
	if _, err := os.Stat(dist + "/index.html"); err != nil {
		playwright.Missing(t, "this test needs the console, which scripts/console.sh builds")
	}
	files, total, err := firstPage(os.DirFS(dist))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first_page_script %d bytes in %d files", total, len(files))
	if total > maxFirstPage {
		t.Errorf("the script of the first page has %d bytes, more than %d: %v", total, maxFirstPage, files)
	}
}

// TestWeight counts what is needed at once, and not what loads later.
func TestWeight(t *testing.T) {
	pack := func(text string) *fstest.MapFile {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, text)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return &fstest.MapFile{Data: b.Bytes()}
	}
	dist := fstest.MapFS{
		"index.html":         {Data: []byte(`<script type="module" src="./assets/index.js"></script><link rel="modulepreload" href="./assets/a.js">`)},
		"assets/index.js.gz": pack(`import{x}from"./a.js";import"./b.js";const l=()=>import("./later.js");import("./App-1.js")`),
		"assets/App-1.js.gz": pack(`import{z}from"./c.js"`),
		"assets/c.js.gz":     pack(`export const z=1`),
		"assets/a.js.gz":     pack(`import{y}from"./b.js";`),
		"assets/b.js.gz":     pack(`export const y=1`),
		"assets/later.js.gz": pack(`export default 1`),
	}
	files, total, err := firstPage(dist)
	if want := []string{"assets/index.js", "assets/a.js", "assets/b.js", "assets/App-1.js", "assets/c.js"}; err != nil || !slices.Equal(files, want) {
		t.Fatalf("files %v, %v, want %v", files, err, want)
	}
	sum := 0
	for _, f := range files {
		sum += len(dist[f+".gz"].Data)
	}
	if int64(sum) != total {
		t.Errorf("%d bytes, want %d", total, sum)
	}
}
