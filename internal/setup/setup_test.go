package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// TestTable goes through every state and input.
func TestTable(t *testing.T) {
	if len(next) != len(allStates) {
		t.Fatalf("the table has %d states, there are %d", len(next), len(allStates))
	}
	for _, s := range allStates {
		for _, in := range allInputs {
			l := Layer{State: s, Attempts: 2, Failure: "x", Spent: time.Hour}
			to, ok := next[s][in]
			if changed := l.take(in); changed != ok || ok && l.State != to || !ok && l.State != s {
				t.Errorf("%s, %s: %v, %s", s, in, changed, l.State)
			}
			if ok && !slices.Contains(allStates, to) {
				t.Errorf("%s, %s leads to %s, which is no state", s, in, to)
			}
			if fresh := in == inputStart || in == inputChange || in == inputResume; ok && fresh && (l.Attempts != 0 || l.Failure != "" || l.Spent != 0) {
				t.Errorf("%s, %s keeps what came of the last try: %+v", s, in, l)
			}
		}
		if s != Finished && len(next[s]) == 0 {
			t.Errorf("nothing leads out of %s", s)
		}
	}
}

// errKilled ends a run as if the program was killed there: nothing is kept any
// more.
var errKilled = errors.New("killed")

// world is a guest, what is kept, and when the program is killed.
type world struct {
	t      *testing.T
	policy *policy.Effective
	kept   []byte // the record, as JSON
	// The guest's side, which outlives the program.
	boots    int
	name     string
	joined   int
	autoOff  bool
	onceKept bool // the guest keeps commands that are never begun twice
	once     map[string]bool
	log      []string // what was done, in order
	fail     map[string]int
	reach    bool
	password bool
	rebooter string // the command that restarts the guest
	// calls counts every contact with guest and record; at killAt the program dies.
	calls, killAt int
	dead          bool
	told          []Occasion
	details       []string
	shown         []string
	onRun         func(Command)
}

func newWorld(t *testing.T, actions ...policy.SetupAction) *world {
	return &world{
		t: t, policy: policyWith(actions...), once: map[string]bool{}, onceKept: true, fail: map[string]int{}, reach: true, password: true,
	}
}

func policyWith(actions ...policy.SetupAction) *policy.Effective {
	spec := policy.Spec{Setup: policy.Setup{ComputerName: "VM-####", Actions: actions}}
	e := policy.Combine(spec, []policy.Grant{{}})
	return &e
}

// contact is called before and after everything that outlives the program.
func (w *world) contact() error {
	if w.dead {
		return errKilled
	}
	w.calls++
	if w.calls == w.killAt {
		w.dead = true
		return errKilled
	}
	return nil
}

func (w *world) runner() *Runner {
	var r Record
	if w.kept != nil {
		if err := json.Unmarshal(w.kept, &r); err != nil {
			w.t.Fatal(err)
		}
	}
	runner := NewRunner(r, Config{
		Save: func(r Record) error {
			if err := w.contact(); err != nil {
				return err
			}
			b, err := json.Marshal(r)
			w.kept = b
			return errors.Join(err, w.contact())
		},
		Now: time.Now,
		Tell: func(o Occasion, _ *Step, detail string) {
			w.told = append(w.told, o)
			w.details = append(w.details, detail)
		},
		Show: func(_, text string) { w.shown = append(w.shown, text) },
	})
	runner.Follow(New(w.policy), "layer", false)
	return runner
}

func (w *world) run() error {
	return w.runner().Run(w.t.Context(), w, Variables{User: "alice", Domain: "CORP", Computer: "VM-1"})
}

// guestDoes does something in the guest, and may kill the program before or after.
func (w *world) guestDoes(what string, do func()) error {
	if err := w.contact(); err != nil {
		return err
	}
	if w.fail[what] > 0 {
		w.fail[what]--
		return fmt.Errorf("%s does not work", what)
	}
	w.log = append(w.log, what)
	do()
	return w.contact()
}

func (w *world) Boot(context.Context) (string, error) { return fmt.Sprint(w.boots), nil }
func (w *world) Rename(context.Context) error {
	return w.guestDoes("rename", func() { w.name = "VM-1" })
}

func (w *world) Restart(context.Context) error { return w.guestDoes("restart", func() { w.boots++ }) }

func (w *world) Join(_ context.Context, s Step) error {
	return w.guestDoes("join "+s.Action.JoinDomain.Domain, func() { w.joined++ })
}

