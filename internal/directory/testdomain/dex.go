package testdomain

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clients that dex knows.
const (
	DexClient = "dormer"          // which has a secret
	DexSecret = "a secret of dex" // of DexClient
	DexPublic = "dormer-public"   // which has none
)

// Dex is a running dex, an OpenID Connect provider whose users are those of a
// domain. It ends with the test.
type Dex struct {
	// Issuer is its address.
	Issuer string

	program, config string
	server          *process // nil while it is stopped
}

// StartDex builds dex, unless the cache has it, and starts it before a domain.
// It sends browsers back to the redirect URIs alone.
func StartDex(t testing.TB, domain *Domain, redirectURIs ...string) *Dex {
	t.Helper()
	build := exec.CommandContext(t.Context(), script(t, "dex.sh"))
	var progress bytes.Buffer
	build.Stderr = &progress
	out, err := build.Output()
	if err != nil {
		t.Fatalf("build dex: %v\n%s", err, progress.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	x := &Dex{program: lines[len(lines)-1], config: filepath.Join(t.TempDir(), "dex.json")}

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", loopback+"1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	x.Issuer = "http://" + address // with a path, dex loses its way in sign-ins by another device
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	user, _ := domain.Service()
	type fields = map[string]any
	config, err := json.Marshal(fields{ // which is YAML, too
		"issuer": x.Issuer, "storage": fields{"type": "memory"}, "web": fields{"http": address},
		"logger": fields{"level": "error"},
		"oauth2": fields{"skipApprovalScreen": true},
		"expiry": fields{"refreshTokens": fields{"reuseInterval": "0s"}},
		"staticClients": []any{
			fields{"id": DexClient, "name": "Dormer", "secret": DexSecret, "redirectURIs": append([]string{"/device/callback"}, redirectURIs...)},
			fields{"id": DexPublic, "name": "Dormer", "public": true, "redirectURIs": redirectURIs},
		},
		"connectors": []any{fields{"type": "ldap", "id": "corp", "name": "corp", "config": fields{
			"host": domain.Address + ":636", "rootCA": domain.AuthorityFile, "bindDN": user, "bindPW": domain.Password(t, serviceAccount),
			"userSearch": fields{
				// Without the bit of disabled accounts: dex must not find them.
				"baseDN": domain.BaseDN, "filter": "(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
				"username": "sAMAccountName", "idAttr": "sAMAccountName", "emailAttr": "userPrincipalName",
				"nameAttr": "cn", "preferredUsernameAttr": "sAMAccountName",
			},
			"groupSearch": fields{
				// The rule goes through groups in groups.
				"baseDN": domain.BaseDN, "filter": "(objectClass=group)", "nameAttr": "cn",
				"userMatchers": []any{fields{"userAttr": "DN", "groupAttr": "member:1.2.840.113556.1.4.1941:"}},
			},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, x.config, config)
	t.Cleanup(x.Stop)
	x.Start(t)
	return x
}

// Start starts it, again after Stop: then it has forgotten all tokens and has
// other keys.
func (x *Dex) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(x.program, "serve", x.config) //nolint:noctx // ended by kill
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	var err error
	if x.server, err = startProcess(cmd); err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 2 * time.Second}
	var last error
	ready := func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.Issuer+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(r)
		if last = err; err == nil {
			_ = a.Body.Close()
		}
		return err == nil
	}
	if !x.server.await(t.Context(), startTime, ready) {
		t.Fatalf("dex does not start: %v", last)
	}
}

// Stop ends it; its address then refuses connections.
func (x *Dex) Stop() {
	if x.server != nil {
		x.server.kill()
		x.server = nil
	}
}
