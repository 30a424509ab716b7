package desk

import (
	"os"
	"time"

	"github.com/dormer-project/dormer/internal/workbench"
)

func (d *Desk) images(*call, none) (images, error) {
	out := images{Tests: []testImage{}, Packed: []packedImage{}}
	running := map[string]string{}
	for _, r := range d.config.Bench.Runs() {
		if !r.State.Ended() {
			running[r.Test] = r.ID
		}
	}
	for _, t := range d.config.Bench.Tests() {
		one := testOf(t)
		one.Running = running[t.Name]
		out.Tests = append(out.Tests, one)
	}
	packed, err := d.config.Bench.Packed()
	if err != nil {
		return images{}, err
	}
	for _, p := range packed {
		one := packedImage{Name: p.Name, Image: p.Image, Sizes: p.Manifest.Sizes, Created: p.Created}
		if u := p.Uploaded; u != nil {
			one.Uploaded = &uploaded{Server: u.Server, Version: u.Version, At: u.At}
		}
		out.Packed = append(out.Packed, one)
	}
	return out, nil
}

func testOf(t workbench.Test) testImage {
	out := testImage{Name: t.Name, Disk: t.Disk, Format: t.Format, Created: t.Created}
	info, err := os.Stat(t.Disk)
	if out.Missing = err != nil; err == nil {
		out.Size = info.Size()
	}
	return out
}

func (d *Desk) addTest(_ *call, in newTest) (testImage, error) {
	t, err := d.config.Bench.AddTest(in.Name, in.Disk, in.Format)
	if err != nil {
		return testImage{}, err
	}
	return testOf(t), nil
}

func (d *Desk) removeTest(c *call, _ none) (none, error) {
	return none{}, d.config.Bench.RemoveTest(c.r.PathValue("name"))
}

func (d *Desk) removePacked(c *call, _ none) (none, error) {
	return none{}, d.config.Bench.RemovePacked(c.r.PathValue("name"))
}

func (d *Desk) runs(*call, none) (list[run], error) {
	out := list[run]{Items: []run{}}
	for _, r := range d.config.Bench.Runs() {
		out.Items = append(out.Items, runOf(r))
	}
	return out, nil
}

func runOf(r workbench.Run) run {
	return run{
		ID: r.ID, Test: r.Test, Workspace: r.Workspace, State: string(r.State),
		Screen:       r.Report.Display != "" && (r.State == workbench.RunRunning || r.State == workbench.RunEnding),
		ComputerName: r.Report.ComputerName, Memory: r.Report.Memory, Processors: r.Report.Processors,
		Ready: r.Report.Ready, System: r.Report.System, Warnings: append([]string{}, r.Warnings...), Message: r.Message,
		Started: r.Started, Ended: set(r.Ended),
	}
}

// set is nil for a time that is not known yet.
func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (d *Desk) startRun(c *call, in newRun) (run, error) {
	r, err := d.config.Bench.Start(c.ctx(), in.Test, in.Workspace, in.Memory)
	if err != nil {
		return run{}, err
	}
	return runOf(r), nil
}

func (d *Desk) stopRun(c *call, _ none) (run, error) {
	r, err := d.config.Bench.Stop(c.r.PathValue("id"))
	if err != nil {
		return run{}, err
	}
	return runOf(r), nil
}

func (d *Desk) jobs(*call, none) (list[job], error) {
	out := list[job]{Items: []job{}}
	for _, j := range d.config.Bench.Jobs() {
		out.Items = append(out.Items, jobOf(j))
	}
	return out, nil
}

func jobOf(j workbench.Job) job {
	return job{
		ID: j.ID, Kind: j.Ask.Kind, Name: j.Ask.Name, Version: j.Ask.Version, State: string(j.State),
		Done: j.Done, Total: j.Total, Rate: j.Rate, Message: j.Message, Warnings: append([]string{}, j.Warnings...),
		Asked: j.Asked, Started: set(j.Started), Ended: set(j.Ended),
	}
}

func (d *Desk) startJob(_ *call, in newJob) (job, error) {
	j, err := d.config.Bench.Begin(workbench.NewJob{
		Kind: in.Kind, Name: in.Name, Test: in.Test, Version: in.Version, To: in.To, Format: in.Format, Disk: in.Disk, Plain: in.Unencrypted,
	})
	if err != nil {
		return job{}, err
	}
	return jobOf(j), nil
}

func (d *Desk) job(c *call, _ none) (job, error) {
	j, err := d.config.Bench.Job(c.r.PathValue("id"))
	if err != nil {
		return job{}, err
	}
	return jobOf(j), nil
}

func (d *Desk) removeJob(c *call, _ none) (none, error) {
	return none{}, d.config.Bench.RemoveJob(c.r.PathValue("id"))
}
