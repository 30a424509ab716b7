package alert

import (
	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// How full a disk is, in per cent, when the rules that come with the program say
// so. Health warns from DiskFillingUp on too.
const (
	DiskFillingUp = 85
	DiskFull      = 95
)

// defaults are the rules that come with the program. Names are not used again
// for something else: operators' changes go by them.
var defaults = []Rule{
	{
		Name: "errors-of-one-client", Enabled: true, Severity: dormer.Warning,
		Text: "{count} errors of client {subject} within {window}", ClearAfter: "30m",
		Events: &EventCondition{Severity: dormer.Error, Counts: CountEvents, Threshold: 20, Window: "10m", By: ByClient},
	},
	{
		Name: "errors-of-many-clients", Enabled: true, Severity: dormer.Error,
		Text: "errors on {count} clients within {window}", ClearAfter: "30m",
		Events: &EventCondition{Severity: dormer.Error, Counts: CountClients, Threshold: 50, Window: "10m", By: ByInstance},
	},
	{
		Name: "image-does-not-start", Enabled: true, Severity: dormer.Error,
		Text: "image {subject} does not start on {count} clients within {window}", ClearAfter: "2h",
		Events: &EventCondition{
			Codes:  []int{int(event.WorkspaceFailed), int(event.ImageFailed), int(event.ImageRefused), int(event.SetupFailed)},
			Counts: CountClients, Threshold: 3, Window: "1h", By: ByImage,
		},
	},
	{
		Name: "identity-used-twice", Enabled: true, Severity: dormer.Error,
		Text: "the identity of client {subject} is used by two agents", ClearAfter: "1d",
		Events: &EventCondition{Codes: []int{int(event.IdentityCopied)}, Counts: CountEvents, Threshold: 1, Window: "10m", By: ByClient},
	},
	{
		Name: "answers-refused", Enabled: true, Severity: dormer.Error,
		Text: "client {subject} refused what claimed to be this server", ClearAfter: "1d",
		Events: &EventCondition{
			Codes:  []int{int(event.AnswerRefused), int(event.LeaseRefused), int(event.OrderRefused), int(event.EpochRefused)},
			Counts: CountEvents, Threshold: 1, Window: "10m", By: ByClient,
		},
	},
	{
		Name: "sign-ins-refused", Enabled: true, Severity: dormer.Warning,
		Text: "{count} sign-ins refused at client {subject} within {window}", ClearAfter: "1h",
		Events: &EventCondition{
			Codes:  []int{int(event.SignInRefused), int(event.ProofRefused)},
			Counts: CountEvents, Threshold: 20, Window: "10m", By: ByClient,
		},
	},
	{
		Name: "client-off-line-too-long", Enabled: true, Severity: dormer.Warning,
		Text: "client {subject} is off-line for longer than its workspaces allow", ClearAfter: "1m",
		State: &StateCondition{Observed: ClientBeyond, Comparison: Above, Value: 0},
	},
	{
		Name: "disk-filling-up", Enabled: true, Severity: dormer.Warning,
		Text: "the disk of the {subject} folder is {value} % full", ClearAfter: "10m",
		State: &StateCondition{Observed: DiskUsed, Comparison: Above, Value: DiskFillingUp, For: "5m"},
	},
	{
		Name: "disk-full", Enabled: true, Severity: dormer.Error,
		Text: "the disk of the {subject} folder is {value} % full", ClearAfter: "10m",
		State: &StateCondition{Observed: DiskUsed, Comparison: Above, Value: DiskFull},
	},
	{
		Name: "database-filling-up", Enabled: true, Severity: dormer.Warning,
		Text: "the {subject} database has {value} GiB", ClearAfter: "1h",
		State: &StateCondition{Observed: DatabaseSize, Comparison: Above, Value: 100, For: "1h"},
	},
	{
		Name: "database-away", Enabled: true, Severity: dormer.Error,
		Text: "the {subject} database does not answer", ClearAfter: "2m",
		State: &StateCondition{Observed: DatabaseAway, Comparison: Above, Value: 0, For: "30s"},
	},
	{
		Name: "events-wait", Enabled: true, Severity: dormer.Warning,
		Text: "the queue of events to be stored is {value} % full: clients are told to come later", ClearAfter: "5m",
		State: &StateCondition{Observed: EventsWaiting, Comparison: Above, Value: 80, For: "1m"},
	},
	{
		Name: "certificate-expires", Enabled: true, Severity: dormer.Warning,
		Text: "the certificate of {subject} expires in {value} days", ClearAfter: "1m",
		State: &StateCondition{Observed: CertificateDays, Comparison: Below, Value: 14},
	},
	{
		Name: "certificate-expires-now", Enabled: true, Severity: dormer.Error,
		Text: "the certificate of {subject} expires in {value} days", ClearAfter: "1m",
		State: &StateCondition{Observed: CertificateDays, Comparison: Below, Value: 3},
	},
	{
		Name: "replica-behind", Enabled: true, Severity: dormer.Error,
		Text: "the standby's replica is {value} seconds behind", ClearAfter: "5m",
		State: &StateCondition{Observed: ReplicaBehind, Comparison: Above, Value: 60, For: "1m"},
	},
	{
		Name: "forwarding-fails", Enabled: true, Severity: dormer.Warning,
		Text: "events cannot be forwarded to {subject}", ClearAfter: "1m",
		State: &StateCondition{Observed: ForwardingFails, Comparison: Above, Value: 0},
	},
	{
		Name: "directory-away", Enabled: true, Severity: dormer.Error,
		Text: "directory {subject} does not answer", ClearAfter: "5m",
		State: &StateCondition{Observed: DirectoryAway, Comparison: Above, Value: 0, For: "2m"},
	},
	{
		Name: "deletions-halted", Enabled: true, Severity: dormer.Error,
		Text: "{value} machines would be deleted, and wait for an operator to look", ClearAfter: "1m",
		State: &StateCondition{Observed: DeletionsHalted, Comparison: Above, Value: 0},
	},
}
