package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// Name is the name of a metric of the table.
type Name string

// The metrics that are set at each scrape.
const (
	Fenced Name = "dormer_superseded"

	DatabaseUp         Name = "dormer_database_up"
	DatabaseSize       Name = "dormer_database_size_bytes"
	DatabaseOpen       Name = "dormer_database_connections_open"
	DatabaseInUse      Name = "dormer_database_connections_in_use"
	DatabaseWaits      Name = "dormer_database_connection_waits_total"
	DatabaseWaitedTime Name = "dormer_database_connection_wait_seconds_total"

	DiskFree  Name = "dormer_disk_free_bytes"
	DiskTotal Name = "dormer_disk_size_bytes"

	Clients            Name = "dormer_clients"
	ClientsBeyondLimit Name = "dormer_clients_beyond_limit"
	Machines           Name = "dormer_machines"

	EventsStored         Name = "dormer_events_stored_total"
	EventsBatches        Name = "dormer_events_batches_total"
	EventsCommits        Name = "dormer_events_commits_total"
	EventsRepeated       Name = "dormer_events_repeated_total"
	EventsRefused        Name = "dormer_events_refused_total"
	EventsCondensed      Name = "dormer_events_condensed_total"
	EventsBusy           Name = "dormer_events_busy_total"
	EventsQueued         Name = "dormer_events_queued"
	EventsQueueLimit     Name = "dormer_events_queue_limit"
	EventsCommitTime     Name = "dormer_events_last_commit_timestamp_seconds"
	EventsCommitDuration Name = "dormer_events_last_commit_duration_seconds"
	EventsAway           Name = "dormer_events_store_failing"
	EventsUnsafe         Name = "dormer_events_unreplicated_journals"

	Alerts Name = "dormer_alerts_open"

	CertificateEnds Name = "dormer_certificate_not_after_timestamp_seconds"
	DirectoryUp     Name = "dormer_directory_up"

	StandbyUp  Name = "dormer_standby_target_up"
	StandbyLag Name = "dormer_standby_lag_seconds"

	TaskRuns     Name = "dormer_task_runs_total"
	TaskFailures Name = "dormer_task_failures_total"
	TaskSuccess  Name = "dormer_task_last_success_timestamp_seconds"
)

// row describes a metric of the table.
type row struct {
	name   Name
	kind   prometheus.ValueType
	help   string
	labels []string
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// rows is the table.
func rows() []row {
	database, pool := []string{"database"}, []string{"database", "pool"}
	return []row{
		{Fenced, gauge, "1 once another server of the instance has taken over.", nil},
		{DatabaseUp, gauge, "1 while the database answers.", database},
		{DatabaseSize, gauge, "Size of the database; on PostgreSQL of all that it holds.", database},
		{DatabaseOpen, gauge, "Connections to the database that are open.", pool},
		{DatabaseInUse, gauge, "Connections to the database that are in use.", pool},
		{DatabaseWaits, counter, "How often a connection had to be waited for.", pool},
		{DatabaseWaitedTime, counter, "How long connections had to be waited for.", pool},
		{DiskFree, gauge, "Free bytes of the disk below a folder.", []string{"folder"}},
		{DiskTotal, gauge, "Size of the disk below a folder.", []string{"folder"}},
		{Clients, gauge, "Clients: online, offline or revoked.", []string{"state"}},
		{ClientsBeyondLimit, gauge, "Clients that are off-line for longer than one of their machines may run without the server.", nil},
		{Machines, gauge, "Machines by the state that their clients last reported.", []string{"state"}},
		{EventsStored, counter, "Events that were stored.", nil},
		{EventsBatches, counter, "Batches of events that were stored.", nil},
		{EventsCommits, counter, "Transactions that stored events.", nil},
		{EventsRepeated, counter, "Events that came again and were stored before.", nil},
		{EventsRefused, counter, "Events that were refused because they are malformed.", nil},
		{EventsCondensed, counter, "Events that are stored in the count of another one.", nil},
		{EventsBusy, counter, "Batches whose clients were told to come back later.", nil},
		{EventsQueued, gauge, "Events that wait to be stored.", nil},
		{EventsQueueLimit, gauge, "Events that may wait to be stored.", nil},
		{EventsCommitTime, gauge, "When events were last stored.", nil},
		{EventsCommitDuration, gauge, "How long the last transaction with events took.", nil},
		{EventsAway, gauge, "1 while events cannot be stored.", nil},
		{EventsUnsafe, gauge, "Journals with events that are stored and not replicated yet.", nil},
		{Alerts, gauge, "Alerts that are raised and not cleared.", []string{"severity"}},
		{CertificateEnds, gauge, "When a certificate ends.", []string{"certificate"}},
		{DirectoryUp, gauge, "1 if a directory or provider was well when it was last examined.", []string{"directory"}},
		{StandbyUp, gauge, "1 while the target of the standby can be reached.", nil},
		{StandbyLag, gauge, "How much older the target of the standby is than what is committed here.", nil},
		{TaskRuns, counter, "How often background work was done.", []string{"task"}},
		{TaskFailures, counter, "How often background work failed.", []string{"task"}},
		{TaskSuccess, gauge, "When background work was last done.", []string{"task"}},
	}
}

// described is a metric that the client library knows.
type described struct {
	row
	desc *prometheus.Desc
}

func describe() map[Name]described {
	all := map[Name]described{}
	for _, r := range rows() {
		all[r.name] = described{row: r, desc: prometheus.NewDesc(string(r.name), r.help, r.labels, nil)}
	}
	return all
}

// collector asks for the metrics of the table at each scrape.
type collector struct {
	collect   func(ctx context.Context, set Set)
	described map[Name]described
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.described {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	c.collect(ctx, func(name Name, value float64, labels ...string) {
		d := c.described[name]
		// A wrong number of labels is told in the answer to the scrape.
		m, err := prometheus.NewConstMetric(d.desc, d.kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d.desc, err)
		}
		out <- m
	})
}