func (w *world) Connect(_ context.Context, address string, port int, _ time.Duration) error {
	if !w.reach {
		return fmt.Errorf("%s:%d: %w", address, port, ErrUnreachable)
	}
	return w.guestDoes("connect", func() {})
}

func (w *world) NoAutomaticSignOn(context.Context) error {
	return w.guestDoes("no sign-on", func() { w.autoOff = true })
}

func (w *world) Run(ctx context.Context, c Command) (Result, error) {
	if c.Password != policy.PasswordNone && c.Password != "" && !w.password {
		return Result{}, fmt.Errorf("the password is not known: %w", ErrLater)
	}
	if err := w.contact(); err != nil {
		return Result{}, err
	}
	what := strings.Join(c.Args, " ")
	if c.Once != "" {
		if w.onceKept && w.once[c.Once] || !w.onceKept && c.Again {
			return Result{}, ErrBegun
		}
		w.once[c.Once] = true
	}
	w.log = append(w.log, what)
	if w.onRun != nil {
		w.onRun(c)
	}
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if what == w.rebooter {
		w.boots++
		return Result{}, errors.Join(w.contact(), dormer.ErrUnavailable)
	}
	status := 0
	if w.fail[what] > 0 {
		w.fail[what]--
		status = 7
	}
	return Result{Status: status, Detail: "its last words"}, w.contact()
}

func (w *world) count(what string) int {
	n := 0
	for _, l := range w.log {
		if l == what {
			n++
		}
	}
	return n
}

func command(args ...string) *policy.RunCommand {
	return &policy.RunCommand{Path: args[0], Arguments: args[1:]}
}

func runs(args ...string) policy.SetupAction { return policy.SetupAction{RunCommand: command(args...)} }

func once(args ...string) policy.SetupAction {
	a := runs(args...)
	a.RunCommand.OnlyOnce = new(true)
	return a
}

func full() []policy.SetupAction {
	reboots := runs("reboots")
	reboots.RunCommand.CausesRestart = new(true)
	return []policy.SetupAction{
		{RenameComputer: &policy.RenameComputer{}},
		{Restart: &policy.Restart{}},
		{JoinDomain: &policy.JoinDomain{Domain: "corp.example.test"}},
		{Restart: &policy.Restart{}},
		{CheckConnectivity: &policy.CheckConnectivity{Address: "dc.corp.example.test", Port: new(389)}},
		once("once", "{user}@{domain} on {computer}"),
		runs("always"),
		reboots,
		once("twin"),
		once("twin"),
		{DisableAutomaticSignOn: &policy.DisableAutomaticSignOn{}},
	}
}

// onward runs the script until it ends or cannot go on, as an agent does that is
// started again whenever it was killed, and for whom guests come up again.
func (w *world) onward() error {
	for range 60 {
		boots := w.boots
		err := w.run()
		switch {
		case w.dead:
			w.dead, w.killAt = false, 0
			continue
		case errors.Is(err, ErrRestarting):
			if w.boots == boots {
				w.t.Fatal("the guest was to restart, and did not")
			}
			continue
		default:
			return err
		}
	}
	w.t.Fatal("the script never ends")
	return nil
}

func TestWholeScript(t *testing.T) {
	w := newWorld(t, full()...)
	w.rebooter = "reboots"
	w.policy.Setup.Message = "Hello {user}"
	if err := w.runner().Pending(); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("usable before it began: %v", err)
	}
	if err := w.onward(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"rename", "restart", "join corp.example.test", "restart", "connect", "once alice@CORP on VM-1", "always", "reboots", "twin", "twin", "no sign-on",
	}
	if !slices.Equal(w.log, want) {
		t.Errorf("did %q", w.log)
	}
	if w.told[0] != Began || w.told[len(w.told)-1] != Ended || slices.Index(w.shown, "Hello alice") != 0 {
		t.Errorf("told %v, shown %q", w.told, w.shown)
	}
	if st, ok := w.runner().Status(Variables{}); !ok || st.State != Finished || st.Step != 0 || st.MayCancel {
		t.Errorf("status: %+v", st)
	}
	if err := errors.Join(w.runner().Pending(), w.run()); err != nil {
		t.Errorf("once it is finished: %v", err)
	}
	if len(w.log) != len(want) {
		t.Errorf("done again: %q", w.log[len(want):])
	}
}

