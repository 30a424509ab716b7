package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/loopback"
)

// instance is the server with its operator.
type instance struct {
	s        *suite
	admin    person
	dir      string // the server's folder
	config   string
	log      string
	url      string // of the server itself
	wire     *wire  // under which clients reach it
	server   *program
	packed   map[string]packed // by the name of the version: tiny/1
	password string
}

// packed is what `dormer image pack --json` says.
type packed struct {
	Image string `json:"image"`
	New   int64  `json:"new"`
}

// newInstance starts a server; more is added to its settings.
func (s *suite) newInstance(t *testing.T, more string) *instance {
	t.Helper()
	began := time.Now()
	i := &instance{s: s, admin: s.newPerson(t, "admin"), packed: map[string]packed{}, password: "a long enough password"}
	address := freeAddress(t)
	i.dir, i.log = filepath.Join(i.admin.dir, "server"), filepath.Join(i.admin.dir, "dormerd.log")
	i.config = filepath.Join(i.admin.dir, "dormerd.toml")
	i.url = "https://localhost:" + port(address)
	i.wire = newWire(t, address)
	text := fmt.Sprintf("data = %q\nlisten = [%q]\npublic_urls = [%q]\n\n[clients]\npoll_interval = \"1s\"\n%s", i.dir, address, i.wire.url, more)
	write(t, i.config, text)
	logged(t, i.log)
	i.start(t)
	t.Cleanup(func() { i.server.stop(t) })
	oneTime := strings.TrimSpace(read(t, filepath.Join(i.dir, "first-admin-password")))
	i.admin.types(t, oneTime+"\n"+i.password+"\n", "login", "--server", i.url, "--ca", i.authority(), "--user", `local\admin`)
	i.admin.dormer(t, "publisher", "create", "tests")
	t.Logf("server is set up after %.1f s", time.Since(began).Seconds())
	return i
}

func (i *instance) authority() string { return filepath.Join(i.dir, "keys", "tls", "ca.crt") }

// start starts the server and waits until it is ready.
func (i *instance) start(t *testing.T) {
	t.Helper()
	i.server = start(t, i.log, i.admin.env(), filepath.Join(i.s.bin, "dormerd"), "serve", "--config", i.config)
	eventually(t, soon, "the server is ready", func() string {
		if !i.server.running() {
			t.Fatal("the server has ended")
		}
		return i.probe(t.Context())
	})
}

// probe asks the server whether it is ready.
func (i *instance) probe(ctx context.Context) string {
	pem, err := os.ReadFile(i.authority())
	if err != nil {
		return err.Error()
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, DisableKeepAlives: true,
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, i.url+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return ""
}

// image packs a test guest and pushes it as a version, once: the guest tiny as
// tiny/1, v1 as system/1, v2 as system/2.
func (i *instance) image(t *testing.T, version string) string {
	t.Helper()
	if _, ok := i.packed[version]; !ok {
		guest := map[string]string{"tiny/1": "tiny", "system/1": "v1", "system/2": "v2", "desk/1": "desk"}[version]
		i.packed[version] = i.push(t, version, filepath.Join(i.s.guest, guest))
	}
	name, _, _ := strings.Cut(version, "/")
	return name
}

// push packs the guest in a folder and pushes it.
func (i *instance) push(t *testing.T, version, guest string) packed {
	t.Helper()
	name, number, _ := strings.Cut(version, "/")
	began := time.Now()
	var p packed
	parse(t, i.admin.dormer(t, "image", "pack", name, filepath.Join(guest, "guest.json"), "--json"), &p)
	i.admin.dormer(t, "image", "push", name, "--number", number)
	t.Logf("%s is packed and pushed after %.1f s (%.1f MB new)", version, time.Since(began).Seconds(), float64(p.New)/1e6)
	return p
}

// event is a row of the report of activity.
type event struct {
	ID          int64     `json:"id"`
	Client      string    `json:"client"`
	Time        time.Time `json:"time"`
	Code        int       `json:"code"`
	Severity    string    `json:"severity"`
	User        string    `json:"user"`
	Workspace   string    `json:"workspace_name"`
	Description string    `json:"description"`
	Image       string    `json:"image"`
}

// events returns a client's events, oldest first.
func (i *instance) events(t *testing.T, client string) []event {
	t.Helper()
	var out []event
	after := ""
	for {
		args := []string{"report", "activity", "--json", "--limit", "500"}
		if after != "" {
			args = append(args, "--after", after)
		}
		var page struct {
			Items []event `json:"items"`
			Next  string  `json:"next"`
		}
		parse(t, i.admin.dormer(t, args...), &page)
		for _, e := range page.Items {
			if e.Client == client {
				out = append([]event{e}, out...)
			}
		}
		if page.Next == "" {
			return out
		}
		after = page.Next
	}
}

// count counts the events with a code that say something; "" is anything.
func count(events []event, code int, says string) int {
	n := 0
	for _, e := range events {
		if e.Code == code && strings.Contains(e.Description, says) {
			n++
		}
	}
	return n
}

// once fails the test if an event is there twice.
func once(t *testing.T, events []event) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range events {
		key := fmt.Sprint(e.Time.UnixNano(), e.Code, e.Description, e.Workspace)
		if seen[key] {
			t.Errorf("event twice: %+v", e)
		}
		seen[key] = true
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
