package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/policy"
)

const (
	// trialTick is how often a machine that is tried is looked at.
	trialTick = 200 * time.Millisecond
	// trialEnd is how long its guest may take to shut down.
	trialEnd = time.Minute
)

// Values of TrialOptions that people get who choose none.
const (
	DefaultComputerName = "dormer-test"
	DefaultOptical      = "/dev/sr0"
	// DefaultRecord is how long is recorded of a guest whose agent does not answer.
	DefaultRecord = 10 * time.Minute
	// DefaultPatience is how long a guest may show no sign of life.
	DefaultPatience = 5 * time.Minute
	// ProbeFile remembers which accelerator works, in the user's data folder.
	ProbeFile = "accelerator.json"
)

// TrialOptions say what is tried and how.
type TrialOptions struct {
	Description Description
	// Document is the workspace whose policy holds, with all its grants since
	// nobody is signed in. Without one nothing is allowed beside the network.
	Document *policy.Document
	// ComputerName of the guest; empty keeps the disk's own.
	ComputerName string
	// Optical is the drive or disc image that the guest gets if the policy allows
	// it.
	Optical string
	// Work is the folder for what is thrown away; empty: that of temporary files.
	Work string
	// Memory in MiB; 0: the policy's, without one the description's.
	Memory int
	// Command is run in the guest's shell when it is up; empty: none.
	Command string
	// Record is the file for the start-up profile (empty: none is made), and
	// RecordFor how long is recorded when the guest's agent does not answer.
	Record    string
	RecordFor time.Duration
	// UntilReady ends the trial when the guest is up.
	UntilReady bool
	// Patience is how long a guest that is not up yet may show no sign of life
	// before that is said, and a trial that only waits for it has failed; 0: for
	// ever.
	Patience time.Duration
	// ProbeFile remembers which accelerator works.
	ProbeFile string
	// Software is the program that tries it, and its version.
	Software string
	Now      func() time.Time
	Random   io.Reader
	Listener TrialListener
}

// TrialListener is told how a trial goes. Calls may come from several
// goroutines.
type TrialListener interface {
	// Note says what is done now, Warn what is not as it should be.
	Note(text string)
	Warn(text string)
	// Ready says that the guest is up, after that time.
	Ready(system string, after time.Duration)
	// Waiting says that nothing is left to do but to wait for the end.
	Waiting()
}

// TrialReport says what came of a trial.
type TrialReport struct {
	ComputerName string `json:"computer_name,omitempty"`
	Display      string `json:"display"`
	// Missing is what the policy wants and this computer cannot give.
	Missing []string `json:"missing,omitempty"`
	// Ready is true when the guest's agent answered, after that time.
	Ready   bool   `json:"ready"`
	ReadyMS int64  `json:"ready_ms,omitempty"`
	System  string `json:"system,omitempty"`
	// Recorded is the file of the profile.
	Recorded      string     `json:"recorded,omitempty"`
	RecordedReads int        `json:"recorded_reads,omitempty"`
	RecordedBytes int64      `json:"recorded_bytes,omitempty"`
	Exec          *TrialExec `json:"exec,omitempty"`

	// Memory (MiB) and Processors of the machine.
	Memory     int `json:"-"`
	Processors int `json:"-"`
}

