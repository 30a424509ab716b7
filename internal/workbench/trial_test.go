package workbench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/nbd"
	"github.com/dormer-project/dormer/internal/policy"
)

// TestTrialIsPassed: what a trial does depends on no other clock and on no other
// chance than those that it is given.
func TestTrialIsPassed(t *testing.T) {
	began := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "profile")
	p := policy.Combine(policy.Document{}.Spec, nil)
	trial := &Trial{began: began, policy: &p, options: TrialOptions{
		Memory: 64, Record: file,
		Now: func() time.Time { return began.Add(7 * time.Second) }, Random: bytes.NewReader(make([]byte, 16)),
	}}
	spec, err := trial.spec(hypervisor.Capabilities{})
	if err != nil || spec.Machine != "aaaaaaaaaaaaaaaaaaaaaaaaaa" {
		t.Errorf("the machine is %q, %v", spec.Machine, err)
	}
	if _, err := trial.spec(hypervisor.Capabilities{}); !errors.Is(err, io.EOF) {
		t.Errorf("without chance there is a machine: %v", err)
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(disk, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	trial.options.Description.Disks = []DescribedDisk{{Name: "system"}}
	raw, err := imagepack.OpenRaw(t.Context(), imagepack.DiskInput{Name: "system", Path: disk, Format: "raw"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	base := &trialBase{RawDisk: raw}
	base.recorder = nbd.NewRecorder(base, func(nbd.Run) {})
	trial.bases = []*trialBase{base}
	trial.Report.Ready = true
	if err := trial.writeProfile(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := imageformat.DecodeStartupProfile(b)
	if err != nil || profile.Took != 7*time.Second {
		t.Errorf("it took %+v, %v", profile, err)
	}
}

// teller keeps what is said of a trial.
type teller struct{ warnings []string }

func (*teller) Note(string)                 {}
func (l *teller) Warn(text string)          { l.warnings = append(l.warnings, text) }
func (*teller) Ready(string, time.Duration) {}
func (*teller) Waiting()                    {}

// TestTrialOfAGuestThatHangs: a guest that shows no sign of life is not waited
// for for ever, unless that is wanted; one that reads is waited for.
func TestTrialOfAGuestThatHangs(t *testing.T) {
	for _, c := range []struct {
		name    string
		options TrialOptions
		boots   time.Duration
		reads   bool // from its disk, once a minute
		ended   error
		after   time.Duration
		warned  bool
	}{
		{"it is wanted up", TrialOptions{UntilReady: true, RecordFor: time.Hour, Patience: DefaultPatience}, 24 * time.Hour, false, dormer.ErrUnavailable, DefaultPatience, false},
		{"for a command", TrialOptions{Command: "echo", Patience: time.Minute}, 24 * time.Hour, false, dormer.ErrUnavailable, time.Minute, false},
		{"somebody looks at it", TrialOptions{Patience: DefaultPatience}, 24 * time.Hour, false, context.DeadlineExceeded, 4 * time.Hour, true},
		{"it reads", TrialOptions{UntilReady: true, RecordFor: time.Hour, Patience: DefaultPatience}, 30 * time.Minute, true, nil, 30 * time.Minute, false},
		{"for ever", TrialOptions{UntilReady: true, RecordFor: 4 * time.Hour}, 3 * time.Hour, false, nil, 3 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := filepath.Join(t.TempDir(), "disk.raw")
			if err := os.WriteFile(disk, make([]byte, 512), 0o600); err != nil {
				t.Fatal(err)
			}
			raw, err := imagepack.OpenRaw(t.Context(), imagepack.DiskInput{Name: "system", Path: disk, Format: "raw"}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				host := fake.NewHost(time.Now)
				host.SetBootTime(c.boots)
				m, err := host.Driver().Start(t.Context(), hypervisor.Spec{
					Machine: hypervisortest.MachineID(t), Dir: dir, Memory: 64, Processors: 1, Layer: trialLayer, Overlay: hypervisor.OverlayDiscard,
					Base: []hypervisor.DiskSource{{Socket: "/disk"}}, Network: hypervisor.NetworkNone,
				}, hypervisor.Secrets{DiskKey: make([]byte, 32)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour+trialTick/2) // between two looks
				defer cancel()
				said := &teller{}
				base := &trialBase{RawDisk: raw}
				c.options.Listener, c.options.Now = said, time.Now
				trial := &Trial{options: c.options, machine: m, began: time.Now(), bases: []*trialBase{base}}
				if c.reads {
					go func() {
						for tick := time.Tick(time.Minute); ctx.Err() == nil; {
							select {
							case <-tick:
								_, _ = base.ReadAt(make([]byte, 1), 0)
							case <-ctx.Done():
							}
						}
					}()
				}
				err = trial.Run(ctx)
				if !errors.Is(err, c.ended) {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(trial.began).Round(time.Second); took != c.after {
					t.Errorf("after %s", took)
				}
				if errors.Is(c.ended, dormer.ErrUnavailable) && !strings.Contains(err.Error(), "no sign of life for "+inWords(c.after)) {
					t.Errorf("it says %v", err)
				}
				warned := slices.ContainsFunc(said.warnings, func(w string) bool {
					return strings.HasPrefix(w, "The guest has shown no sign of life for 5 minutes: ")
				})
				if warned != c.warned || len(said.warnings) > 1 {
					t.Errorf("warnings: %q", said.warnings)
				}
			})
		})
	}
}

// TestLifeless: what is said of a guest that is not up is true of it, and in the
// words of people.
func TestLifeless(t *testing.T) {
	for _, c := range []struct {
		life     life
		patience time.Duration
		want     string
	}{
		{life{reads: 3}, time.Second, "the guest has shown no sign of life for 1 second: its agent does not answer, and it reads nothing from its image; its screen may say why"},
		{life{up: true}, 90 * time.Minute, "the guest answers, but has not become ready, and nothing has changed for 1 hour 30 minutes"},
		{life{up: true, problem: "no data disk"}, 2*time.Minute + time.Second, "the guest answers, but has not become ready, and nothing has changed for 2 minutes 1 second: no data disk"},
		{life{up: true}, 300 * time.Millisecond, "the guest answers, but has not become ready, and nothing has changed for 300ms"},
	} {
		trial := &Trial{options: TrialOptions{Patience: c.patience}}
		if got := trial.lifeless(c.life); got != c.want {
			t.Errorf("%+v: %q, want %q", c.life, got, c.want)
		}
	}
}

// TestExtractedTwice: a disk that is to be a test image whose name is taken since
// is written, and the error says what is there.
func TestExtractedTwice(t *testing.T) {
	b := openBench(t, t.TempDir(), nil)
	ask := NewJob{Kind: JobExtract, Test: "office", To: filepath.Join(t.TempDir(), "x.raw"), Format: "raw"}
	if err := b.extracted(ask); err != nil {
		t.Fatal(err)
	}
	if err := b.extracted(ask); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("the second time: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
