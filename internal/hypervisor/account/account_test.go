package account_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
)

func ids(t *testing.T, count uint32) account.Range {
	t.Helper()
	return account.Range{Registry: filepath.Join(t.TempDir(), "uids"), First: 2130800000, Count: count}
}

func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func claim(t *testing.T, r account.Range, dir string) uint32 {
	t.Helper()
	a, err := r.Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func TestClaim(t *testing.T) {
	r := ids(t, 3)
	one, two, three := folder(t), folder(t), folder(t)
	a, b := claim(t, r, one), claim(t, r, two)
	probe, err := r.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if a == b || a == probe.ID || b == probe.ID {
		t.Errorf("not of their own: %d, %d, and %d for probes", a, b, probe.ID)
	}
	if again := claim(t, r, one); again != a {
		t.Errorf("a machine had %d and gets %d", a, again)
	}
	if _, err := r.Claim(three); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("more machines than ids: %v", err)
	}
	if err := os.RemoveAll(one); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, r, three); got != a {
		t.Errorf("the id of a deleted machine is %d, the next machine gets %d", a, got)
	}
	if err := os.Mkdir(one, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Claim(one); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a directory that comes back: %v", err)
	}
}

// Another range than before gives another id.
func TestClaimAfterTheRangeChanged(t *testing.T) {
	r := ids(t, 5)
	dir := folder(t)
	before := claim(t, r, dir)
	r.First += 100
	if after := claim(t, r, dir); after == before || after < r.First {
		t.Errorf("had %d, got %d of %s", before, after, r)
	}
}

func TestClaimAtOnce(t *testing.T) {
	r := ids(t, 100)
	var mu sync.Mutex
	seen := map[uint32]bool{}
	var wg sync.WaitGroup
	for range 20 {
		dir := folder(t)
		wg.Go(func() {
			a, err := r.Claim(dir)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[a.ID] {
				t.Errorf("got %d, %v", a.ID, err)
			}
			seen[a.ID] = true
		})
	}
	wg.Wait()
}

// An id under which something runs is nobody's to have.
func TestClaimPassesOverRunningUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root, to run a process as somebody else")
	}
	r := ids(t, 3)
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.Account{ID: r.First + 1}.Credential()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed with the test's context
	if got := claim(t, r, folder(t)); got != r.First+2 {
		t.Errorf("got %d", got)
	}
}

func TestBadRanges(t *testing.T) {
	for _, text := range []string{"", "5", "10-5", "0-100", "999-2000", "70000-70000", "1-x", "4294967290-4294967295", "-5", "99999999999-99999999999"} {
		if _, _, err := account.Parse(text); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	first, count, err := account.Parse("70000-70009")
	if err != nil || first != 70000 || count != 10 {
		t.Errorf("got %d, %d, %v", first, count, err)
	}
	if r := (account.Range{}).Fill(); r.String() != strconv.Itoa(account.DefaultFirst)+"-2130716431" || r.Registry != account.DefaultRegistry {
		t.Errorf("default: %s, %s", r, r.Registry)
	}
	if _, err := (account.Range{Registry: t.TempDir(), First: 5, Count: 10}).Claim("/m"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("claim of a bad range: %v", err)
	}
}
