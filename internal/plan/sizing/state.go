package sizing

import (
	"math"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// state sizes the state database: users, workspaces, clients, machines, audit
// log.
func (w *work) state() {
	d := &w.out.State
	d.Kind, d.Place, d.Site = organization.SQLite, organization.PlaceServer, w.in.SiteName
	d.Reasons = []string{"SQLite on the server: it is small, and there is nothing to set up."}
	if w.out.Availability.Standby == DatabaseStandby {
		d.Kind, d.Place, d.Site = organization.PostgreSQL, w.out.Events.Place, w.out.Events.Site
		d.Reasons = []string{"PostgreSQL beside the events: all replicas of the server use it, and it replicates itself."}
	}
	rows := figure.Work("state.rows", "Clients, users and machines", figure.Size, "{clients} x {bytes of a client} + {users} x {bytes of a user} + {machines} x {bytes of a machine}",
		figure.N(w.clients()), figure.In(figure.Size, clientState), figure.N(w.in.Users), figure.In(figure.Size, userState), figure.N(w.machines), figure.In(figure.Size, machineState)).
		From(figure.Measured, planSource)
	workspaces := figure.Work("state.workspaces", "Workspaces with their revisions", figure.Size, "{workspaces} x {revisions} x {bytes of a revision}",
		figure.N(w.workspaces()), figure.N(revisions), figure.In(figure.Size, revisionState)).From(figure.Measured, planSource+"; 100 revisions of each are assumed")
	audit := figure.Work("state.audit", "Audit log", figure.Size, "{records a day} x {bytes of a record} x {days}",
		figure.N(auditADay), figure.In(figure.Size, auditState), figure.N(auditDays)).From(figure.Measured, planSource+"; 200 records a day for five years are assumed")
	all := figure.Work("state.bytes", "State database", figure.Size, "({rows} + {workspaces} + {audit log} + {empty database}) x 2",
		figure.In(figure.Size, rows.Value), figure.In(figure.Size, workspaces.Value), figure.In(figure.Size, audit.Value), figure.In(figure.Size, emptyState)).
		From(figure.Assumption, "twice, for what is changed and removed")
	seen := figure.Work("state.writes", "Rows a second that polls write in bulk", figure.PerSec, "{clients} / {poll interval}",
		figure.N(w.in.Active), figure.N(w.m.Service.Poll.Seconds())).From(figure.Derived, "when a client was last seen; one transaction each ten seconds")
	d.Bytes = ceiling(all.Value)
	d.Figures = append(d.Figures, rows, workspaces, audit, all, seen)
}

// clients is how many computers are enrolled: as many as people, or as are on
// at once where that is more.
func (w *work) clients() int { return max(w.in.Users, w.in.Active) }

// ceiling is n in whole numbers.
func ceiling(n float64) int64 { return int64(math.Ceil(n)) }