// TestKilledAnywhere kills the program at every contact with the guest and with
// what is kept. Nothing that is never to be begun twice is, no step is skipped,
// and the order stays.
func TestKilledAnywhere(t *testing.T) {
	whole := newWorld(t, full()...)
	whole.rebooter = "reboots"
	if err := whole.onward(); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= whole.calls; at++ {
		w := newWorld(t, full()...)
		w.rebooter, w.killAt = "reboots", at
		if err := w.onward(); err != nil {
			t.Fatalf("killed at %d: %v", at, err)
		}
		if n := w.count("once alice@CORP on VM-1"); n != 1 {
			t.Errorf("killed at %d: the command that runs only once ran %d times: %q", at, n, w.log)
		}
		if n := w.count("twin"); n != 2 {
			t.Errorf("killed at %d: two commands that run only once ran %d times: %q", at, n, w.log)
		}
		if got := slices.Compact(slices.Clone(w.log)); !slices.Equal(got, slices.Compact(slices.Clone(whole.log))) {
			t.Errorf("killed at %d: did %q", at, w.log)
		}
		if w.name == "" || w.joined == 0 || !w.autoOff || w.boots < 3 {
			t.Errorf("killed at %d: a step was skipped: %+v", at, w.log)
		}
	}
	// A guest that keeps nothing: never twice, at the price that a command that
	// may have been begun is not begun again.
	for at := 1; at <= whole.calls; at++ {
		w := newWorld(t, full()...)
		w.rebooter, w.killAt, w.onceKept = "reboots", at, false
		if err := w.onward(); err != nil {
			t.Fatalf("killed at %d: %v", at, err)
		}
		if w.count("once alice@CORP on VM-1") > 1 || w.count("twin") > 2 {
			t.Errorf("killed at %d: begun twice: %q", at, w.log)
		}
	}
}

// TestFailedAndCorrected: a step that fails ends the script; a corrected policy,
// the user or a new start of the guest go on from there.
func TestFailedAndCorrected(t *testing.T) {
	for name, mend := range map[string]func(w *world) error{
		"corrected": func(w *world) error {
			w.policy = policyWith(once("first"), runs("right"), runs("last"))
			return nil
		},
		"one added before": func(w *world) error {
			w.policy = policyWith(once("first"), runs("new"), runs("right"), runs("last"))
			return nil
		},
		"resumed": func(w *world) error {
			w.fail["wrong"] = 0
			return w.runner().Resume()
		},
		"new start": func(w *world) error {
			w.fail["wrong"] = 0
			w.boots++
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := runs("wrong")
			wrong.RunCommand.Failure = "Call the help desk, {user}."
			w := newWorld(t, once("first"), wrong, runs("last"))
			w.fail["wrong"] = 1000
			err := w.run()
			if !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "step 2 of 3") || !strings.Contains(err.Error(), "status 7") {
				t.Fatalf("failed with %v", err)
			}
			if !slices.Contains(w.shown, "Call the help desk, alice.") || !slices.Contains(w.told, StepFailed) {
				t.Errorf("shown %q, told %v", w.shown, w.told)
			}
			tried := w.count("wrong")
			if again := w.run(); again == nil || again.Error() != err.Error() || w.count("wrong") != tried {
				t.Errorf("tried again by itself: %v", again)
			}
			if st, _ := w.runner().Status(Variables{}); st.State != Failed || st.Step != 2 || st.Failure == "" {
				t.Errorf("status %+v", st)
			}
			if err := mend(w); err != nil {
				t.Fatal(err)
			}
			if err := w.run(); err != nil {
				t.Fatal(err)
			}
			if w.count("first") != 1 || w.count("last") != 1 {
				t.Errorf("did %q", w.log)
			}
			if name == "one added before" && (w.count("new") != 1 || slices.Index(w.log, "new") > slices.Index(w.log, "right")) {
				t.Errorf("did %q", w.log)
			}
		})
	}
}

// TestRestartAfterCorrection: a restart that was done counts only if nothing
// before it is done later.
func TestRestartAfterCorrection(t *testing.T) {
	restart := policy.SetupAction{Restart: &policy.Restart{}}
	w := newWorld(t, runs("first"), restart, runs("wrong"))
	w.fail["wrong"] = 1
	if err := w.onward(); err == nil {
		t.Fatal("did not fail")
	}
	w.policy = policyWith(runs("other"), restart, runs("right"))
	if err := w.onward(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.log, ", "); got != "first, restart, wrong, other, restart, right" {
		t.Errorf("did %s", got)
	}
}

