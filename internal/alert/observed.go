package alert

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

// kinds lists all; docs/alerts.md says of each what it is observed of, and its
// unit.
var kinds = []Kind{
	DiskUsed, DatabaseSize, DatabaseAway, CertificateDays, ClientBeyond, ReplicaBehind, ForwardingFails, DirectoryAway,
	DeletionsHalted, EventsWaiting, ClientsConnected,
}
