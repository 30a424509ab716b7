package cli_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/loopback"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/store"
)

// commands are the words of scripts beside those of testscript.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":  exits,
	"json":   jsonValue,
	"mode":   mode,
	"disk":   disk,
	"server": serverCommand,
	"signin": signIn,
	"halt":   halt,
	"get":    get,

	"waitfor": waitFor,

	"dormerjson": dormerJSON,

	"freeport": freePort,
	"doc":      document,

	"otherauthority": otherAuthority,

	"provider": providerCommand,
	"issuer":   issuerCommand,
}

// condition knows [program:NAME], true when NAME is installed. With
// DORMER_TEST_ALL=1 what is missing is an error and not left out.
func condition(cond string) (bool, error) {
	program, ok := strings.CutPrefix(cond, "program:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if _, err := exec.LookPath(program); err == nil {
		return true, nil
	} else if os.Getenv("DORMER_TEST_ALL") == "1" {
		return false, err
	}
	return false, nil
}

// exits CODE PROGRAM ARG...: the program ends with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// json FILE [PATH [VALUE]]: the file (or stdout) is JSON; what stands at PATH,
// as items.0.name, is VALUE. A list's length is at PATH.len. With ! the value is
// not that one, or without VALUE nothing stands at PATH.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 3 {
		ts.Fatalf("usage: json FILE [PATH [VALUE]]")
	}
	v, found := lookUp(ts, args)
	switch {
	case len(args) == 1:
		if neg {
			ts.Fatalf("! json FILE needs a path")
		}
	case len(args) == 2:
		if found == neg {
			ts.Fatalf("%s: found: %v", args[1], found)
		}
	case !found:
		ts.Fatalf("nothing at %s", args[1])
	case (fmt.Sprint(v) == args[2]) == neg:
		ts.Fatalf("%s is %v, want %s", args[1], v, args[2])
	}
}

// get VARIABLE FILE PATH: keeps what stands at a path of a JSON file.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: get VARIABLE FILE PATH")
	}
	v, found := lookUp(ts, args[1:])
	if !found {
		ts.Fatalf("nothing at %s", args[2])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func lookUp(ts *testscript.TestScript, args []string) (any, bool) {
	var v any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	if d.More() {
		ts.Fatalf("%s has more than one JSON value", args[0])
	}
	if len(args) == 1 {
		return v, true
	}
	for part := range strings.SplitSeq(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[part]; !ok {
				return nil, false
			}
		case []any:
			if part == "len" {
				v = len(x)
				continue
			}
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(x) {
				return nil, false
			}
			v = x[n]
		default:
			return nil, false
		}
	}
	return v, true
}

// mode FILE OCTAL: the file's permissions.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE OCTAL")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// disk FILE MIB [CHANGED]: a raw disk, the first half of it random and the rest
// a hole; of the random part so many blocks of 4 KiB in the middle are changed.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: disk FILE MIB [CHANGED]")
	}
	mib, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, mib<<19)
	random := mathrand.NewChaCha8([32]byte{1})
	_, err = random.Read(b)
	ts.Check(err)
	// A boot record, as each disk that boots from a BIOS has it.
	b[510], b[511] = 0x55, 0xaa
	if len(args) == 3 {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		_, err = random.Read(b[len(b)/2:][:n<<12])
		ts.Check(err)
	}
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, b, 0o600))
	ts.Check(os.Truncate(path, int64(mib)<<20))
}

// otherauthority FILE: the certificate of an authority that nobody here trusts.
func otherAuthority(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: otherauthority FILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

// running is the server of a script.
type running struct {
	stop context.CancelFunc
	done chan error
	url  string
	data string
	log  bytes.Buffer
	// providers are those of the servers that are started from now on.
	providers []server.ProviderConfig
}

// servers holds what runs, by script; guarded by the mutex beside it.
var servers = struct {
	sync.Mutex
	of map[*testscript.TestScript]*running
}{of: map[*testscript.TestScript]*running{}}

// server start [plain]: a server in this process on a port of its own, with its
// own authority. SERVER and CA are set; with "plain" it speaks HTTP.
// server stop: stops it; its data stay, and the next start goes on with them.
func serverCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: server start|stop")
	}
	r := serverOf(ts)
	switch args[0] {
	case "start":
		r.start(ts)
		ts.Setenv("SERVER", r.url)
		ts.Setenv("CA", filepath.Join(r.data, "keys", "tls", "ca.crt"))
	case "stop":
		r.end(ts)
	default:
		ts.Fatalf("usage: server start|stop")
	}
}