// TrialExec is what came of the command in the guest.
type TrialExec struct {
	ExitCode int    `json:"exit_code"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
}

// Trial is a machine that runs a disk as a workspace would. What its guest
// writes is thrown away.
type Trial struct {
	// Report is whole when Run has returned; until then it is Run's.
	Report TrialReport

	options TrialOptions
	dir     string
	policy  *policy.Effective

	machine hypervisor.Machine
	began   time.Time
	bases   []*trialBase
	serving sync.WaitGroup
	stop    context.CancelFunc // ends serving

	recording sync.Mutex // guards the field below
	reads     []imageformat.StartupRead
}

// StartTrial starts a machine. The caller ends (End) and closes it; an error
// leaves nothing behind. The screen is served on the socket Report.Display.
func StartTrial(ctx context.Context, o TrialOptions) (*Trial, error) {
	var doc policy.Document
	if o.Document != nil {
		doc = *o.Document
	}
	p := policy.Combine(doc.Spec, doc.Grants)
	dir, err := os.MkdirTemp(o.Work, "dormer-test-")
	if err != nil {
		return nil, fmt.Errorf("folder for what is thrown away: %w", err)
	}
	t := &Trial{options: o, dir: dir, policy: &p}
	if err := t.start(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Run waits for the guest, does what was asked for, and returns when the
// machine has ended or is to be ended.
func (t *Trial) Run(ctx context.Context) error {
	st, err := t.ready(ctx)
	if err != nil {
		return err
	}
	t.Report.Ready, t.Report.System = st.Guest.Ready, st.Guest.System
	if t.Report.Ready {
		after := t.options.Now().Sub(t.began)
		t.Report.ReadyMS = after.Milliseconds()
		t.options.Listener.Ready(st.Guest.System, after)
	}
	if t.options.Record != "" {
		if err := t.writeProfile(); err != nil {
			return err
		}
	}
	if t.unattended() && !t.Report.Ready {
		return fmt.Errorf("the guest's agent did not answer; has the guest dormer-guest?: %w", dormer.ErrUnavailable)
	}
	if t.options.Command != "" {
		return t.exec(ctx, st)
	}
	if t.options.UntilReady {
		return nil
	}
	t.options.Listener.Waiting()
	select {
	case <-t.machine.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unattended reports whether all that is wanted needs the guest's agent: nobody
// works with the guest meanwhile.
func (t *Trial) unattended() bool { return t.options.Command != "" || t.options.UntilReady }

// life is what changes as long as a guest that starts does something. What it
// reads from an optical drive, or over a network, is not seen.
type life struct {
	reads   int64
	up      bool
	problem string
}

func (t *Trial) life(st hypervisor.GuestStatus) life {
	l := life{up: st.Up, problem: st.Problem}
	for _, b := range t.bases {
		l.reads += b.reads.Load()
	}
	return l
}

// lifeless says that a guest shows no sign of life.
func (t *Trial) lifeless(l life) string {
	switch {
	case l.problem != "":
		return fmt.Sprintf("the guest answers, but has not become ready, and nothing has changed for %s: %s", inWords(t.options.Patience), l.problem)
	case l.up:
		return fmt.Sprintf("the guest answers, but has not become ready, and nothing has changed for %s", inWords(t.options.Patience))
	default:
		return fmt.Sprintf("the guest has shown no sign of life for %s: its agent does not answer, and it reads nothing from its image; its screen may say why", inWords(t.options.Patience))
	}
}

// inWords shows a time for people: "1 hour 30 minutes".
func inWords(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	var said []string
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		n := d / unit.Duration
		d %= unit.Duration
		switch n {
		case 0:
		case 1:
			said = append(said, "1 "+unit.name)
		default:
			said = append(said, fmt.Sprintf("%d %ss", n, unit.name))
		}
	}
	return strings.Join(said, " ")
}

// ready waits until the guest is up. Where only a profile is wanted, it does not
// wait longer than for that. A guest without a sign of life is warned of; where
// nobody works with it, it is ErrUnavailable.
func (t *Trial) ready(ctx context.Context) (hypervisor.Status, error) {
	tick := time.NewTicker(trialTick)
	defer tick.Stop()
	var over <-chan time.Time
	if t.options.Record != "" || t.options.UntilReady {
		timer := time.NewTimer(t.options.RecordFor)
		defer timer.Stop()
		over = timer.C
	}
	var quiet *time.Timer
	var silence <-chan time.Time
	if t.options.Patience > 0 {
		quiet = time.NewTimer(t.options.Patience)
		defer quiet.Stop()
		silence = quiet.C
	}
	var last life
	for {
		st, err := t.machine.Status(ctx)
		if err != nil {
			return st, err
		}
		switch {
		case st.Guest.Ready:
			return st, nil
		case st.State == hypervisor.StateStopped:
			return st, fmt.Errorf("the machine ended before the guest was up (%s %s): %w", st.Reason, st.Detail, dormer.ErrUnavailable)
		}
		if now := t.life(st.Guest); now != last && silence != nil {
			last = now
			quiet.Reset(t.options.Patience)
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-t.machine.Done():
		case <-silence:
			said := t.lifeless(last)
			if t.unattended() {
				return st, fmt.Errorf("%s: %w", said, dormer.ErrUnavailable)
			}
			t.options.Listener.Warn(strings.ToUpper(said[:1]) + said[1:] + ". The machine runs on.")
			silence = nil // told once
		case <-over:
			t.options.Listener.Warn(fmt.Sprintf("The guest's agent has not answered within %s.", inWords(t.options.RecordFor)))
			return st, nil
		case <-tick.C:
		}
	}
}

// writeProfile ends recording and writes what was recorded.
func (t *Trial) writeProfile() error {
	p := imageformat.StartupProfile{Complete: t.Report.Ready, Took: t.options.Now().Sub(t.began)}
	for i, b := range t.bases {
		b.recorder.Stop()
		p.Disks = append(p.Disks, imageformat.StartupDisk{Name: t.options.Description.Disks[i].Name, Size: b.Size()})
	}
	t.recording.Lock()
	p.Reads = t.reads
	t.recording.Unlock()
	b, err := p.Encode()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(t.options.Record)
	if err != nil {
		return fmt.Errorf("file of the profile: %w", err)
	}
	if err := durable.WriteFile(path, b); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	t.Report.Recorded, t.Report.RecordedReads, t.Report.RecordedBytes = path, len(p.Reads), p.Bytes()
	return nil
}

// exec runs the command in the guest.
func (t *Trial) exec(ctx context.Context, st hypervisor.Status) error {
	args := []string{"/bin/sh", "-c", t.options.Command}
	if strings.EqualFold(st.Guest.System, "windows") {
		args = []string{"cmd.exe", "/d", "/c", t.options.Command}
	}
	result, err := t.machine.Exec(ctx, guestwire.ExecRequest{Args: args})
	if err != nil {
		return err
	}
	t.Report.Exec = &TrialExec{result.ExitCode, string(result.Stdout), string(result.Stderr)}
	return nil
}

// Restarted reports whether the machine has ended because its guest restarted
// itself: whoever wants to go on starts another one.
func (t *Trial) Restarted(ctx context.Context) bool {
	st, err := t.machine.Status(ctx)
	return err == nil && st.State == hypervisor.StateStopped && st.Reason == hypervisor.ReasonRestart
}

// End shuts the machine down, or else turns it off.
func (t *Trial) End() error {
	ctx, cancel := context.WithTimeout(context.Background(), trialEnd)
	defer cancel()
	select {
	case <-t.machine.Done():
		return nil
	default:
	}
	t.options.Listener.Note("shutting the machine down")
	if !t.Report.Ready || t.machine.Shutdown(ctx) != nil {
		return t.machine.Kill(context.Background())
	}
	return nil
}

// Kill turns the machine off; End and Close are still to be called.
func (t *Trial) Kill(ctx context.Context) error { return t.machine.Kill(ctx) }

// Close ends what else is left, and throws away what the guest wrote.
func (t *Trial) Close() error {
	var errs []error
	if t.machine != nil {
		errs = append(errs, t.machine.Kill(context.Background()))
	}
	if t.stop != nil {
		t.stop()
	}
	t.serving.Wait()
	for _, b := range t.bases {
		errs = append(errs, b.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(t.dir))...)
}
