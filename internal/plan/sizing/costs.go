package sizing

import (
	"time"

	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/wire"
)

// The rules of the classic guide.
const (
	classicSource    = figure.Guide
	classicWorkspace = 30_000    // bytes of the server's disk a workspace
	classicClock     = "2.8 GHz" // of its processors
	classicCores     = 2         // with database and consoles elsewhere
	classicMemory    = 2 << 30
	// The guide asks for more where the database is on the server, or is shared,
	// and gives no numbers: as much again.
	databaseCores  = 2
	databaseMemory = 2 << 30
	databaseSource = "the guide asks for more and gives no number; as much again is assumed"
)

// What Dormer was measured to cost.
const (
	eventsSource = "make bench-events, 2 cores"
	planSource   = "make bench-plan, 2 cores"
	limitsSource = "docs/limits.md"

	// PollsACore is how many polls a second one core answers, each on a
	// connection of its own.
	PollsACore = 1_290
	// PollBytes is what a poll takes on the wire, both ways together, with its
	// connection and the headers of its packets.
	PollBytes = 5_693

	// Events a second that are durable through HTTPS, on two cores that the
	// clients that send share with the server.
	eventsSQLite   = 17_116
	eventsPostgres = 12_841
	// Processor seconds of an event with its share of a poll: of the server on
	// SQLite and on PostgreSQL, and of PostgreSQL itself.
	eventSQLite   = 63.7e-6
	eventPostgres = 49.1e-6
	eventDatabase = 47.5e-6
	drained       = 48_000 // events a second of backlogs
	// Bytes of an event with its share of the indexes.
	rowSQLite   = 145
	rowPostgres = 195

	// Seconds of a status report over 5,000 clients with 30 million events stored.
	reportSeconds = 0.33
	reportCPU     = 0.46 // of it processor time, of server and database

	failover = 1.1 // seconds, the longest that was seen

	// Bytes on the disk: the data folder of a new server, and rows with their
	// share of the indexes. A user has two sessions, for one that has ended is
	// kept until it expires.
	programDisk   = 47_952_034
	emptyState    = 384_186
	clientState   = 304
	userState     = 2 * 415
	machineState  = 722
	revisionState = 4_178
	auditState    = 228
	idleMemory    = 67_000_000 // bytes of resident memory of a server that nobody asks
)

// What a link between server and database costs.
const (
	// Round trips of a commit of events on PostgreSQL: 4.2 were measured, and
	// there is one more when the connection was idle for a second.
	commitTrips = 5
	commitDisk  = 0.005 // seconds in which a disk makes a commit durable; 0.002 were measured on a quick one
	// Round trips of a report: begin, statement, commit.
	reportTrips = 3
	reportRow   = 200        // bytes of a row of a report
	slowCommit  = 0.25       // seconds; a link over which a commit takes longer is advised against
	withinSite  = 0.000_5    // seconds of a round trip between computers of one site
	onTheWire   = 2          // bytes on the wire for each byte of an event: protocol, watermarks, TLS
	sqliteMost  = 50_000_000 // events; docs/events-database.md: some tens of millions
)

// What is assumed where nothing can be measured here.
const (
	memoryUsed = 0.75 // share of the memory that is planned for
	// Bytes of a client that is known and not connected: with 5,000 of them the
	// server's memory was that of one without, within what it varies.
	clientMemory   = 1_000
	queuedMemory   = 1_000     // bytes of an event that waits
	sqliteMemory   = 64 << 20  // caches of SQLite
	remoteMemory   = 4 << 30   // of the computer of a remote database
	postgresMemory = 1 << 30   // of a PostgreSQL on the server
	busy           = 0.5       // share of a processor that is planned for: the rest is for what nobody foresaw
	systemMemory   = 512 << 20 // of the operating system
	systemDisk     = 10_000_000_000
	logDisk        = 1_000_000_000 // of the system's log for the server
	revisions      = 100           // revisions kept of a workspace: all of them, for good
	auditADay      = 200           // records of the audit log a day
	auditDays      = 5 * 365
	filled         = 0.9              // dormerd doctor warns of a disk with less than a tenth free
	onCall         = 30 * time.Minute // until somebody has promoted a follower
	findAgain      = 2                // poll intervals in which every client has found a server that is ready
	dedicatedLoad  = 0.1              // of the durable events a second; from there on a computer of its own
)

// How Dormer works.
const (
	renewed      = 1 - 1.0/lease.RenewAt                                  // of an off-line limit is left at least
	noneAllowed  = lease.NoOfflineIntervals                               // poll intervals that a lease lasts where no time off-line is allowed
	longestPause = wire.LongestRetry + wire.LongestRetry/wire.RetrySpread // between polls of an agent that fail
	shipped      = time.Second                                            // standby.interval by default
)