// halt puts a deletion that waits for a confirmation into the server's database.
func halt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: halt")
	}
	ctx := context.Background()
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(serverOf(ts).data, "state.db"), store.Options{})
	ts.Check(err)
	d := lease.Deletion{
		Machine: "mmmmmmmmmmmmmmmmmmmmmmmmmm", Client: "cccccccccccccccccccccccccc", User: "alice", Workspace: "wwwwwwwwwwwwwwwwwwwwwwwwww", Revision: 3,
		Reason: "workspace Office was disabled for you, and its machine is deleted then", Since: time.Now(),
	}
	_, err = state.PlanDeletion(ctx, d, lease.PendingOrder{}, d.Since, func(lease.DeletionFacts, lease.Deletion) (lease.DeletionState, bool) {
		return lease.DeletionHalted, false
	})
	ts.Check(err)
	ts.Check(state.Close())
}

// serverOf returns the server of a script.
func serverOf(ts *testscript.TestScript) *running {
	servers.Lock()
	defer servers.Unlock()
	r := servers.of[ts]
	if r == nil {
		r = &running{data: ts.MkAbs("server")}
		servers.of[ts] = r
		ts.Defer(func() {
			servers.Lock()
			defer servers.Unlock()
			r.end(ts)
			delete(servers.of, ts)
		})
	}
	return r
}

func (r *running) start(ts *testscript.TestScript) {
	if r.stop != nil {
		ts.Fatalf("the server runs already")
	}
	if r.url == "" {
		r.url = "https://" + freeAddress(ts)
	}
	cfg := server.Default()
	cfg.Data, cfg.PublicURLs, cfg.Providers = r.data, []string{r.url}, r.providers
	cfg.Listen = []string{strings.TrimPrefix(r.url, "https://")}
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan struct{})
	s, err := server.New(ctx, cfg, server.Deps{
		Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Version: "1.2.3",
		Hostname: "server", PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Listening: func([]net.Addr) { close(ready) },
	})
	if err != nil {
		stop()
		ts.Fatalf("start the server: %v", err)
	}
	r.stop, r.done = stop, make(chan error, 1)
	go func() { r.done <- errors.Join(s.Run(ctx), s.Close()) }()
	select {
	case <-ready:
	case err := <-r.done:
		r.stop = nil
		ts.Fatalf("run the server: %v", err)
	}
}

func (r *running) end(ts *testscript.TestScript) {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.done; err != nil {
		ts.Logf("server: %v\n%s", err, r.log.String())
	}
}

func freeAddress(ts *testscript.TestScript) string {
	address, err := loopback.Address(context.Background())
	ts.Check(err)
	return address
}

// password is that of the operators and users of scripts.
const password = "correct horse battery"

// signin: starts a server and signs in its first operator.
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: signin")
	}
	serverCommand(ts, false, []string{"start"})
	once := strings.TrimSpace(ts.ReadFile("server/first-admin-password"))
	ts.Check(os.WriteFile(ts.MkAbs("admin.txt"), []byte(once+"\n"+password+"\n"), 0o600))
	c := exec.Command("dormer", "login", "--server", ts.Getenv("SERVER"), "--ca", ts.Getenv("CA"), "--user", "admin")
	path, err := exec.LookPath("dormer")
	ts.Check(err)
	c.Path, c.Err = path, nil
	c.Stdin = strings.NewReader(once + "\n" + password + "\n")
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "PATH"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	out, err := c.CombinedOutput()
	if err != nil {
		ts.Fatalf("login: %v\n%s", err, out)
	}
	ts.Check(os.WriteFile(ts.MkAbs("password.txt"), []byte(password+"\n"), 0o600))
}

// waitfor PROGRAM ARG...: the program succeeds before half a minute is over.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: waitfor PROGRAM ARG...")
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		select {
		case <-limit:
			ts.Fatalf("%s: %v", strings.Join(args, " "), err)
		case <-tick.C:
		}
	}
}

// freeport VARIABLE: a port that nobody listens on.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VARIABLE")
	}
	_, port, err := net.SplitHostPort(freeAddress(ts))
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// dormerjson INPUT ARG...: dormer with --json succeeds and prints one document
// of JSON. INPUT is a file for its standard input, "." for none.
func dormerJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: dormerjson INPUT ARG...")
	}
	if args[0] != "." {
		// Exec takes the standard input that the word stdin has set.
		args = append([]string{"-c", `input=$1; shift; exec dormer "$@" --json <"$input"`, "sh"}, args...)
		ts.Check(ts.Exec("sh", args...))
	} else {
		ts.Check(ts.Exec("dormer", append(args[1:], "--json")...))
	}
	lookUp(ts, []string{"stdout"})
}
