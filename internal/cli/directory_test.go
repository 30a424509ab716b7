package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestDirectoriesThatDoNotAnswer are named beside what the others have; that
// nobody goes by a name is said only when all have answered.
func TestDirectoriesThatDoNotAnswer(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, r *http.Request) {
		all := rest.Found{Items: []rest.Entry{}}
		q := r.URL.Query()
		called := q.Get("name") + q.Get("prefix")
		if strings.HasSuffix(called, "alice") {
			all.Items = append(all.Items, rest.Entry{Principal: dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: "k", Name: "alice"}})
		}
		if !strings.HasPrefix(called, `local\`) {
			all.Unanswered = []string{"corp"}
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(all); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET "+rest.Prefix+"/directory/check", answer)
	mux.HandleFunc("GET "+rest.Prefix+"/directory/find", answer)
	server := httptest.NewServer(mux)
	defer server.Close()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("dormer_api_x.y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const away = "warning: directory corp does not answer"
	for _, test := range []struct {
		args        []string
		code        int
		out, errOut string
	}{
		{[]string{"check", "alice"}, 0, "alice  user", away},
		{[]string{"check", "alice", "--json"}, 0, `"unanswered": [`, away},
		{[]string{"check", "alice", "bob"}, 7, "alice  user", `whether a user or group goes by "bob" is not known: no answer from directory corp`},
		{[]string{"check", `local\alice`, `local\bob`}, 5, "alice", `no user or group goes by "local\bob"`},
		{[]string{"check", `local\bob`, "bob"}, 7, "", `no user or group goes by "local\bob"; whether`},
		{[]string{"check", "bob", "--json"}, 7, `"found": []`, `"kind":"unavailable"`},
		{[]string{"find", "alice"}, 0, "alice  user", away},
		{[]string{"find", "bob"}, 0, "NAME", away},
		{[]string{"find", "bob", "--json"}, 0, `"unanswered": [`, away},
		{[]string{"find", `local\alice`}, 0, "alice  user", ""},
	} {
		var out, errOut bytes.Buffer
		args := append([]string{"--server", server.URL, "--token-file", token, "--profile", filepath.Join(dir, "profile"), "directory"}, test.args...)
		code := cli.Run(t.Context(), args, cli.Streams{
			In: strings.NewReader(""), Out: &out, Err: &errOut, Env: func(string) string { return "" }, Now: time.Now, Version: "1.2.3",
		})
		if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errOut.String(), test.errOut) || test.errOut == "" && errOut.Len() > 0 {
			t.Errorf("%v: %d\n%s%s", test.args, code, out.String(), errOut.String())
		}
		if code == 7 && strings.Contains(errOut.String(), "not found") {
			t.Errorf("%v claims that nobody is: %s", test.args, errOut.String())
		}
	}
}
