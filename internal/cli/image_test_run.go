package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workbench"
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
	patience                  time.Duration
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
machine shut down; the exit code is the command's.

A guest whose agent does not answer and that reads nothing from its image for
as long as --patience says hangs, most likely: that is said, and with --exec or
--until-ready the test has failed and the machine is shut down. What it reads
from an optical drive is not seen: where a system is installed from one, take
--patience 0, with which it is waited for for ever.`,
		Example: "  dormer image test office.qcow2 --policy office.yaml\n  dormer image test office.qcow2 --workspace office --record office.profile --until-ready\n  dormer image test guest.json --exec 'cat /etc/os-release'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.imageTest(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "raw, qcow2, vmdk, vpc or vhdx (default: what the disk looks like)")
	f.StringVar(&o.policy, "policy", "", "workspace document whose policy holds, with all its grants")
	f.StringVar(&o.workspace, "workspace", "", "workspace of the server whose policy holds, with all its grants")
	f.StringVar(&o.name, "computer-name", workbench.DefaultComputerName, "the guest's computer name; empty keeps the disk's own")
	f.StringVar(&o.optical, "optical", workbench.DefaultOptical, "drive or disc image that the guest gets if the policy allows it")
	f.StringVar(&o.work, "work", "", "folder for what is thrown away (default: that of temporary files)")
	f.IntVar(&o.memory, "memory", 0, "memory in MiB (default: the policy's, without one the description's)")
	f.StringVar(&o.command, "exec", "", "run this command line in the guest's shell, then shut down")
	f.StringVar(&o.record, "record", "", "file for the start-up profile")
	f.DurationVar(&o.recordFor, "record-for", workbench.DefaultRecord, "how long to record when the guest's agent does not answer")
	f.BoolVar(&o.untilReady, "until-ready", false, "shut down when the guest is up and what was asked for is done")
	f.DurationVar(&o.patience, "patience", workbench.DefaultPatience, "how long the guest may show no sign of life while it starts (0: for ever)")
	cmd.MarkFlagsMutuallyExclusive("policy", "workspace")
	return cmd
}

// trialTeller tells on the terminal how a trial goes.
type trialTeller struct{ *app }

func (t trialTeller) Note(text string) { t.note("%s", text) }
func (t trialTeller) Warn(text string) { t.warn("%s", text) }
func (t trialTeller) Waiting()         { t.tell("Ctrl-C ends the machine.") }
func (t trialTeller) Ready(_ string, after time.Duration) {
	t.tell("The guest is up after %s.", after.Round(100*time.Millisecond))
}

func (a *app) imageTest(ctx context.Context, disk string, o trialOptions) (err error) {
	if o.patience < 0 {
		return usageError{errors.New("--patience takes a time as 5m, or 0 for ever")}
	}
	d, err := workbench.ReadDescription(disk, o.format)
	if err != nil {
		return err
	}
	doc, err := a.trialDocument(ctx, o)
	if err != nil {
		return err
	}
	data, err := a.dataDir("", "--work")
	if err != nil {
		return err
	}
	t, err := workbench.StartTrial(ctx, workbench.TrialOptions{
		Description: d, Document: doc, ComputerName: o.name, Optical: o.optical, Work: o.work, Memory: o.memory,
		Command: o.command, Record: o.record, RecordFor: o.recordFor, UntilReady: o.untilReady, Patience: o.patience,
		ProbeFile: filepath.Join(data, workbench.ProbeFile), Software: "dormer " + a.Version,
		Now: a.Now, Random: a.Rand, Listener: trialTeller{a},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r := &t.Report
	a.tell("The machine runs (memory: %d MiB, processors: %d). Its screen is served by VNC on %s.", r.Memory, r.Processors, r.Display)
	err = t.Run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // Ctrl-C is how people end it
	}
	err = errors.Join(err, a.tellTrial(r, o), t.End())
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	if r.Exec != nil && r.Exec.ExitCode != 0 {
		return statusError(r.Exec.ExitCode & 0xff)
	}
	return nil
}

// tellTrial tells people what came of what was asked for.
func (a *app) tellTrial(r *workbench.TrialReport, o trialOptions) error {
	if r.Recorded != "" {
		a.tell("Recorded %d reads of %s in %s.", r.RecordedReads, size(r.RecordedBytes), o.record)
	}
	if r.Exec == nil || a.json {
		return nil
	}
	_, err := io.WriteString(a.Out, r.Exec.Stdout)
	if err == nil {
		_, err = io.WriteString(a.Err, r.Exec.Stderr)
	}
	return err
}

// trialDocument is the workspace whose policy holds; nil: none was named.
func (a *app) trialDocument(ctx context.Context, o trialOptions) (*policy.Document, error) {
	switch {
	case o.policy != "":
		raw, err := a.readFile(o.policy)
		if err != nil {
			return nil, err
		}
		doc, err := policy.Decode(raw, o.policy)
		if err != nil {
			return nil, inFile(o.policy, err)
		}
		return doc, nil
	case o.workspace != "":
		c, _, err := a.server()
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return workbench.Workspace(ctx, c, o.workspace)
	}
	return nil, nil //nolint:nilnil // no document is the answer
}
