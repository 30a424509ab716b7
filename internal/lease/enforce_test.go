package lease

import (
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

func TestJudge(t *testing.T) {
	until := start.Add(time.Hour)
	budget := int64(1800)
	none := int64(0)
	base := func() Facts {
		return Facts{
			Lease:    &Lease{Instance: "i", Client: "c", Epoch: 2, IssuedAt: start, Requires: []string{"network.nat"}},
			Holder:   Holder{Instance: "i", Client: "c", Epoch: 2},
			Enforces: []string{"network.nat", "clipboard"},
			Clock:    Reading{Now: start.Add(10 * time.Minute), Answer: start, Elapsed: 10 * time.Minute},
		}
	}
	tests := []struct {
		name   string
		change func(*Facts)
		want   Judgement
		kind   error
	}{
		{"no limits", func(*Facts) {}, Judgement{Verdict: Allowed}, nil},
		{"date", func(f *Facts) { f.Lease.ValidUntil = &until }, Judgement{Verdict: Allowed}, nil},
		{"budget", func(f *Facts) { f.Lease.OfflineBudget = &budget }, Judgement{Verdict: Allowed}, nil},
		{"both", func(f *Facts) { f.Lease.ValidUntil, f.Lease.OfflineBudget = &until, &budget }, Judgement{Verdict: Allowed}, nil},
		{"no lease", func(f *Facts) { f.Lease = nil }, Judgement{Verdict: NoLease}, dormer.ErrDenied},
		{"withdrawn", func(f *Facts) { f.WithdrawnReason = "not granted" }, Judgement{Verdict: Withdrawn, Detail: "not granted"}, dormer.ErrDenied},
		{"withdrawn without lease", func(f *Facts) { f.Lease, f.WithdrawnReason = nil, "not granted" }, Judgement{Verdict: Withdrawn, Detail: "not granted"}, dormer.ErrDenied},
		{"instance", func(f *Facts) { f.Lease.Instance = "j" }, Judgement{Verdict: WrongInstance}, dormer.ErrDenied},
		{"client", func(f *Facts) { f.Lease.Client = "d" }, Judgement{Verdict: WrongClient}, dormer.ErrDenied},
		{"epoch over since", func(f *Facts) { f.Holder.Epoch = 3 }, Judgement{Verdict: Allowed}, nil},
		{
			"requires", func(f *Facts) { f.Lease.Requires = []string{"usb", "network.nat", "audio"} },
			Judgement{Verdict: ClientTooOld, Detail: "this agent cannot enforce usb, audio"},
			dormer.ErrUnsupported,
		},
		{
			"from the future", func(f *Facts) { f.Lease.IssuedAt = start.Add(time.Hour) },
			Judgement{Verdict: NotYet, Detail: "the clock of this computer is behind the lease"},
			dormer.ErrDenied,
		},
		{"a little ahead", func(f *Facts) { f.Lease.IssuedAt = start.Add(12 * time.Minute) }, Judgement{Verdict: Allowed}, nil},
		{
			"at the date", func(f *Facts) { f.Lease.ValidUntil = &f.Clock.Now },
			Judgement{Verdict: Expired, Detail: "valid until 2026-11-22T12:10:00Z"},
			dormer.ErrDenied,
		},
		{
			"budget used up", func(f *Facts) { f.Lease.OfflineBudget, f.Clock.Elapsed = &budget, 30*time.Minute },
			Judgement{Verdict: OfflineTooLong, Detail: "may be off-line for 30m0s"},
			dormer.ErrDenied,
		},
		{
			"no budget at all", func(f *Facts) { f.Lease.OfflineBudget = &none },
			Judgement{Verdict: OfflineTooLong, Detail: "may be off-line for 0s", Over: 10 * time.Minute},
			dormer.ErrDenied,
		},
		{
			"budget beyond all time", func(f *Facts) { huge := int64(1) << 62; f.Lease.OfflineBudget = &huge },
			Judgement{Verdict: Allowed},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := base()
			tt.change(&f)
			got := Judge(f)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if err := got.Err(); !errors.Is(err, tt.kind) {
				t.Errorf("error %v is not of kind %v", err, tt.kind)
			}
		})
	}
}

func TestBudgetUsed(t *testing.T) {
	l := Lease{IssuedAt: start}
	for _, tt := range []struct {
		answer  time.Time
		elapsed time.Duration
		want    time.Duration
	}{
		{start, 0, 0},
		{start, time.Hour, time.Hour},
		{start.Add(time.Hour), time.Minute, 61 * time.Minute},
		{start.Add(-time.Second), time.Minute, time.Minute}, // issued a moment after the answer's time
	} {
		if got := BudgetUsed(l, Reading{Answer: tt.answer, Elapsed: tt.elapsed}); got != tt.want {
			t.Errorf("answer %s, elapsed %s: %s, want %s", tt.answer, tt.elapsed, got, tt.want)
		}
	}
}
