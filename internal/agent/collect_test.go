package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/wire"
)

// unpacked is what is in an archive.
func unpacked(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiagnosticsHaveNoSecrets: what is collected helps, and nothing of the keys,
// sessions and passwords of the state folder is in it.
func TestDiagnosticsHaveNoSecrets(t *testing.T) {
	d := aWorkspace(t, "machine: {revertible: false}", "")
	d.startUp()
	d.act(agentapi.CommandStop)
	d.awaitState("ready")
	m := d.machine()
	d.file(hypervisor.FileConsole)
	b, err := d.agent.collectDiagnostics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, b)
	var c collectedClient
	if err := json.Unmarshal(files["client.json"], &c); err != nil {
		t.Fatal(err)
	}
	if c.Client != houseClient || c.Instance != houseInstance || c.Host.DiskTotal == 0 || c.Host.ImagesBytes == 0 || len(c.Sessions) != 1 {
		t.Errorf("client is %s", files["client.json"])
	}
	dir := "machines/" + string(m.id) + "/"
	var one collectedMachine
	if err := json.Unmarshal(files[dir+"machine.json"], &one); err != nil {
		t.Fatal(err)
	}
	if one.Workspace != "Office" || one.Snapshot.State != "ready" || one.Layer == "" || one.PolicyHash == "" || string(files[dir+hypervisor.FileConsole]) != "x" {
		t.Errorf("machine is %s, of %d files", files[dir+"machine.json"], len(files))
	}
	all := ""
	for _, f := range files {
		all += string(f)
	}
	for _, name := range []string{FileKey, FileUsers, FileKeys, FileSettings, filepath.Join(DirMachines, string(m.id), FileMachine)} {
		b, err := os.ReadFile(d.agent.state.path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if json.Unmarshal(b, &v) != nil {
			v = strings.Split(string(b), "\n") // PEM
		}
		secrets(v, func(key, text string) {
			if len(text) >= 40 && !strings.HasPrefix(text, "sha256:") && strings.Contains(all, text) {
				t.Errorf("%s of %s is in the archive", key, name)
			}
		})
	}
}

// secrets calls each with all texts in v.
func secrets(v any, each func(key, text string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			secrets(x, func(key, text string) { each(k+"."+key, text) })
		}
	case []any:
		for _, x := range v {
			secrets(x, each)
		}
	case []string:
		for _, x := range v {
			each("", x)
		}
	case string:
		each("", v)
	}
}

// TestDiagnosticsAreBounded: logs that cannot be compressed are shortened until
// the archive is small enough.
func TestDiagnosticsAreBounded(t *testing.T) {
	d := aWorkspace(t, "", "")
	d.startUp()
	noise := make([]byte, 3<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{hypervisor.FileLog, hypervisor.FileConsole} {
		if err := os.WriteFile(filepath.Join(d.disks(), f), noise, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := d.agent.collectDiagnostics(t.Context())
	if err != nil || len(b) > wire.MaxDiagnostics || len(b) < 64<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
