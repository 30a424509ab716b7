package workbench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/preparation"
)

// JobKind says what a job does.
type JobKind string

// Kinds of jobs.
const (
	JobPack     JobKind = "pack"     // a test image becomes a packed image
	JobUpload   JobKind = "upload"   // a packed image becomes a version on the server
	JobDownload JobKind = "download" // a version comes into the image store of this computer
	JobExtract  JobKind = "extract"  // a disk of a version becomes a file
	JobVerify   JobKind = "verify"   // a version is read whole and checked
)

// JobState says how far a job is.
type JobState string

// States of jobs.
const (
	JobWaiting   JobState = "waiting" // another of its kind runs
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// Ended reports whether nothing changes any more.
func (s JobState) Ended() bool { return s == JobDone || s == JobFailed || s == JobCancelled }

const (
	// MaxJobs is how many jobs wait and run at once.
	MaxJobs = 50
	// keptJobs is how many jobs that have ended are remembered.
	keptJobs = 100
	// rateSpan is over how long the rate of a job is measured, at least.
	rateSpan = time.Second
)

// NewJob says what a job is to do.
type NewJob struct {
	Kind JobKind
	Name string // of the image
	// Test is the test image to be packed (empty: the one of the image's name), or
	// the one that an extracted disk becomes (empty: none).
	Test string
	// Version on the server; 0: the newest, for uploads the next free one.
	Version int
	// To is the file that is extracted to, or the store that is downloaded to
	// (empty: the one in the data folder). Absolute.
	To string
	// Format of an extracted disk: qcow2 (or empty) or raw. Disk is its name;
	// empty: the first.
	Format, Disk string
	// Plain packs without encryption.
	Plain bool
}

// Job is something long that is under way or has ended. What Bench returns is a
// copy.
type Job struct {
	ID          string
	Ask         NewJob
	State       JobState
	Done, Total int64 // bytes; Total is 0 while it is not known
	Rate        int64 // bytes a second
	// Message says what has come of it, or why it failed.
	Message  string
	Warnings []string
	Asked    time.Time
	Started  time.Time
	Ended    time.Time // zero: not yet

	cancel     context.CancelFunc
	measured   time.Time // when Rate was measured
	measuredAt int64     // Done then
}

// Jobs lists the jobs, newest first.
func (b *Bench) Jobs() []Job {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Job, 0, len(b.jobs))
	for _, j := range slices.Backward(b.jobs) {
		out = append(out, *j)
	}
	return out
}

// Job returns one job.
func (b *Bench) Job(id string) (Job, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.jobAt(id); i >= 0 {
		return *b.jobs[i], nil
	}
	return Job{}, fmt.Errorf("this job: %w", dormer.ErrNotFound)
}

// jobAt returns where a job is in the list, or -1. Callers hold mu.
func (b *Bench) jobAt(id string) int {
	return slices.IndexFunc(b.jobs, func(j *Job) bool { return j.ID == id })
}

// RemoveJob cancels a job that is under way, and forgets one that has ended.
func (b *Bench) RemoveJob(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.jobAt(id)
	switch {
	case i < 0:
		return fmt.Errorf("this job: %w", dormer.ErrNotFound)
	case b.jobs[i].State.Ended():
		b.jobs = slices.Delete(b.jobs, i, i+1)
	default:
		b.jobs[i].cancel()
	}
	return nil
}

// busy reports whether a job of one of these kinds is under way with an image.
// Callers hold mu.
func (b *Bench) busy(name string, kinds ...JobKind) bool {
	return slices.ContainsFunc(b.jobs, func(j *Job) bool {
		return j.Ask.Name == name && !j.State.Ended() && slices.Contains(kinds, j.Ask.Kind)
	})
}

