package policy

import (
	"errors"
	"regexp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
)

var colorForm = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

const (
	minute = Duration(60e9)
	hour   = 60 * minute
	day    = 24 * hour
)

func (c *checker) general(g *General) {
	const at = "spec.general"
	c.text(at+".supportContact", g.SupportContact)
	one(c, at+".display", g.Display)
	one(c, at+".unmanagedClients", g.UnmanagedClients)
	if g.Frame.Color != "" && !colorForm.MatchString(g.Frame.Color) {
		c.add(at+".frame.color", "expected a colour such as #3d7ab8")
	}
	if is(g.Frame.Show) && g.Display == DisplayDesktop {
		c.add(at+".frame.show", "a frame is for seamless windows; it contradicts spec.general.display, which is desktop")
	}
	h := g.HostCommand
	c.command(at+".hostCommand.command", h.Command)
	c.duration(at+".hostCommand.timeout", h.Timeout, minute/60, day)
	if h.Command == "" {
		if h.Timeout != nil {
			c.add(at+".hostCommand.timeout", "is given without spec.general.hostCommand.command")
		}
		if h.StopOnFailure != nil {
			c.add(at+".hostCommand.stopOnFailure", "is given without spec.general.hostCommand.command")
		}
	}
}

func (c *checker) machine(m *Machine) {
	const at = "spec.machine"
	c.image(&m.Image)
	c.machineChoices(m)
	c.number(at+".keepOldVersions", m.KeepOldVersions, 0, 100)
	c.duration(at+".suspendIdle", m.SuspendIdle, minute, 7*day)
	c.duration(at+".lock.idle", m.Lock.Idle, minute, 7*day)
	if s := m.DataDisk.Size; s != nil && (*s < 64*MiB || *s > 16*TiB) {
		c.add(at+".dataDisk.size", "must be between 64MiB and 16TiB")
	}
	if w := m.GuestUpdates; w != nil {
		if w.From == nil {
			c.add(at+".guestUpdates.from", "is required")
		} else if *w.From < 0 || *w.From >= 24*60 {
			c.add(at+".guestUpdates.from", "expected %s", w.From.Form())
		}
		c.duration(at+".guestUpdates.length", w.Length, 10*minute, 12*hour)
	}
	if m.Updates.Mode == UpdateHold && m.Image.Version == nil {
		c.add(at+".updates.mode", "hold needs a version to stay at: give spec.machine.image.version")
	}
}

// machineChoices checks the closed lists and what contradicts a revertible
// machine.
func (c *checker) machineChoices(m *Machine) {
	const at = "spec.machine"
	one(c, at+".onStop", m.OnStop)
	one(c, at+".signOn", m.SignOn)
	one(c, at+".timeZone", m.TimeZone)
	one(c, at+".updates.mode", m.Updates.Mode)
	one(c, at+".start", m.Start)
	one(c, at+".lastWindow", m.LastWindow)
	one(c, at+".onMissing", m.OnMissing)
	if off(m.Revertible) {
		return
	}
	const contradicts = " contradicts spec.machine.revertible, which is true (the default): set that to false"
	if m.OnStop == StopSaveState {
		c.add(at+".onStop", "save-state"+contradicts)
	}
	if m.LastWindow == LastWindowSaveState {
		c.add(at+".lastWindow", "save-state"+contradicts)
	}
	if m.TimeZone == TimeZoneServerThenHost {
		c.add(at+".timeZone", "server-then-host"+contradicts)
	}
	if m.GuestUpdates != nil {
		c.add(at+".guestUpdates", "a window for the guest's own updates"+contradicts)
	}
}

func (c *checker) image(i *Image) {
	const at = "spec.machine.image"
	one(c, at+".source", i.Source)
	if c.required(at+".name", i.Name) {
		var invalid *dormer.InvalidError
		if errors.As(dormer.CheckImageName(i.Name), &invalid) {
			c.add(at+".name", "%s", invalid.Fields[0].Message)
		}
	}
	if i.Version == nil {
		return
	}
	c.number(at+".version", i.Version, 1, 1<<31-1)
	if i.Source == SourceLocal || i.Source == SourceTest {
		c.add(at+".version", "contradicts spec.machine.image.source: only images of the server have numbered versions")
	}
}

func (c *checker) performance(p *Performance) {
	const at = "spec.performance"
	c.length(at+".memory", len(p.Memory), p.Memory != nil)
	var last Size
	for i, row := range p.Memory {
		path := document.Index(at+".memory", i)
		host := value(row.Host, 0)
		switch {
		case i == 0 && host != 0:
			c.add(path+".host", "leaves a gap: smaller hosts have no row; leave host out in the first row")
		case i > 0 && row.Host == nil:
			c.add(path+".host", "is required in every row but the first")
		case i > 0 && host <= last:
			c.add(path+".host", "must be larger than spec.performance.memory[%d].host: rows ascend", i-1)
		}
		last = max(last, host)
		switch guest := value(row.Guest, 0); {
		case row.Guest == nil:
			c.add(path+".guest", "is required")
		case guest < 64*MiB || guest > TiB:
			c.add(path+".guest", "must be between 64MiB and 1TiB")
		case i > 0 && guest >= host:
			c.add(path+".guest", "must be smaller than %s.host, or the host has nothing left", path)
		}
	}
	c.processors(p.Processors)
}

func (c *checker) processors(rows []ProcessorRow) {
	const at = "spec.performance.processors"
	c.length(at, len(rows), rows != nil)
	last := 0
	for i, row := range rows {
		path := document.Index(at, i)
		c.number(path+".host", row.Host, 0, 4096)
		host := value(row.Host, 0)
		switch {
		case i == 0 && host > 0:
			c.add(path+".host", "leaves a gap: smaller hosts have no row; leave host out in the first row")
		case i > 0 && row.Host == nil:
			c.add(path+".host", "is required in every row but the first")
		case i > 0 && host <= last:
			c.add(path+".host", "must be larger than spec.performance.processors[%d].host: rows ascend", i-1)
		}
		last = max(last, host)
		switch guest := value(row.Guest, 0); {
		case row.Guest == nil:
			c.add(path+".guest", "is required")
		case guest < 1 || guest > 256:
			c.add(path+".guest", "must be between 1 and 256")
		case i > 0 && guest > host:
			c.add(path+".guest", "must not be more than %s.host", path)
		}
	}
}