func TestOnlyOnceEvenAfterFailure(t *testing.T) {
	w := newWorld(t, once("fragile"), runs("last"))
	w.policy.Setup.Retries = 5
	w.fail["fragile"] = 1
	if err := w.run(); !errors.Is(err, dormer.ErrConflict) {
		t.Fatal(err)
	}
	if w.count("fragile") != 1 {
		t.Errorf("tried again: %q", w.log)
	}
	if err := errors.Join(w.runner().Resume(), w.run()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.log, ", "); got != "fragile, last" {
		t.Errorf("did %s", got)
	}
}

func TestRetriesAndTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs("flaky"), runs("last"))
		w.policy.Setup.Retries = 3
		w.fail["flaky"] = 3
		began := time.Now()
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		if w.count("flaky") != 4 || time.Since(began) < 5*time.Second {
			t.Errorf("did %q within %s", w.log, time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runs("slow"), runs("last"))
		w.policy.Setup.TimeLimit = policy.Duration(time.Minute)
		w.policy.Setup.Retries = 10
		w.fail["slow"] = 100
		err := w.run()
		if !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "longer than 1m0s") {
			t.Fatal(err)
		}
		// Who takes it up again has the whole time.
		w.fail["slow"] = 0
		if err := errors.Join(w.runner().Resume(), w.run()); err != nil {
			t.Fatal(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		stuck := runs("stuck")
		stuck.RunCommand.CausesRestart = new(true)
		w := newWorld(t, stuck)
		err := w.run()
		for range 100 {
			if !errors.Is(err, ErrRestarting) {
				break
			}
			<-time.After(time.Minute)
			err = w.run()
		}
		if !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "did not restart") || w.count("stuck") != 1 {
			t.Errorf("a guest that does not restart: %v, %q", err, w.log)
		}
	})
}

