package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
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
	// defaultRecord is how long is recorded of a guest whose agent does not answer.
	defaultRecord = 10 * time.Minute
)

// trialOptions are the options of image test.
type trialOptions struct {
	format, policy, workspace string
	name, optical, work       string
	memory                    int
	command                   string
	record                    string
	recordFor                 time.Duration
	untilReady                bool
}

func newImageTest(a *app) *cobra.Command {
	var o trialOptions
	cmd := &cobra.Command{
		Use: "test DISK|DESCRIPTION.json", Short: "Run a disk under a workspace's policy before it is packed", Args: exactArgs(1),
		Long: `Runs a disk on this computer as a workspace would run it, with what the policy
allows and nothing else, and with a computer name of its own. What the guest
writes goes to a layer that is thrown away: the disk is not changed, and can be
packed as it is. Without --policy or --workspace nothing is allowed beside the
network.

The machine runs until it is shut down or until Ctrl-C; its screen is served by
VNC on the socket that is printed. No agent and no server are needed, unless
--workspace names a workspace of the server. QEMU must be installed.

With --record the blocks that the guest reads while it starts are noted, until
its agent answers: images with such a profile start sooner where they are not
there yet. With --exec a command is run in the guest when it is up, and the
machine shut down; the exit code is the command's.`,
		Example: "  dormer image test office.qcow2 --policy office.yaml\n  dormer image test office.qcow2 --workspace office --record office.profile --until-ready\n  dormer image test guest.json --exec 'cat /etc/os-release'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.imageTest(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "raw, qcow2, vmdk, vpc or vhdx (default: what the disk looks like)")
	f.StringVar(&o.policy, "policy", "", "workspace document whose policy holds, with all its grants")
	f.StringVar(&o.workspace, "workspace", "", "workspace of the server whose policy holds, with all its grants")
	f.StringVar(&o.name, "computer-name", "dormer-test", "the guest's computer name; empty keeps the disk's own")
	f.StringVar(&o.optical, "optical", "/dev/sr0", "drive or disc image that the guest gets if the policy allows it")
	f.StringVar(&o.work, "work", "", "folder for what is thrown away (default: that of temporary files)")
	f.IntVar(&o.memory, "memory", 0, "memory in MiB (default: the policy's, without one the description's)")
	f.StringVar(&o.command, "exec", "", "run this command line in the guest's shell, then shut down")
	f.StringVar(&o.record, "record", "", "file for the start-up profile")
	f.DurationVar(&o.recordFor, "record-for", defaultRecord, "how long to record when the guest's agent does not answer")
	f.BoolVar(&o.untilReady, "until-ready", false, "shut down when the guest is up and what was asked for is done")
	cmd.MarkFlagsMutuallyExclusive("policy", "workspace")
	return cmd
}

// trialReport is what image test prints with --json.
type trialReport struct {
	ComputerName string `json:"computer_name,omitempty"`
	Display      string `json:"display"`
	// Missing is what the policy wants and this computer cannot give.
	Missing []string `json:"missing,omitempty"`
	// Ready is true when the guest's agent answered, after that time.
	Ready   bool   `json:"ready"`
	ReadyMS int64  `json:"ready_ms,omitempty"`
	System  string `json:"system,omitempty"`
	// Recorded is the file of the profile.
	Recorded      string `json:"recorded,omitempty"`
	RecordedReads int    `json:"recorded_reads,omitempty"`
	RecordedBytes int64  `json:"recorded_bytes,omitempty"`
	Exec          *struct {
		ExitCode int    `json:"exit_code"`
		Stdout   string `json:"stdout"`
		Stderr   string `json:"stderr"`
	} `json:"exec,omitempty"`
}

func (a *app) imageTest(ctx context.Context, disk string, o trialOptions) (err error) {
	d, err := readDescription(disk, o.format)
	if err != nil {
		return err
	}
	p, err := a.trialPolicy(ctx, o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.work, "dormer-test-")
	if err != nil {
		return fmt.Errorf("folder for what is thrown away: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t := &trial{app: a, options: o, dir: dir, description: d, policy: p}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.start(ctx); err != nil {
		return err
	}
	err = t.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // Ctrl-C is how people end it
	}
	err = errors.Join(err, t.end())
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(t.report); err != nil {
			return err
		}
	}
	if e := t.report.Exec; e != nil && e.ExitCode != 0 {
		return statusError(e.ExitCode & 0xff)
	}
	return nil
}

// trialPolicy is the policy that holds: with all grants of the document, since
// nobody is signed in.
func (a *app) trialPolicy(ctx context.Context, o trialOptions) (*policy.Effective, error) {
	var doc policy.Document
	switch {
	case o.policy != "":
		raw, err := a.readFile(o.policy)
		if err != nil {
			return nil, err
		}
		read, err := policy.Decode(raw, o.policy)
		if err != nil {
			return nil, inFile(o.policy, err)
		}
		doc = *read
	case o.workspace != "":
		read, err := a.trialWorkspace(ctx, o.workspace)
		if err != nil {
			return nil, err
		}
		doc = *read
	}
	p := policy.Combine(doc.Spec, doc.Grants)
	return &p, nil
}

