package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestJudge: what an observation means, at the borders between well and not.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const (
		gib = int64(1 << 30)
		day = 24 * time.Hour
	)
	disk := func(free, total int64) rest.HealthPart {
		return judgeDisk(ObservedDisk{Name: "data", Path: "/data", Free: free, Total: total})
	}
	ends := func(in time.Duration) rest.HealthPart {
		return judgeCertificate(ObservedCertificate{Name: "server", Ends: now.Add(in)}, TLSFiles, now)
	}
	ingest := func(s event.Stats) rest.HealthPart { return judgeIngest(Observed{Ingest: s}) }
	for name, c := range map[string]struct {
		part  rest.HealthPart
		want  rest.Status
		found string
	}{
		"half of the disk":            {disk(50*gib, 100*gib), rest.HealthOK, "50.0 GiB of 100.0 GiB are free, it is 50 % full"},
		"fifteen of a hundred":        {disk(15*gib, 100*gib), rest.HealthOK, ""},
		"fourteen of a hundred":       {disk(14*gib, 100*gib), rest.HealthWarning, "86 % full"},
		"one of a hundred":            {disk(1*gib, 100*gib), rest.HealthError, ""},
		"a hundredth of a large disk": {disk(40*gib, 4000*gib), rest.HealthWarning, "99 % full"},
		"a small disk":                {disk(200<<20, 400<<20), rest.HealthError, ""},
		"no disk":                     {judgeDisk(ObservedDisk{Problem: "not mounted"}), rest.HealthError, "not mounted"},
		"certificate of a month":      {ends(30 * day), rest.HealthOK, "2026-12-22"},
		"certificate of ten days":     {ends(10 * day), rest.HealthWarning, ""},
		"certificate of a day":        {ends(day), rest.HealthError, ""},
		"certificate that ended":      {ends(-time.Second), rest.HealthError, "ended"},
		"no certificate":              {judgeCertificate(ObservedCertificate{Name: "a.example.com"}, TLSACME, now), rest.HealthError, "not issued"},
		"events":                      {ingest(event.Stats{Events: 7, QueueLimit: 100, Queued: 80}), rest.HealthOK, "7 stored"},
		"many events wait":            {ingest(event.Stats{QueueLimit: 100, Queued: 81}), rest.HealthWarning, "81 of at most 100"},
		"events cannot be stored":     {ingest(event.Stats{Away: true, Problem: "disk full"}), rest.HealthError, "disk full"},
		"standby in step":             {judgeStandby(ObservedStandby{Lag: time.Second}), rest.HealthOK, "1s behind"},
		"standby behind":              {judgeStandby(ObservedStandby{Lag: time.Hour}), rest.HealthWarning, "1h0m0s behind"},
		"target away":                 {judgeStandby(ObservedStandby{Problem: "no route"}), rest.HealthError, "no route"},
		"database away":               {judgeDatabase(ObservedDatabase{Name: "state", Since: now, Problem: "refused"}), rest.HealthError, "since 2026-11-22 12:00:00 UTC: refused"},
		"work":                        {judgeTasks([]taskState{{Name: "images", Runs: 1}}), rest.HealthOK, "1 tasks"},
		"much work that failed": {
			judgeTasks([]taskState{{Name: "a", Problem: "no\nx", Failure: now}, {Name: "b"}, {Name: "c", Problem: "no", Failure: now}, {Name: "d", Problem: "no", Failure: now}}),
			rest.HealthWarning, "a failed at 2026-11-22 12:00:00 UTC: no; also failed: c, d",
		},
		"work that failed": {judgeTasks([]taskState{{Name: "images", Problem: "panic: x\nat y", Failure: now}}), rest.HealthWarning, "images failed at 2026-11-22 12:00:00 UTC: panic: x"},
	} {
		if c.part.Status != c.want || !strings.Contains(c.part.Found, c.found) || (c.want == rest.HealthOK) != (c.part.ToDo == "") {
			t.Errorf("%s: %+v, want %s", name, c.part, c.want)
		}
	}
}

// TestTaskBook: how background work goes is known: what was done, what failed,
// and that it goes on since.
func TestTaskBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		book := &taskBook{now: time.Now}
		swept := 0
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			supervise(ctx, slog.New(slog.DiscardHandler), book, []task{
				every("sweep", time.Hour, func(context.Context) error {
					if swept++; swept == 2 {
						return errors.New("no disk")
					}
					return nil
				}),
				{name: "follow", run: func(ctx context.Context) error {
					if time.Since(began) < time.Second {
						return errors.New("not yet")
					}
					<-ctx.Done()
					return nil
				}},
			})
		}()
		at := func(d time.Duration) (sweep, follow taskState) {
			t.Helper()
			<-time.After(time.Until(began.Add(d)))
			synctest.Wait()
			all := book.states()
			return all[1], all[0]
		}
		sweep, follow := at(time.Minute)
		if sweep.Runs != 0 || sweep.Problem != "" || follow.Failures != 1 || follow.Problem != "not yet" {
			t.Errorf("in the first minute: %+v, %+v", sweep, follow)
		}
		sweep, follow = at(time.Hour + time.Minute)
		if sweep.Runs != 1 || sweep.Success.Sub(began) != time.Hour || follow.Problem != "" {
			t.Errorf("after an hour: %+v, %+v", sweep, follow)
		}
		if sweep, _ = at(2*time.Hour + time.Minute); sweep.Failures != 1 || sweep.Problem != "no disk" || sweep.Runs != 1 {
			t.Errorf("after two: %+v", sweep)
		}
		if sweep, _ = at(3*time.Hour + 2*time.Minute); sweep.Problem != "" || sweep.Runs != 2 || sweep.Failures != 1 {
			t.Errorf("after three: %+v", sweep)
		}
		stop()
		<-done
	})
}
