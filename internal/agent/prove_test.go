package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/throttle"
)

// waits returns for how long no attempt is taken.
func (d *desk) waits(secret string) time.Duration {
	d.t.Helper()
	limited, ok := errors.AsType[*throttle.Error](d.prove(secret))
	if !ok {
		return 0
	}
	return limited.After.Round(10 * time.Second)
}

func TestProveByPassword(t *testing.T) {
	d := newDesk(t)
	if u := d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord}); u.Proof != agentapi.ProofPassword {
		t.Errorf("signed in as %+v", u)
	}
	d.want(d.prove(annesWord), nil, "")
	d.house.set(func(h *house) { h.away = true })
	d.restart()
	d.want(d.prove(annesWord), nil, "") // off-line, by another agent
	d.want(d.prove(""), dormer.ErrInvalid, "secret")
	d.want(d.prove(strings.Repeat("x", 2000)), dormer.ErrInvalid, "secret")

	// A right one in between begins the count anew.
	for _, left := range []string{"4 more attempts", "3 more attempts"} {
		d.want(d.prove("wrong"), dormer.ErrDenied, left)
	}
	d.want(d.prove(annesWord), nil, "")
	for _, left := range []string{"4 more", "3 more", "2 more", "one more attempt"} {
		d.want(d.prove("wrong"), dormer.ErrDenied, left)
	}
	d.want(d.prove("wrong"), dormer.ErrDenied, "wait 30s")
	for _, then := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour, time.Hour} {
		before := d.waits(annesWord)
		if before == 0 {
			t.Fatalf("there is no wait before one of %s", then)
		}
		d.pass(before - 10*time.Second)
		if d.waits(annesWord) == 0 {
			t.Fatalf("the wait of %s ended too early", before)
		}
		d.pass(20 * time.Second)
		d.want(d.prove("wrong"), dormer.ErrDenied, "is wrong; wait")
		if got := d.waits(annesWord); got != then {
			t.Errorf("after %s the wait is %s, expected %s", before, got, then)
		}
	}
	d.pass(longWait)
	d.want(d.prove(annesWord), nil, "") // nothing was wiped
	d.want(d.prove("wrong"), dormer.ErrDenied, "4 more attempts")
}

// TestWaitOutlivesTheAgent: neither another agent, nor a restart of the
// computer, nor a clock that is set ahead shortens a wait.
func TestWaitOutlivesTheAgent(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	for range freeTries + 3 { // the last wait is four minutes
		d.pass(5 * time.Minute)
		_ = d.prove("wrong")
	}
	if w := d.waits(annesWord); w != 4*time.Minute {
		t.Fatalf("the wait is %s", w)
	}
	d.restart()
	if w := d.waits(annesWord); w != 4*time.Minute {
		t.Errorf("after a restart of the agent the wait is %s", w)
	}
	d.mu.Lock()
	d.passed += time.Hour // the wall clock alone
	d.mu.Unlock()
	if w := d.waits(annesWord); w != 4*time.Minute {
		t.Errorf("with the clock set ahead the wait is %s", w)
	}
	d.reboot(time.Hour)
	if w := d.waits(annesWord); w != 3*time.Minute {
		t.Errorf("one minute after the computer was started the wait is %s", w)
	}
	d.pass(3 * time.Minute)
	d.want(d.prove(annesWord), nil, "")
}

// TestAttemptCountsBeforeItIsChecked: what an agent that is killed leaves has
// the attempt in it.
func TestAttemptCountsBeforeItIsChecked(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	for range freeTries {
		if _, err := d.agent.takeTry("session-1"); err != nil { // and the agent is killed
			t.Fatal(err)
		}
	}
	var u users
	if err := d.agent.state.readJSON(FileUsers, &u); err != nil {
		t.Fatal(err)
	}
	if p := u.Sessions[0].Proof; p.Failed != freeTries || p.Wait != firstWait {
		t.Errorf("kept is %+v", p)
	}
	d.restart()
	if w := d.waits(annesWord); w != firstWait {
		t.Errorf("the wait is %s", w)
	}
}

func TestGuessesSideBySide(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		checked int
	)
	for range 50 {
		wg.Go(func() {
			if errors.Is(d.prove("wrong"), dormer.ErrDenied) {
				mu.Lock()
				defer mu.Unlock()
				checked++
			}
		})
	}
	wg.Wait()
	if checked != freeTries {
		t.Errorf("%d guesses were checked, expected %d", checked, freeTries)
	}
}

