package alert

import "slices"

// Observation is one thing that the server found when it looked.
type Observation struct {
	Kind Kind
	// Subject says of what, and is the key of the alert; Shown is how people call
	// it, empty: the same.
	Subject, Shown string
	Value          float64
}

// Kind names what can be observed.
type Kind string

// What can be observed.
const (
	DiskUsed         Kind = "disk_used"
	DatabaseSize     Kind = "database_size"
	DatabaseAway     Kind = "database_away"
	CertificateDays  Kind = "certificate_days"
	ClientBeyond     Kind = "client_offline_beyond_limit"
	ReplicaBehind    Kind = "replica_behind"
	ForwardingFails  Kind = "forwarding_fails"
	DirectoryAway    Kind = "directory_away"
	DeletionsHalted  Kind = "deletions_halted"
	EventsWaiting    Kind = "events_waiting"
	ClientsConnected Kind = "clients_connected"
)

// ObservedKind describes a kind of observation.
type ObservedKind struct {
	Kind    Kind
	Of      string // what it is observed of
	Meaning string // and the unit
}

// kinds lists all.
var kinds = []ObservedKind{
	{DiskUsed, "data, repository", "How full the disk of the folder is, in per cent."},
	{DatabaseSize, "state, events", "Size of the database, in GiB."},
	{DatabaseAway, "state, events", "1 while the database does not answer, else 0."},
	{CertificateDays, "the server", "Days until the certificate expires."},
	{ClientBeyond, "each such client", "1 for a client that is off-line for longer than its workspaces may be used without the server."},
	{ReplicaBehind, "the standby's target", "By how many seconds the replica is behind."},
	{ForwardingFails, "each receiver", "1 while events cannot be forwarded to it, else 0."},
	{DirectoryAway, "each directory", "1 while none of the directory's servers answers, else 0."},
	{DeletionsHalted, "the instance", "How many deletions of machines wait for an operator."},
	{EventsWaiting, "the server", "How full the queue of events to be stored is, in per cent."},
	{ClientsConnected, "the instance", "How many clients are on-line."},
}

// Kinds returns what rules can observe.
func Kinds() []ObservedKind { return slices.Clone(kinds) }
