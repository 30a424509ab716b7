package report

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
)

// Kind is a kind of report.
type Kind string

// The kinds of reports.
const (
	Status   Kind = "status"
	Activity Kind = "activity"
	Errors   Kind = "errors"
	Setup    Kind = "setup"
)

// Kinds are all kinds of reports.
func Kinds() []Kind { return []Kind{Status, Activity, Errors, Setup} }

// Summary says in a line what a report shows.
func (k Kind) Summary() string { return tables[k].summary }

// Columns are the columns of a report in their order. They are the one list
// that the database's statements, the API, the command line, exports and the
// console are made from.
func (k Kind) Columns() []Column { return slices.Clone(tables[k].columns) }

// Column is a column of a report.
type Column struct {
	export.Column
	// Doc says what is in it where the title does not.
	Doc string
	// Rank says how soon a narrow table leaves the column out: 1 is the last to
	// go. A column of rank 0 is shown only when asked for.
	Rank int
	// Stored is where the events database has it. Columns of reports that are
	// made in memory have none.
	Stored Stored
}

// Stored is a column of the events database.
type Stored struct {
	// Table has it.
	Table StoredTable
	Name  string
	// Folded is the column with the folded form where that differs; empty where
	// there is none.
	Folded string
}

// StoredTable is a table of the events database.
type StoredTable string

// The tables that columns of reports are in.
const (
	InEvents    StoredTable = "events"
	InContexts  StoredTable = "contexts"
	InInstances StoredTable = "instances"
)

// table is what a report is made of.
type table struct {
	summary string
	columns []Column
	// newest is the column of time that the report is ordered by when nothing
	// else is asked, newest first, and that days narrow.
	newest string
	// problems are reports of errors alone.
	problems bool
}

var tables = map[Kind]table{
	Status:   {summary: "Every user's workspaces: where, since when, which versions", columns: statusColumns, newest: "time"},
	Activity: {summary: "What happened, newest received first", columns: eventColumns, newest: "received"},
	Errors:   {summary: "What went wrong, newest received first", columns: eventColumns, newest: "received", problems: true},
	Setup:    {summary: "How far the first-time setup of each machine came", columns: setupColumns, newest: "time"},
}

func column(name, title string, t export.Type, rank int, doc string) Column {
	return Column{Column: export.Column{Name: name, Title: title, Type: t}, Doc: doc, Rank: rank}
}

func (c Column) in(table StoredTable, name, folded string) Column {
	c.Stored = Stored{Table: table, Name: name, Folded: folded}
	return c
}

// eventColumns are those of dormer.Event, by the names of its JSON.
var eventColumns = []Column{
	column("id", "Number", export.Number, 0, "orders events that were received at the same moment").in(InEvents, "id", ""),
	column("received", "Received", export.Time, 1, "by the server's clock").in(InEvents, "received", ""),
	column("time", "Happened", export.Time, 10, "by the client's clock").in(InEvents, "time", ""),
	column("severity", "Severity", export.Text, 3, "information, warning or error").in(InEvents, "severity", ""),
	column("category", "Category", export.Text, 9, "").in(InEvents, "category", ""),
	column("user", "User", export.Text, 4, "SYSTEM before anybody signed in").in(InContexts, "user_name", "user_folded"),
	column("host", "Host", export.Text, 5, "").in(InContexts, "host", "host_folded"),
	column("workspace_name", "Workspace", export.Text, 6, "its name at the time of the event").in(InContexts, "workspace_name", ""),
	column("code", "Event", export.Number, 8, "number of the catalogue (docs/events.md)").in(InEvents, "code", ""),
	column("description", "Description", export.Text, 2, "").in(InEvents, "description", ""),
	column("count", "Count", export.Number, 0, "how many like it the event stands for").in(InEvents, "count", ""),
	column("guest", "Guest", export.Text, 11, "name of the guest system").in(InContexts, "guest", ""),
	column("client_version", "Client version", export.Text, 12, "").in(InContexts, "client_version", ""),
	column("policy_revision", "Policy", export.Number, 13, "revision of the workspace").in(InContexts, "policy_revision", ""),
	column("image", "Image", export.Text, 14, "NAME/NUMBER").in(InContexts, "image", ""),
	column("client", "Client", export.Text, 0, "identity of the client").in(InContexts, "client", ""),
	column("workspace", "Workspace identity", export.Text, 0, "").in(InContexts, "workspace", ""),
	column("instance", "Instance", export.Text, 0, "identity of the instance, where several share a database").in(InInstances, "instance", ""),
}

