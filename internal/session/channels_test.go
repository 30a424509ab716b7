package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OpenPrinting/goipp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// dav sends one request of WebDAV about a folder.
func (b *bench) dav(f agentapi.SharedFolder, method, path, body string, header ...string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://session"+agentapi.DeskFolders+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	said, err := json.Marshal(f)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set(agentapi.HeaderFolder, url.QueryEscape(string(said)))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.desk.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestFolders(t *testing.T) {
	b := newBench(t, nil)
	docs := filepath.Join(b.dir, "docs")
	if err := errors.Join(os.MkdirAll(filepath.Join(docs, "sub"), 0o700), os.WriteFile(filepath.Join(docs, "a.txt"), []byte("hello"), 0o600),
		os.WriteFile(filepath.Join(b.dir, "outside"), []byte("secret"), 0o600), os.Symlink("../outside", filepath.Join(docs, "out")),
		os.Symlink("a.txt", filepath.Join(docs, "in"))); err != nil {
		t.Fatal(err)
	}
	read := agentapi.SharedFolder{Name: "my docs", Path: "{home}/docs", ReadOnly: true}
	write := agentapi.SharedFolder{Name: "my docs", Path: docs}
	if code, text := b.dav(read, http.MethodGet, "/my%20docs/a.txt", ""); code != http.StatusOK || text != "hello" {
		t.Errorf("%d: %q", code, text)
	}
	code, list := b.dav(read, "PROPFIND", "/my%20docs/", "", "Depth", "1")
	if code != http.StatusMultiStatus || !strings.Contains(list, "/my%20docs/a.txt") || !strings.Contains(list, "/my%20docs/in") || strings.Contains(list, "/my%20docs/out") {
		t.Errorf("%d: %s", code, list)
	}
	for _, path := range []string{"/my%20docs/out", "/my%20docs/../outside", "/my%20docs/%2e%2e/outside", "/other/a.txt"} {
		if code, text := b.dav(write, http.MethodGet, path, ""); code == http.StatusOK || strings.Contains(text, "secret") {
			t.Errorf("%s: %d: %q", path, code, text)
		}
	}
	changes := []struct{ method, path, to string }{
		{http.MethodPut, "/my%20docs/new", ""},
		{"MKCOL", "/my%20docs/made", ""},
		{"COPY", "/my%20docs/a.txt", "/my%20docs/b.txt"},
		{"MOVE", "/my%20docs/a.txt", "/my%20docs/c.txt"},
		{"PROPPATCH", "/my%20docs/c.txt", ""},
		{"LOCK", "/my%20docs/c.txt", ""},
		{http.MethodDelete, "/my%20docs/c.txt", ""},
	}
	for _, c := range changes {
		if code, _ := b.dav(read, c.method, c.path, "", "Destination", c.to); code != http.StatusForbidden {
			t.Errorf("%s of a folder for reading: %d", c.method, code)
		}
	}
	for _, c := range changes {
		if c.method == "PROPPATCH" || c.method == "LOCK" {
			continue
		}
		body := ""
		if c.method == http.MethodPut {
			body = "x"
		}
		if code, text := b.dav(write, c.method, c.path, body, "Destination", c.to); code >= 300 {
			t.Errorf("%s: %d: %s", c.method, code, text)
		}
	}
	if code, _ := b.dav(write, http.MethodDelete, "/my%20docs/", ""); code < 300 {
		t.Error("the folder itself is removed")
	}
	if code, _ := b.dav(write, http.MethodPut, "/my%20docs/out", "x"); code < 300 {
		t.Error("a link is written through")
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "outside")); err != nil || string(text) != "secret" {
		t.Errorf("outside is now %q, %v", text, err)
	}
	for path, want := range map[string]error{"{home}/docs": nil, "{home}/none": dormer.ErrNotFound, "docs": dormer.ErrInvalid} {
		_, err := agentapi.AskDesk[struct{}](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskFolder, agentapi.SharedFolder{Name: "x", Path: path})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A guest that locks and asks without end fills no memory.
func TestFolderBounds(t *testing.T) {
	b := newBench(t, nil)
	f := agentapi.SharedFolder{Name: "docs", Path: b.dir}
	const ask = `<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>`
	locked := 0
	for i := range maxLocks + 10 {
		code, _ := b.dav(f, "LOCK", fmt.Sprintf("/docs/%d", i), ask, "Timeout", "Infinite")
		if code < 300 {
			locked++
		}
	}
	if locked != maxLocks {
		t.Errorf("%d locks at the same time, want %d", locked, maxLocks)
	}
	if code, _ := b.dav(f, "PROPFIND", "/docs/", "<"+strings.Repeat("a", maxQuestion+1), "Depth", "1"); code < 400 {
		t.Errorf("a question without an end: %d", code)
	}
}

// A guest prints as the user on the printer that is named, and does nothing else.
func TestPrinting(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "cups")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var got goipp.Message
	var document []byte
	cups := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Reset()
		if err := got.Decode(r.Body); err != nil {
			t.Error(err)
		}
		document, _ = io.ReadAll(r.Body)
		answer := goipp.NewResponse(goipp.MakeVersion(2, 0), goipp.StatusOk, 1)
		answer.Operation.Add(goipp.MakeAttribute("attributes-charset", goipp.TagCharset, goipp.String("utf-8")))
		if goipp.Op(got.Code) != goipp.OpPrintJob {
			answer.Printer.Add(goipp.MakeAttribute("printer-name", goipp.TagName, goipp.String("paper")))
		}
		_ = answer.Encode(w)
	})}
	go func() { _ = cups.Serve(l) }()
	t.Cleanup(func() { _ = cups.Close() })
	b := newBench(t, func(c *Config) {
		c.Env = func(name string) string { return map[string]string{"CUPS_SERVER": socket, "USER": "anna"}[name] }
	})
	all, err := agentapi.AskDesk[[]guestwire.Printer](t.Context(), b.desk.Client(), http.MethodGet, agentapi.DeskPrinters, nil)
	if err != nil || len(all) != 1 || all[0] != (guestwire.Printer{Name: "paper", Default: true}) {
		t.Errorf("printers: %+v, %v", all, err)
	}
	ask := func(op goipp.Op, body string) *http.Response {
		m := goipp.NewRequest(goipp.MakeVersion(2, 0), op, 1)
		m.Operation.Add(goipp.MakeAttribute("attributes-charset", goipp.TagCharset, goipp.String("utf-8")))
		m.Operation.Add(goipp.MakeAttribute("attributes-natural-language", goipp.TagLanguage, goipp.String("en")))
		m.Operation.Add(goipp.MakeAttribute("printer-uri", goipp.TagURI, goipp.String("ipp://localhost/printers/another")))
		m.Operation.Add(goipp.MakeAttribute("requesting-user-name", goipp.TagName, goipp.String("root")))
		m.Operation.Add(goipp.MakeAttribute("job-name", goipp.TagName, goipp.String("report")))
		head, err := m.EncodeBytes()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.desk.Client().Post("http://session"+agentapi.DeskPrinters+"/paper", ippType, io.MultiReader(bytes.NewReader(head), strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	resp := ask(goipp.OpPrintJob, "the document")
	if what, err := url.QueryUnescape(resp.Header.Get(agentapi.HeaderPrinted)); resp.StatusCode != http.StatusOK || err != nil || what != `"report" on paper` {
		t.Errorf("%d: %q, %v", resp.StatusCode, what, err)
	}
	if string(document) != "the document" || text(got.Operation, "printer-uri") != printerURI("paper") || text(got.Operation, "requesting-user-name") != "anna" {
		t.Errorf("CUPS gets %q of %s for %s", document, text(got.Operation, "requesting-user-name"), text(got.Operation, "printer-uri"))
	}
	for _, op := range []goipp.Op{goipp.OpCupsAddModifyPrinter, goipp.OpCupsDeletePrinter, goipp.OpPausePrinter, goipp.OpPurgeJobs, goipp.OpCupsSetDefault, goipp.OpPrintURI} {
		if resp := ask(op, ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", op, resp.StatusCode)
		}
	}
}
