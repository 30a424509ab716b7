package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// What is too little, too full or too late. Alerts have rules of their own; a disk
// that fills up is one for both (alert.DiskFillingUp).
const (
	diskError          = 0.02     // free part of a disk
	diskPlenty         = 20 << 30 // with so many free bytes no disk is at its end
	diskNothing        = 256 << 20
	certificateWarning = 14 * 24 * time.Hour // before its end
	certificateError   = 3 * 24 * time.Hour
	queueWarning       = 0.8
	lagWarning         = 5 * time.Minute
)

// partState is since when a part is as it is.
type partState struct {
	status rest.Status
	since  time.Time
}

// note remembers how parts are and returns those whose status is another than
// it was. What was well from the beginning is not among them.
func (w *watch) note(parts []rest.HealthPart, now time.Time) []rest.HealthPart {
	w.mu.Lock()
	defer w.mu.Unlock()
	var changed []rest.HealthPart
	for _, p := range parts {
		was, known := w.parts[p.Part]
		if known && was.status == p.Status {
			continue
		}
		w.parts[p.Part] = partState{status: p.Status, since: now}
		if known || p.Status != rest.HealthOK {
			changed = append(changed, p)
		}
	}
	return changed
}

// dated says since when parts are as they are.
func (w *watch) dated(parts []rest.HealthPart, now time.Time) []rest.HealthPart {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range parts {
		since := now
		if was, known := w.parts[p.Part]; known && was.status == p.Status {
			since = was.since
		}
		since = since.UTC()
		parts[i].Since = &since
	}
	return parts
}

// health is how the server is, for operators.
func (s *Server) health(ctx context.Context) (rest.Health, error) {
	o, err := s.observe(ctx)
	if err != nil {
		return rest.Health{}, err
	}
	parts := s.watch.dated(s.judge(o), o.At)
	return rest.Health{Status: worst(parts), At: o.At.UTC(), Parts: parts}, nil
}

// worst is the status of the worst part.
func worst(parts []rest.HealthPart) rest.Status {
	order := []rest.Status{rest.HealthOK, rest.HealthWarning, rest.HealthError}
	at := 0
	for _, p := range parts {
		at = max(at, slices.Index(order, p.Status))
	}
	return order[at]
}