// Begin begins a job, which goes on until it is done, cancelled or the bench is
// closed. InvalidError when it cannot be done as asked.
func (b *Bench) Begin(ask NewJob) (Job, error) {
	id, err := dormer.NewID(b.config.Random)
	if err != nil {
		return Job{}, fmt.Errorf("name job: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(&ask); err != nil {
		return Job{}, err
	}
	under := 0
	for _, j := range b.jobs {
		if !j.State.Ended() {
			under++
		}
	}
	if under >= MaxJobs {
		return Job{}, fmt.Errorf("%d jobs are under way; wait until some have ended: %w", under, dormer.ErrConflict)
	}
	if b.busy(ask.Name, ask.Kind) {
		return Job{}, fmt.Errorf("this is under way with %s already: %w", ask.Name, dormer.ErrConflict)
	}
	test, _ := b.test(ask.Test)
	ctx, cancel := context.WithCancel(b.ctx)
	j := &Job{ID: id, Ask: ask, State: JobWaiting, Asked: b.config.Now().UTC(), cancel: cancel}
	b.jobs = append(b.jobs, j)
	b.forget()
	b.going.Go(func() {
		defer cancel()
		b.perform(ctx, j, test)
	})
	return *j, nil
}

// forget forgets the oldest jobs that have ended, over keptJobs. Callers hold mu.
func (b *Bench) forget() {
	ended := 0
	for i, j := range slices.Backward(b.jobs) {
		if !j.State.Ended() {
			continue
		}
		if ended++; ended > keptJobs {
			b.jobs = slices.Delete(b.jobs, i, i+1)
			return // one is added at a time
		}
	}
}

// check completes what is asked for, and says what of it cannot be. Callers hold
// mu.
func (b *Bench) check(ask *NewJob) error {
	if err := dormer.CheckImageName(ask.Name); err != nil {
		return err
	}
	if ask.Version < 0 {
		return dormer.Invalidf("version", "is a number from 1 on")
	}
	if ask.To != "" && !filepath.IsAbs(ask.To) {
		return dormer.Invalidf("to", "needs the whole path, from / on")
	}
	switch ask.Kind {
	case JobPack:
		ask.Test = cmp.Or(ask.Test, ask.Name)
		if _, ok := b.test(ask.Test); !ok {
			return dormer.Invalidf("test", "there is no such test image")
		}
		if b.running(ask.Test) != nil {
			return fmt.Errorf("test image %s runs; end it first: %w", ask.Test, dormer.ErrConflict)
		}
	case JobUpload:
		if _, err := os.Stat(b.packedDir(ask.Name)); err != nil {
			return dormer.Invalidf("name", "there is no such packed image on this computer")
		}
	case JobDownload:
		ask.To = cmp.Or(ask.To, filepath.Join(b.config.Folder, StoreFolder))
	case JobExtract:
		return b.checkExtract(ask)
	case JobVerify:
	default:
		return dormer.Invalidf("kind", "is pack, upload, download, extract or verify")
	}
	return nil
}

func (b *Bench) checkExtract(ask *NewJob) error {
	ask.Format = cmp.Or(ask.Format, "qcow2")
	if ask.Format != "qcow2" && ask.Format != "raw" {
		return dormer.Invalidf("format", "is qcow2 or raw")
	}
	if ask.To == "" {
		return dormer.Invalidf("to", "needs the path of the file that is to be written")
	}
	if _, err := os.Lstat(ask.To); err == nil {
		return dormer.Invalidf("to", "is there already; choose another name")
	}
	if info, err := os.Stat(filepath.Dir(ask.To)); err != nil || !info.IsDir() {
		return dormer.Invalidf("to", "the folder %s is not there", filepath.Dir(ask.To))
	}
	if ask.Test == "" {
		return nil
	}
	if err := checkTest(ask.Test, ask.To, ask.Format); err != nil {
		return dormer.Invalidf("test", "is no name of an image")
	}
	if _, ok := b.test(ask.Test); ok {
		return dormer.Invalidf("test", "is that of another test image")
	}
	return nil
}

// perform waits until it is a job's turn, and does it.
func (b *Bench) perform(ctx context.Context, j *Job, test Test) {
	lane := b.lanes[j.Ask.Kind]
	var message string
	var warnings []string
	err := ctx.Err()
	if err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case lane <- struct{}{}:
			defer func() { <-lane }()
			b.mu.Lock()
			j.State, j.Started = JobRunning, b.config.Now().UTC()
			j.measured = j.Started
			b.mu.Unlock()
			message, warnings, err = b.work(ctx, j.Ask, test, func(done, total int64) { b.progress(j, done, total) })
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	j.Ended, j.Rate = b.config.Now().UTC(), 0
	switch {
	case err == nil:
		j.State, j.Message, j.Warnings = JobDone, message, warnings
		j.Done = j.Total
	case ctx.Err() != nil:
		j.State = JobCancelled
	default:
		j.State, j.Message = JobFailed, err.Error()
	}
}

func (b *Bench) progress(j *Job, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.config.Now().UTC()
	if j.Done, j.Total = done, total; j.Rate == 0 && j.measuredAt == 0 {
		j.measuredAt = done // what was there already was not done now
	}
	if took := now.Sub(j.measured); took >= rateSpan {
		j.Rate = int64(float64(max(0, done-j.measuredAt)) / took.Seconds())
		j.measured, j.measuredAt = now, done
	}
}

// work does what is asked for, and says what has come of it.
func (b *Bench) work(ctx context.Context, ask NewJob, test Test, progress Progress) (message string, warnings []string, err error) {
	c, server, err := b.config.Server()
	if err != nil {
		return "", nil, err
	}
	defer c.Close()
	version := ask.Name
	if ask.Version > 0 {
		version = fmt.Sprintf("%s/%d", ask.Name, ask.Version)
	}
	switch ask.Kind {
	case JobPack:
		warnings, err = b.pack(ctx, c, ask, test, progress)
		return ask.Name + " is packed.", warnings, err
	case JobUpload:
		message, err = b.upload(ctx, c, server, ask, progress)
		return message, nil, err
	case JobDownload:
		v, err := FindVersion(ctx, c, version)
		if err != nil {
			return "", nil, err
		}
		_, err = Pull(ctx, c, v, ask.To, progress)
		return fmt.Sprintf("%s/%d is in %s.", v.Name, v.Number, ask.To), nil, err
	case JobExtract:
		if err := Extract(ctx, c, version, ask.Disk, ask.To, ask.Format, progress); err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("%s is written to %s.", version, ask.To), nil, b.extracted(ask)
	default:
		_, err := Verify(ctx, c, version, progress)
		return version + " is whole: every byte was read and checked.", nil, err
	}
}

func (b *Bench) pack(ctx context.Context, c *apiclient.Client, ask NewJob, test Test, progress Progress) ([]string, error) {
	d, err := ReadDescription(test.Disk, test.Format)
	if err != nil {
		return nil, err
	}
	signer, err := b.config.Signer(ctx, c)
	if err != nil {
		return nil, err
	}
	p, err := Pack(ctx, c, PackOptions{
		Name: ask.Name, Description: d, Signer: signer, Dir: b.packedDir(ask.Name), Plain: ask.Plain, Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	return preparation.Warnings(p.Preparation), nil
}

func (b *Bench) upload(ctx context.Context, c *apiclient.Client, server string, ask NewJob, progress Progress) (string, error) {
	p, err := imagepack.OpenPacked(b.packedDir(ask.Name))
	if err != nil {
		return "", err
	}
	v, _, err := Push(ctx, c, ask.Name, p, ask.Version, progress)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.change(func(k *kept) {
		k.Uploads = slices.DeleteFunc(k.Uploads, func(u Upload) bool { return u.Name == ask.Name })
		k.Uploads = append(k.Uploads, Upload{Name: ask.Name, Image: p.Image, Server: server, Version: v.Number, At: b.config.Now().UTC().Truncate(time.Second)})
	})
	return fmt.Sprintf("%s/%d is on the server.", v.Name, v.Number), err
}

// extracted makes an extracted disk a test image, where that was asked for.
func (b *Bench) extracted(ask NewJob) error {
	if ask.Test == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.test(ask.Test); ok {
		return fmt.Errorf("the disk was written; a test image called %s is there already: %w", ask.Test, dormer.ErrExists)
	}
	_, err := b.keepTest(ask.Test, ask.To, ask.Format)
	return err
}