var statusColumns = []Column{
	column("time", "Time", export.Time, 1, "when this was last heard of"),
	column("user", "User", export.Text, 2, `with DIRECTORY\ before it where that is not the embedded one; SYSTEM before anybody signed in`),
	column("host", "Host", export.Text, 3, ""),
	column("workspace", "Workspace", export.Text, 4, "its name now, or its identity once it was deleted"),
	column("guest", "Guest", export.Text, 9, "name of the guest system"),
	column("state", "State", export.Text, 5, "of the machine"),
	column("started", "Started", export.Time, 10, "since when it is up"),
	column("stopped", "Stopped", export.Time, 11, "since when it is not"),
	column("connected", "Connected", export.Flag, 6, "whether the client polls now"),
	column("last_connected", "Last connected", export.Time, 12, ""),
	column("client_version", "Client version", export.Text, 13, ""),
	column("policy_revision", "Policy", export.Number, 8, "revision of the workspace that is current on the server"),
	column("held_revision", "Policy held", export.Number, 14, "revision whose policy the client holds"),
	column("image", "Image", export.Text, 7, "NAME/NUMBER; unknown before it was fetched"),
	column("detail", "Detail", export.Text, 15, "of the state"),
	column("locked", "Locked", export.Flag, 16, ""),
	column("at_next_start", "At next start", export.List, 17, "fields of the policy that the machine takes over when it starts next"),
	column("not_enforced", "Without effect", export.List, 18, "fields of the policy that the client does nothing for"),
	column("revoked", "Revoked", export.Flag, 0, "whether the client was revoked"),
	column("client", "Client", export.Text, 0, "identity of the client"),
	column("machine", "Machine", export.Text, 0, "identity of the machine"),
}

var setupColumns = []Column{
	column("time", "Time", export.Time, 1, "of the latest result, by the client's clock"),
	column("user", "User", export.Text, 3, ""),
	column("host", "Host", export.Text, 4, ""),
	column("workspace", "Workspace", export.Text, 5, ""),
	column("result", "Result", export.Text, 2, "begun, finished, failed, cancelled or postponed"),
	column("step", "Step", export.Text, 6, "where it stands or why, as the client described it"),
	column("guest", "Guest", export.Text, 7, "name of the guest system"),
	column("image", "Image", export.Text, 8, "NAME/NUMBER"),
	column("policy_revision", "Policy", export.Number, 9, "revision of the workspace"),
	column("received", "Received", export.Time, 10, "by the server's clock"),
	column("client", "Client", export.Text, 0, "identity of the client"),
	column("instance", "Instance", export.Text, 0, "identity of the instance, where several share a database"),
}

// Columns that groups have beside those they are grouped by.
var (
	countColumn = column("count", "Count", export.Number, 1, "how many there are")
	firstColumn = column("first", "First", export.Time, 3, "the earliest")
	lastColumn  = column("last", "Last", export.Time, 2, "the latest")
)

// find returns the column of a name.
func find(columns []Column, name string) (Column, bool) {
	i := slices.IndexFunc(columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return columns[i], true
}

// columnIn is find with an error that lists what there is.
func columnIn(columns []Column, parameter, name string) (Column, error) {
	c, ok := find(columns, name)
	if ok {
		return c, nil
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return c, dormer.Invalidf(parameter, "must be one of %s", enumerate(names))
}

// enumerate joins words for people.
func enumerate(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		s := words[0]
		for _, w := range words[1 : n-1] {
			s += ", " + w
		}
		return fmt.Sprintf("%s or %s", s, words[n-1])
	}
}