func TestCancelAndPostpone(t *testing.T) {
	w := newWorld(t, once("first"), runs("second"))
	for _, err := range []error{w.runner().Cancel(), w.runner().Postpone()} {
		if !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("without permission: %v", err)
		}
	}
	if err := w.runner().Resume(); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("nothing to resume: %v", err)
	}
	w.policy.Setup.AllowCancel, w.policy.Setup.Postpone = true, 2

	// Cancelled while a command runs that is never begun twice: it is not begun
	// again, and the workspace cannot be used.
	r := w.runner()
	ctx := t.Context()
	w.onRun = func(c Command) {
		if c.Args[0] == "first" {
			if err := r.Cancel(); err != nil {
				t.Error(err)
			}
		}
	}
	err := r.Run(ctx, w, Variables{})
	if !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "cancelled") || r.Pending() == nil {
		t.Errorf("cancelled: %v", err)
	}
	if err := w.run(); err == nil || w.count("second") != 0 {
		t.Errorf("goes on by itself: %v", err)
	}
	w.boots++

	// Put off: the workspace can be used, and the next start goes on.
	r = w.runner()
	w.onRun = func(c Command) {
		if c.Args[0] == "second" {
			if err := r.Postpone(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := r.Run(ctx, w, Variables{}); err != nil || r.Pending() != nil {
		t.Errorf("put off: %v, %v", err, r.Pending())
	}
	if st, _ := r.Status(Variables{}); st.State != Postponed || st.PostponesLeft != 1 || !st.MayCancel {
		t.Errorf("status %+v", st)
	}
	if err := w.run(); err != nil {
		t.Errorf("in the same start: %v", err)
	}
	w.boots++
	r = w.runner()
	if err := r.Run(ctx, w, Variables{}); err != nil {
		t.Fatal(err)
	}
	w.boots++
	w.onRun = func(Command) {
		if err := r.Postpone(); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("more often than allowed: %v", err)
		}
	}
	r = w.runner()
	if err := r.Run(ctx, w, Variables{}); err != nil {
		t.Fatal(err)
	}
	if st, _ := w.runner().Status(Variables{}); st.State != Finished || w.count("first") != 1 {
		t.Errorf("status %+v, did %q", st, w.log)
	}
}

// TestLater: what cannot be done yet is no failure.
func TestLater(t *testing.T) {
	secret := once("secret")
	secret.RunCommand.Password = policy.PasswordStdin
	w := newWorld(t, secret)
	w.password, w.onceKept = false, false
	for range 3 {
		if err := w.run(); !errors.Is(err, ErrLater) {
			t.Fatal(err)
		}
	}
	if st, _ := w.runner().Status(Variables{}); st.State != Running || !strings.Contains(st.Failure, "password") || slices.Contains(w.told, StepFailed) {
		t.Errorf("status %+v, told %v", st, w.told)
	}
	w.password = true
	if err := w.run(); err != nil || w.count("secret") != 1 {
		t.Errorf("once it is known: %v, %q", err, w.log)
	}
}

// TestLayers: a new version of the image repeats the steps of the machine, and
// not those of the workspace; going back repeats nothing.
func TestLayers(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.setup.actions[].once")
	ws := runs("workspace")
	ws.Once = policy.OnceWorkspace
	w := newWorld(t, runs("machine"), ws)
	in := func(layer string) {
		r := w.runner()
		r.Follow(New(w.policy), layer, false)
		if err := r.Run(t.Context(), w, Variables{}); err != nil {
			t.Fatal(err)
		}
	}
	in("old")
	in("new")
	in("old")
	if got := strings.Join(w.log, ", "); got != "machine, workspace, machine" {
		t.Errorf("did %s", got)
	}
	// A revertible machine has a new layer at each start.
	w = newWorld(t, policy.SetupAction{RenameComputer: &policy.RenameComputer{}})
	for range 3 {
		for range 2 {
			r := w.runner()
			r.Follow(New(w.policy), "x", true)
			if err := r.Run(t.Context(), w, Variables{}); err != nil {
				t.Fatal(err)
			}
		}
		w.boots++
	}
	if w.count("rename") != 3 {
		t.Errorf("did %q", w.log)
	}
	if !maps.Equal(map[string]bool{}, w.once) {
		t.Error("something was kept that is not there")
	}
}

func TestFailureRules(t *testing.T) {
	lenient := runs("lenient")
	lenient.RunCommand.FailOnError = new(false)
	odd := runs("odd")
	odd.RunCommand.SuccessStatus = new(7)
	left := runs("left")
	left.RunCommand.Wait = new(false)
	w := newWorld(t, lenient, odd, left)
	w.fail = map[string]int{"lenient": 1, "odd": 1, "left": 1}
	if err := w.run(); err != nil || len(w.log) != 3 {
		t.Errorf("%v, did %q", err, w.log)
	}
	w = newWorld(t, odd)
	if err := w.run(); err == nil {
		t.Error("status 0 is taken where 7 means success")
	}
	w = newWorld(t, policy.SetupAction{CheckConnectivity: &policy.CheckConnectivity{Address: "a.test", Port: new(1)}})
	w.reach = false
	if err := w.run(); !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "nothing answers") {
		t.Errorf("unreachable: %v", err)
	}
}

func TestSilent(t *testing.T) {
	w := newWorld(t, runs("a"))
	w.policy.Setup.Mode = policy.SetupSilent
	w.policy.Setup.Actions[0].RunCommand.Progress = "working"
	w.fail["a"] = 1
	if err := w.run(); err == nil || len(w.shown) != 0 {
		t.Errorf("%v, shown %q", err, w.shown)
	}
}

func TestVariablesAreNotLookedAtAgain(t *testing.T) {
	v := Variables{User: "{computer}", Domain: "$(id)", Computer: "VM-1"}
	if got := v.expand("{user} {domain} {computer} {password} {User}"); got != "{computer} $(id) VM-1 {password} {User}" {
		t.Errorf("expanded to %q", got)
	}
}

// TestNothingIsDoneThatIsNotKept: a full disk ends the script before the guest is
// asked.
func TestNothingIsDoneThatIsNotKept(t *testing.T) {
	w := newWorld(t, once("a"))
	r := NewRunner(Record{}, Config{
		Save: func(Record) error { return dormer.ErrFull }, Now: time.Now,
		Tell: func(Occasion, *Step, string) {}, Show: func(string, string) {},
	})
	r.Follow(New(w.policy), "layer", false)
	if err := r.Run(t.Context(), w, Variables{}); !errors.Is(err, dormer.ErrFull) || len(w.log) != 0 {
		t.Errorf("%v, did %q", err, w.log)
	}
}
