package workbench

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
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