// TestNoDiskLeft: attempts count although they cannot be kept, and the user is
// not kept out.
func TestNoDiskLeft(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	state := d.agent.state
	d.agent.state = folder(filepath.Join(d.dir, "gone"))
	defer func() { d.agent.state = state }()
	d.want(d.prove(annesWord), nil, "")
	for range freeTries {
		_ = d.prove("wrong")
	}
	if d.waits(annesWord) != firstWait {
		t.Error("wrong attempts do not count while the disk is full")
	}
}

func TestProofIsBoundToTheLease(t *testing.T) {
	setUp := func(t *testing.T) *desk {
		t.Helper()
		d := newDesk(t)
		d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
		d.want(d.prove(annesWord), nil, "")
		return d
	}
	t.Run("off-line too long", func(t *testing.T) {
		d := setUp(t)
		d.house.set(func(h *house) { h.away = true })
		d.pass(23 * time.Hour)
		d.want(d.prove(annesWord), nil, "")
		d.pass(2 * time.Hour)
		d.want(d.prove(annesWord), dormer.ErrDenied, "no workspace of anna may run")
	})
	t.Run("signed in too long ago", func(t *testing.T) {
		d := setUp(t)
		d.house.set(func(h *house) { h.away = true })
		d.pass(31 * 24 * time.Hour)
		d.want(d.prove(annesWord), dormer.ErrDenied, "sign in again")
	})
	t.Run("no lease yet", func(t *testing.T) {
		d := newDesk(t)
		d.house.set(func(h *house) { h.none = true })
		d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
		d.want(d.prove(annesWord), dormer.ErrDenied, "no workspace of anna may run")
	})
	t.Run("signed out", func(t *testing.T) {
		d := setUp(t)
		if err := d.agent.SignOut(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		d.want(d.prove(annesWord), dormer.ErrNotFound, "nobody is signed in")
	})
	t.Run("another user of the computer", func(t *testing.T) {
		d := setUp(t)
		for _, uid := range []uint32{0, 1002} {
			err := d.agent.Prove(t.Context(), agentapi.Peer{UID: uid}, agentapi.ProveRequest{User: "anna", Secret: annesWord})
			d.want(err, dormer.ErrNotFound, "nobody is signed in")
		}
	})
}

func TestVerifierIsSealed(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	d.byCode("ben")
	if _, err := d.agent.SetPIN(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.PINRequest{User: "ben", PIN: "735291"}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range []string{annesWord, "argon2", "735291", "code for ben"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s has %q in it", path, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// One of another session does not open.
	d.agent.mu.Lock()
	u := d.agent.users
	anna, _ := u.byID("session-1")
	ben, _ := u.byID("session-2")
	anna.Proof = ben.Proof
	err = d.agent.setUsers(u.with(anna))
	d.agent.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	err = d.agent.prove(t.Context(), annesUID, "anna", "735291")
	d.want(err, dormer.ErrCorrupt, "verifier")
}

func TestPasswordChanged(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	for range freeTries {
		_ = d.prove("wrong")
	}
	d.signIn(agentapi.SignInRequest{User: "anna", Password: "another horse battery"})
	d.want(d.prove("another horse battery"), nil, "")
	d.want(d.prove(annesWord), dormer.ErrDenied, "4 more attempts")
	// After a sign-in by ticket nothing of the password is left.
	if u := d.byCode("anna"); u.Proof != "" {
		t.Errorf("signed in as %+v", u)
	}
	d.want(d.prove("another horse battery"), dormer.ErrConflict, "dormer pin set")
}

func TestPIN(t *testing.T) {
	d := newDesk(t)
	if u := d.byCode("anna"); u.Proof != "" || u.Name != "anna" {
		t.Errorf("signed in as %+v", u)
	}
	d.want(d.prove("735291"), dormer.ErrConflict, "dormer pin set")
	d.want(d.setPIN("735291"), nil, "")
	d.want(d.prove("735291"), nil, "")
	d.want(d.prove("735292"), dormer.ErrDenied, "the PIN is wrong; 4 more")

	// It outlives another sign-in without a password, with its count.
	if u := d.byCode("anna"); u.Proof != agentapi.ProofPIN {
		t.Errorf("signed in again as %+v", u)
	}
	d.want(d.prove("735292"), dormer.ErrDenied, "3 more")
	d.restart()
	d.want(d.prove("735291"), nil, "")

	// Setting it needs a sign-in that is not long ago, of this start of the
	// computer, and one's own.
	_, err := d.agent.SetPIN(t.Context(), agentapi.Peer{UID: 0}, agentapi.PINRequest{User: "anna", PIN: "946173"})
	d.want(err, dormer.ErrNotFound, "nobody is signed in")
	d.pass(9 * time.Minute)
	d.want(d.setPIN("846173"), nil, "")
	check := func(r agentapi.PINRequest) error {
		r.Check = true
		_, err := d.agent.SetPIN(t.Context(), agentapi.Peer{UID: annesUID}, r)
		return err
	}
	d.want(check(agentapi.PINRequest{}), nil, "")
	d.want(check(agentapi.PINRequest{Remove: true}), dormer.ErrInvalid, "check")
	d.want(check(agentapi.PINRequest{PIN: "946173"}), dormer.ErrInvalid, "check")
	d.want(d.prove("846173"), nil, "") // nothing has changed
	d.pass(2 * time.Minute)
	d.want(d.setPIN("946173"), dormer.ErrDenied, "sign in again")
	d.want(check(agentapi.PINRequest{}), dormer.ErrDenied, "sign in again")
	d.byCode("anna")
	d.want(d.setPIN("946173"), nil, "")
	d.reboot(0)
	d.want(d.setPIN("173946"), dormer.ErrDenied, "sign in again")
	d.want(d.prove("946173"), nil, "")

	if _, err := d.agent.SetPIN(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.PINRequest{Remove: true}); err != nil {
		t.Fatal(err)
	}
	d.want(d.prove("946173"), dormer.ErrConflict, "dormer pin set")

	// With a password there is none beside it.
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	d.want(d.setPIN("946173"), dormer.ErrConflict, "signed in with a password")
	d.want(d.prove(annesWord), nil, "")
}

func TestCheckPIN(t *testing.T) {
	for pin, good := range map[string]bool{
		"735291": true, "pqx!7ä": true, "112233": true, "123457": true, strings.Repeat("ab", 512): true,
		"": false, "73529": false, "äöü": false, "000000": false, "aaaaaaa": false, "123456": false, "987654321": false, "abcdef": false,
		"73529\xff": false, strings.Repeat("ab", 513): false,
	} {
		err := checkPIN(pin)
		if (err == nil) != good {
			t.Errorf("PIN %.20q: %v", pin, err)
		}
		if err != nil && !errors.Is(err, dormer.ErrInvalid) || err != nil && len(pin) > 3 && strings.Contains(err.Error(), pin) && pin != "123456" {
			t.Errorf("the error of %.20q is %v", pin, err)
		}
	}
}

func FuzzCheckPIN(f *testing.F) {
	f.Add("735291")
	f.Add("\xff\xfe12345")
	f.Add("123456")
	f.Fuzz(func(t *testing.T, pin string) {
		if checkPIN(pin) == nil && len([]rune(pin)) < minPIN {
			t.Errorf("%q is taken", pin)
		}
	})
}

func TestWaitAfter(t *testing.T) {
	last := time.Duration(0)
	for failed := range 10_000 {
		w := waitAfter(failed)
		if w < last || w > longWait || failed < freeTries && w != 0 || failed >= freeTries && w < firstWait {
			t.Fatalf("after %d the wait is %s, before it was %s", failed, w, last)
		}
		last = w
	}
	// What was planted in the file keeps nobody out for longer.
	p := standIn{Wait: 1 << 62}
	if left := p.left(lease.TimeSources{Boot: func() time.Duration { return 0 }}); left != longWait {
		t.Errorf("left is %s", left)
	}
}

func TestSignInRequest(t *testing.T) {
	d := newDesk(t)
	for _, r := range []agentapi.SignInRequest{
		{},
		{Password: "x"},
		{Code: "c", User: "anna"},
		{Code: "c", Password: "x"},
		{Code: strings.Repeat("c", 5000)},
		{User: "anna", Password: strings.Repeat("x", 2000)},
	} {
		_, err := d.agent.SignIn(t.Context(), agentapi.Peer{UID: annesUID}, r)
		d.want(err, dormer.ErrInvalid, "")
	}
	_, err := d.agent.SignIn(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.SignInRequest{Code: "unknown"})
	d.want(err, dormer.ErrDenied, "code is wrong")
	info, err := d.agent.SignInInfo(t.Context(), agentapi.Peer{UID: annesUID})
	if err != nil || info.Server != d.house.url || info.Client != houseClient || info.Authority != nil {
		t.Errorf("sign-in info is %+v, %v", info, err)
	}
}

// TestEnrolmentIsInterrupted: an agent that is killed while it gets another
// identity has the old one whole, with its sessions, or the new one.
func TestEnrolmentIsInterrupted(t *testing.T) {
	d := newDesk(t)
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	d.stop()
	files := func() map[string][]byte {
		out := map[string][]byte{}
		for _, name := range []string{FileKey, FileIdentity, FileUsers} {
			b, err := os.ReadFile(filepath.Join(d.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			out[name] = b
		}
		return out
	}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(d.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := files()
	d.start()
	token := enroll.Invitation{URL: d.house.url, Authority: enroll.SystemAuthority, Secret: strings.Repeat("A", 43)}.String()
	_, err := d.agent.SignInInfo(t.Context(), agentapi.Peer{})
	d.want(err, nil, "")
	d.want(d.agent.Enrol(t.Context(), agentapi.Peer{}, agentapi.EnrolRequest{JoinToken: token}), dormer.ErrExists, "--again")
	d.want(d.agent.Enrol(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.EnrolRequest{JoinToken: token, Again: true}), dormer.ErrDenied, "administrator")
	d.want(d.agent.Enrol(t.Context(), agentapi.Peer{}, agentapi.EnrolRequest{JoinToken: token, Again: true}), nil, "")
	d.want(d.prove(annesWord), dormer.ErrNotFound, "nobody is signed in")
	d.stop()
	after := files()

	// Killed before the identity was kept: everything is as it was.
	for name, b := range before {
		put(name, b)
	}
	put(FileNextKey, after[FileKey])
	d.start()
	if _, ok := d.agent.users.find("local/anna"); !ok {
		t.Error("the session is lost")
	}
	d.stop()

	// Killed at once after it: the new key counts, and no session of the old one.
	put(FileIdentity, after[FileIdentity])
	d.start()
	if _, err := d.agent.Refresh(t.Context(), agentapi.Peer{}); err != nil {
		t.Errorf("poll with the new identity: %v", err)
	}
	d.signIn(agentapi.SignInRequest{User: "anna", Password: annesWord})
	d.want(d.prove(annesWord), nil, "")
	d.stop()
	if string(files()[FileKey]) != string(after[FileKey]) {
		t.Error("the key is not that of the identity")
	}

	// A key that is of no identity is told as such.
	put(FileKey, before[FileKey])
	if err := os.Remove(filepath.Join(d.dir, FileNextKey)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadIdentity(folder(d.dir)); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a foreign key: %v", err)
	}
	put(FileKey, after[FileKey])
	d.start()
}

// TestRefusedSignIn: that a sign-in was refused is told when the server refused
// it, not when it did not answer.
func TestRefusedSignIn(t *testing.T) {
	d := newDesk(t)
	for _, away := range []bool{true, false} {
		d.house.set(func(h *house) { h.away = away })
		if _, err := d.agent.SignIn(t.Context(), agentapi.Peer{UID: annesUID}, agentapi.SignInRequest{User: "anne", Password: "wrong"}); err == nil {
			t.Error("a wrong password signs in")
		}
		d.house.set(func(h *house) { h.away = false })
		if _, err := d.agent.Refresh(t.Context(), agentapi.Peer{}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{true: 0, false: 1}[away]
		d.house.set(func(h *house) {
			n := 0
			for _, code := range h.told {
				if code == int(event.SignInRefused) {
					n++
				}
			}
			if n != want {
				t.Errorf("server away: %t: told of %d refusals, want %d", away, n, want)
			}
			h.told = nil
		})
	}
}

// TestRun: each start of an agent has a run of its own, which it never changes.
func TestRun(t *testing.T) {
	d := newDesk(t)
	for range 3 {
		for range 2 {
			if _, err := d.agent.Refresh(t.Context(), agentapi.Peer{}); err != nil {
				t.Fatal(err)
			}
		}
		d.restart()
	}
	d.house.mu.Lock()
	defer d.house.mu.Unlock()
	starts := map[string]bool{}
	for i, run := range d.house.runs {
		if run == "" || starts[run] && d.house.runs[i-1] != run {
			t.Errorf("runs are %v", d.house.runs)
		}
		starts[run] = true
	}
	if len(starts) < 3 {
		t.Errorf("%d runs of four starts", len(starts))
	}
}
