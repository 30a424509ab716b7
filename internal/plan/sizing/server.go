package sizing

import (
	"fmt"
	"math"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// server sizes the computer that dormerd runs on, by the classic guide and by
// what Dormer was measured to cost; the larger counts, unless what an instance
// holds was measured.
func (w *work) server() {
	s := &w.out.Server
	workspaces := figure.Work("server.workspaces", "Workspaces", figure.Count, "{policies of all workspaces whose people it serves}", figure.N(w.workspaces())).
		From(figure.Classic, classicSource+": each policy of each image is one")
	disk := figure.Work("server.disk.classic", "Disk for workspaces by the guide", figure.Size, "{bytes a workspace} x {workspaces}",
		figure.In(figure.Size, classicWorkspace), figure.N(w.workspaces())).From(figure.Classic, classicSource)
	s.Figures = append(s.Figures, workspaces, disk)
	w.disk(s)
	w.cores(s)
	w.memory(s)
	extra, memory := w.onServer()
	s.Classic = fmt.Sprintf("%d cores at %s, %s of memory, %s of disk for %s", classicCores+extra, classicClock,
		figure.Binary(classicMemory+float64(memory)), figure.Bytes(disk.Value), figure.Counted(w.workspaces(), "workspace", "workspaces"))
	w.machine(s)
}

// onServer is what the guide's computer has beside what it needs with its
// database elsewhere.
func (w *work) onServer() (cores, memory int) {
	if w.out.Events.Place == organization.PlaceServer {
		return databaseCores, databaseMemory
	}
	return 0, 0
}

func (w *work) disk(s *Server) {
	var state, events int64
	if w.out.State.Place == organization.PlaceServer {
		state = w.out.State.Bytes
	}
	if w.out.Events.Place == organization.PlaceServer {
		events = w.out.Events.Bytes
	}
	f := figure.Work("server.disk", "Disk of the server, without a repository", figure.Size,
		"({operating system} + {programs} + {state database} + {events database} + {logs}) / {share that may be full}",
		figure.In(figure.Size, systemDisk), figure.In(figure.Size, programDisk), figure.In(figure.Size, state),
		figure.In(figure.Size, events), figure.In(figure.Size, logDisk), figure.In(figure.Share, filled)).
		From(figure.Measured, planSource+" for programs and databases; operating system and logs are assumed; dormerd doctor warns of a disk that is fuller")
	s.Disk = ceiling(f.Value)
	s.Figures = append(s.Figures, f)
}

func (w *work) cores(s *Server) {
	extra, _ := w.onServer()
	classic := figure.Work("server.cores.classic", "Cores by the guide", figure.Cores, "{cores with database and consoles elsewhere} + {for a database on the server}",
		figure.N(classicCores), figure.N(extra)).From(figure.Classic, classicSource+", at "+classicClock+"; "+databaseSource)
	cost := eventSQLite
	if w.out.Events.Kind == organization.PostgreSQL {
		cost = eventPostgres
		if w.out.Events.Place == organization.PlaceServer {
			cost += eventDatabase
		}
	}
	list := w.out.Events.Figures
	load := figure.Work("server.load", "Cores that are busy at peak", figure.Cores,
		"{clients} / {poll interval} / {polls a second of a core} + {events at peak} x {processor time of one} + {reports a second} x {processor time of one over 5,000 clients} x max(1, {clients} / 5,000)",
		figure.N(w.in.Active), figure.N(w.m.Service.Poll.Seconds()), figure.N(PollsACore), figure.N(figure.Find(list, "events.writes.peak").Value),
		figure.In(figure.Seconds, cost), figure.N(figure.Find(list, "events.reports").Value), figure.In(figure.Seconds, reportCPU)).
		From(figure.Measured, eventsSource+"; polls, each on a connection of its own: "+planSource)
	measured := figure.Work("server.cores.measured", "Cores by what Dormer costs", figure.Cores, "max(1, ceil({busy at peak} / {share that is planned for}))",
		figure.N(load.Value), figure.In(figure.Share, busy)).From(figure.Measured, "half of a core is left for what nobody foresees")
	s.Figures = append(s.Figures, classic, load, measured)
	all := figure.Work("server.cores", "Cores of the server", figure.Cores, "max({by the guide}, {by what Dormer costs})", figure.N(classic.Value), figure.N(measured.Value))
	if w.m.Capacity.Measured {
		all = figure.Given("server.cores", "Cores of the server", figure.Cores, float64(w.m.Capacity.Cores)).From(figure.Measured, w.hardware())
	}
	if need := math.Ceil(load.Value); w.m.Capacity.Measured && need > all.Value {
		w.advise(fmt.Sprintf("%s clients keep %s busy at peak by what Dormer was measured to cost, and the hardware of the file has %s: look whether it was measured with such polls and events.",
			figure.Number(w.in.Active), figure.Cores.Text(need), figure.Cores.Text(all.Value)))
	}
	s.Cores = int(all.Value)
	s.Figures = append(s.Figures, all)
}

// hardware says where a measured capacity comes from.
func (w *work) hardware() string {
	c := &w.m.Capacity
	text := fmt.Sprintf("the computer on which %s were measured", figure.Counted(c.Clients, "client", "clients"))
	if c.Hardware != "" {
		text += ": " + c.Hardware
	}
	return text
}

func (w *work) memory(s *Server) {
	_, extra := w.onServer()
	classic := figure.Work("server.memory.classic", "Memory by the guide", figure.Memory, "{memory with database and consoles elsewhere} + {for a database on the server}",
		binary(classicMemory), binary(extra)).From(figure.Classic, classicSource+"; "+databaseSource)
	cache := sqliteMemory
	if w.out.Events.Kind == organization.PostgreSQL {
		cache = 0
		if w.out.Events.Place == organization.PlaceServer {
			cache = postgresMemory
		}
	}
	need := figure.Work("server.memory.needed", "Memory that is used", figure.Size,
		"{operating system} + {server without clients} + {clients} x {bytes of a client} + {events that wait at most} x {bytes of one} + {database}",
		binary(systemMemory), figure.In(figure.Size, idleMemory), figure.N(w.clients()), figure.In(figure.Size, clientMemory),
		figure.N(event.DefaultIngestLimits().QueueEvents), figure.In(figure.Size, queuedMemory), binary(cache)).
		From(figure.Measured, planSource+" for the server; operating system, clients, waiting events and database are assumed")
	measured := figure.Work("server.memory.measured", "Memory by what Dormer uses", figure.Memory, "ceil({used} / {share that is planned for} / {a GiB}) x {a GiB}",
		figure.In(figure.Size, need.Value), figure.In(figure.Share, memoryUsed), binary(1<<30)).From(figure.Measured, "the rest is for files that are read again")
	s.Figures = append(s.Figures, classic, need, measured)
	all := figure.Work("server.memory", "Memory of the server", figure.Memory, "max({by the guide}, {by what Dormer uses})", binary(int(classic.Value)), binary(int(measured.Value)))
	if w.m.Capacity.Measured {
		all = figure.Given("server.memory", "Memory of the server", figure.Memory, float64(w.m.Capacity.Memory)).From(figure.Measured, w.hardware())
	}
	s.Memory = int64(all.Value)
	s.Figures = append(s.Figures, all)
}

// machine says whether the server may be a virtual one.
func (w *work) machine(s *Server) {
	durable := float64(eventsSQLite)
	if w.out.Events.Kind == organization.PostgreSQL {
		durable = eventsPostgres
	}
	peak := figure.Find(w.out.Events.Figures, "events.writes.peak").Value
	if limit := durable * dedicatedLoad; w.out.Events.Place == organization.PlaceServer && peak > limit {
		s.Kind = fmt.Sprintf("A dedicated computer: %s events a second are written at peak, more than a tenth of the %s that a disk of its own was measured to take, and a disk that is shared with other virtual machines is not that even.",
			figure.Number(peak), figure.Number(durable))
		return
	}
	s.Virtual = true
	s.Kind = fmt.Sprintf("A virtual machine of the same resources will do, with %s and %s of memory reserved for it. Do not go back to a snapshot of it: restore a backup, which tells clients that it is one.",
		figure.Cores.Text(float64(s.Cores)), figure.Binary(float64(s.Memory)))
	cores, memory := figure.Find(s.Figures, "server.cores.measured").Value, figure.Find(s.Figures, "server.memory.measured").Value
	if cores < float64(s.Cores) && memory < float64(s.Memory) {
		s.Kind += fmt.Sprintf(" By what Dormer was measured to cost %s and %s would do.", figure.Cores.Text(cores), figure.Binary(memory))
	}
}

// binary is an amount of memory, as people buy it.
func binary(n int) figure.Amount {
	return figure.Amount{Value: float64(n), Text: figure.Binary(float64(n))}
}