// judge says what an observation means and what to do about it.
func (s *Server) judge(o Observed) []rest.HealthPart {
	var parts []rest.HealthPart
	if o.Fenced {
		parts = append(parts, rest.HealthPart{
			Part: "instance", Status: rest.HealthError, Found: "another server of this instance has taken over; this one answers clients no more",
			ToDo: "Stop this server. Clients go on with the other one by themselves.",
		})
	}
	for _, d := range o.Databases {
		parts = append(parts, judgeDatabase(d))
	}
	parts = append(parts, judgeIngest(o))
	for _, d := range o.Disks {
		parts = append(parts, judgeDisk(d))
	}
	for _, c := range o.Certificates {
		parts = append(parts, judgeCertificate(c, s.cfg.TLS.Mode, o.At))
	}
	for _, d := range o.Directories {
		p := rest.HealthPart{Part: "directory " + d.Name, Status: rest.HealthOK, Found: "was well when it was examined at " + clock(d.At)}
		if d.Problem != "" {
			p.Status, p.Found = rest.HealthError, fmt.Sprintf("setting %s: %s (examined at %s)", d.Setting, d.Problem, clock(d.At))
			p.ToDo = "Run `dormer directory test`, which examines it now and setting by setting. Users of it cannot sign in anew meanwhile."
		}
		parts = append(parts, p)
	}
	if o.Standby.Configured {
		parts = append(parts, judgeStandby(o.Standby))
	}
	return append(parts, judgeTasks(o.Tasks))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func judgeDatabase(d ObservedDatabase) rest.HealthPart {
	p := rest.HealthPart{Part: d.Name + " database", Status: rest.HealthOK, Found: "answers, " + size(d.Bytes)}
	if !d.Up {
		p.Status, p.Found = rest.HealthError, fmt.Sprintf("does not answer since %s: %s", clock(d.Since), d.Problem)
		p.ToDo = fmt.Sprintf("See that it runs and that setting %s.dsn leads to it; `dormerd doctor` says more. Clients keep their events; the server goes on by itself once it answers.", d.Name)
	}
	return p
}

func judgeIngest(o Observed) rest.HealthPart {
	i := o.Ingest
	p := rest.HealthPart{Part: "events", Status: rest.HealthOK, Found: fmt.Sprintf("%d stored since the start, %d wait", i.Events, i.Queued)}
	switch {
	case i.Away:
		p.Status, p.Found = rest.HealthError, "cannot be stored: "+i.Problem
		p.ToDo = "See to the events database and its disk. Clients keep their events and send them again."
	case i.QueueLimit > 0 && float64(i.Queued) > queueWarning*float64(i.QueueLimit):
		p.Status, p.Found = rest.HealthWarning, fmt.Sprintf("%d of at most %d wait to be stored; clients are told to come back later", i.Queued, i.QueueLimit)
		p.ToDo = "If this lasts, the events database is too slow for what clients report: see dormer_events_last_commit_duration_seconds and the disk below it."
	}
	return p
}

func judgeDisk(d ObservedDisk) rest.HealthPart {
	p := rest.HealthPart{Part: d.Name + " disk", Status: rest.HealthOK}
	if d.Problem != "" {
		p.Status, p.Found, p.ToDo = rest.HealthError, d.Problem, "See that the folder is there and its disk is mounted."
		return p
	}
	part := float64(d.Free) / float64(max(d.Total, 1))
	used := 100 * (1 - part)
	p.Found = fmt.Sprintf("%s of %s are free, it is %.0f %% full (%s)", size(d.Free), size(d.Total), used, d.Path)
	switch {
	case d.Free < diskNothing || part < diskError && d.Free < diskPlenty:
		p.Status = rest.HealthError
	case used > alert.DiskFillingUp:
		p.Status = rest.HealthWarning
	}
	if p.Status != rest.HealthOK {
		p.ToDo = fmt.Sprintf("Make room or enlarge the disk: it is warned of from %d %% on, here and by the alert rule disk-filling-up as it comes. Old events go with a lower events.retention_days, unused versions of images with `dormer image delete`.", alert.DiskFillingUp)
	}
	return p
}

func judgeCertificate(c ObservedCertificate, mode TLSMode, now time.Time) rest.HealthPart {
	p := rest.HealthPart{Part: "certificate " + c.Name, Status: rest.HealthOK, Found: "ends " + clock(c.Ends)}
	left := c.Ends.Sub(now)
	switch {
	case c.Ends.IsZero():
		p.Status, p.Found = rest.HealthError, "was not issued yet"
	case left <= 0:
		p.Status, p.Found = rest.HealthError, "ended "+clock(c.Ends)
	case left < certificateError:
		p.Status = rest.HealthError
	case left < certificateWarning:
		p.Status = rest.HealthWarning
	}
	if p.Status != rest.HealthOK {
		p.ToDo = map[TLSMode]string{
			TLSFiles:     "Put a new one into the files of tls.certificate and tls.key. They are read again within the hour, without a restart.",
			TLSACME:      "The server renews it by itself and could not: its log says what the ACME server wants.",
			TLSAuthority: "The server renews it by itself and could not: its log says why. See that the data folder can be written.",
		}[mode]
	}
	return p
}

func judgeStandby(o ObservedStandby) rest.HealthPart {
	p := rest.HealthPart{Part: "standby", Status: rest.HealthOK, Found: "is " + o.Lag.Round(time.Second).String() + " behind"}
	switch {
	case o.Problem != "":
		p.Status, p.Found = rest.HealthError, "its target cannot be reached: "+o.Problem
		p.ToDo = "See that setting standby.target can be reached from here. The server goes on and catches up by itself; until then what it acknowledges is only here."
	case o.Lag > lagWarning:
		p.Status = rest.HealthWarning
		p.ToDo = "If this lasts, the way to standby.target is too slow for what changes here."
	}
	return p
}

func judgeTasks(tasks []taskState) rest.HealthPart {
	p := rest.HealthPart{Part: "background work", Status: rest.HealthOK, Found: fmt.Sprintf("%d tasks, none failed when it last ran", len(tasks))}
	var failed []taskState
	for _, t := range tasks {
		if t.Problem != "" {
			failed = append(failed, t)
		}
	}
	if len(failed) > 0 {
		text, _, _ := strings.Cut(failed[0].Problem, "\n") // below stands where it panicked
		p.Status, p.Found = rest.HealthWarning, fmt.Sprintf("%s failed at %s: %s", failed[0].Name, clock(failed[0].Failure), text)
		// What is away makes many tasks fail, all for the same reason.
		for i, t := range failed[1:] {
			separator := ", "
			if i == 0 {
				separator = "; also failed: "
			}
			p.Found += separator + t.Name
		}
		p.ToDo = "It is tried again by itself. If it fails each time, the server's log says more."
	}
	return p
}

// size shows a number of bytes.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for ; value >= unit && i < 4; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %s", value, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}[i])
}