func (a *app) trialWorkspace(ctx context.Context, called string) (*policy.Document, error) {
	c, _, err := a.server()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	w, err := c.WorkspaceByName(ctx, called)
	if err != nil {
		return nil, err
	}
	d, err := c.Workspace(ctx, w.ID, apiclient.JSON)
	if err != nil {
		return nil, err
	}
	return policy.Decode(d.Body, "workspace.json")
}

// trial is one run of image test.
type trial struct {
	app         *app
	options     trialOptions
	dir         string
	description description
	policy      *policy.Effective

	machine hypervisor.Machine
	began   time.Time
	bases   []*trialBase
	serving sync.WaitGroup
	stop    context.CancelFunc // ends serving
	report  trialReport

	recording sync.Mutex // guards the field below
	reads     []imageformat.StartupRead
}

// run waits for the guest, does what was asked for, and returns when the
// machine has ended or is to be ended.
func (t *trial) run(ctx context.Context) error {
	st, err := t.ready(ctx)
	if err != nil {
		return err
	}
	t.report.Ready, t.report.System = st.Guest.Ready, st.Guest.System
	if t.report.Ready {
		t.report.ReadyMS = time.Since(t.began).Milliseconds()
		t.app.tell("The guest is up after %s.", time.Since(t.began).Round(100*time.Millisecond))
	}
	if t.options.record != "" {
		if err := t.writeProfile(); err != nil {
			return err
		}
	}
	if t.options.command != "" {
		return t.exec(ctx, st)
	}
	if t.options.untilReady {
		if !t.report.Ready {
			return fmt.Errorf("the guest's agent did not answer; has the guest dormer-guest?: %w", dormer.ErrUnavailable)
		}
		return nil
	}
	t.app.tell("Ctrl-C ends the machine.")
	select {
	case <-t.machine.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ready waits until the guest is up. Where only a profile is wanted, it does not
// wait longer than for that.
func (t *trial) ready(ctx context.Context) (hypervisor.Status, error) {
	tick := time.NewTicker(trialTick)
	defer tick.Stop()
	var over <-chan time.Time
	if t.options.record != "" || t.options.untilReady {
		timer := time.NewTimer(t.options.recordFor)
		defer timer.Stop()
		over = timer.C
	}
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
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-t.machine.Done():
		case <-over:
			t.app.warn("The guest's agent has not answered within %s.", t.options.recordFor)
			return st, nil
		case <-tick.C:
		}
	}
}

// writeProfile ends recording and writes what was recorded.
func (t *trial) writeProfile() error {
	took := time.Since(t.began)
	p := imageformat.StartupProfile{Complete: t.report.Ready, Took: took}
	for i, b := range t.bases {
		b.recorder.Stop()
		p.Disks = append(p.Disks, imageformat.StartupDisk{Name: t.description.Disks[i].Name, Size: b.Size()})
	}
	t.recording.Lock()
	p.Reads = t.reads
	t.recording.Unlock()
	b, err := p.Encode()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(t.options.record)
	if err != nil {
		return fmt.Errorf("file of the profile: %w", err)
	}
	if err := durable.WriteFile(path, b); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	t.report.Recorded, t.report.RecordedReads, t.report.RecordedBytes = path, len(p.Reads), p.Bytes()
	t.app.tell("Recorded %d reads of %s in %s.", len(p.Reads), size(p.Bytes()), t.options.record)
	return nil
}

// exec runs the command in the guest.
func (t *trial) exec(ctx context.Context, st hypervisor.Status) error {
	args := []string{"/bin/sh", "-c", t.options.command}
	if strings.EqualFold(st.Guest.System, "windows") {
		args = []string{"cmd.exe", "/d", "/c", t.options.command}
	}
	result, err := t.machine.Exec(ctx, guestwire.ExecRequest{Args: args})
	if err != nil {
		return err
	}
	t.report.Exec = &struct {
		ExitCode int    `json:"exit_code"`
		Stdout   string `json:"stdout"`
		Stderr   string `json:"stderr"`
	}{result.ExitCode, string(result.Stdout), string(result.Stderr)}
	if t.app.json {
		return nil
	}
	_, err = t.app.Out.Write(result.Stdout)
	if err == nil {
		_, err = t.app.Err.Write(result.Stderr)
	}
	return err
}

// end shuts the machine down, or else turns it off.
func (t *trial) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), trialEnd)
	defer cancel()
	select {
	case <-t.machine.Done():
		return nil
	default:
	}
	t.app.note("shutting the machine down")
	if !t.report.Ready || t.machine.Shutdown(ctx) != nil {
		return t.machine.Kill(context.Background())
	}
	return nil
}

// close ends what else is left.
func (t *trial) close() error {
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
	return errors.Join(errs...)
}
