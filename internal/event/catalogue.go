package event

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Code numbers a kind of event. Numbers are never reused for something else.
type Code int

// The codes, by hundreds: agent, sign-in, policy and leases, images,
// workspaces, guests, orders, the server itself.
const (
	AgentStarted       Code = 100
	AgentStopped       Code = 101
	Enrolled           Code = 102
	AgentTooOld        Code = 103
	IdentityCopied     Code = 104
	ClockSetBack       Code = 110
	EpochRefused       Code = 111
	AnswerRefused      Code = 112
	JournalRebuilt     Code = 120
	JournalGap         Code = 121
	JournalDamaged     Code = 122
	SignedIn           Code = 200
	SignedOut          Code = 201
	SignInRefused      Code = 202
	SessionEnded       Code = 203
	ProofRefused       Code = 204
	PolicyReceived     Code = 300
	LeaseRefused       Code = 301
	LeaseWithdrawn     Code = 302
	PolicyNotEnforced  Code = 303
	PolicyNextStart    Code = 304
	ImageStarted       Code = 400
	ImageFinished      Code = 401
	ImageFailed        Code = 402
	ImageBlockCorrupt  Code = 403
	ImageRefused       Code = 404
	ImageRemoved       Code = 405
	WorkspaceStarting  Code = 500
	WorkspaceStarted   Code = 501
	WorkspaceStopped   Code = 502
	WorkspaceFailed    Code = 503
	WorkspaceStopping  Code = 504
	WorkspaceLimit     Code = 505
	WorkspaceExpired   Code = 506
	WorkspaceRefused   Code = 507
	WorkspaceTooOld    Code = 508
	WorkspaceOffline   Code = 509
	WorkspaceNotReady  Code = 510
	WorkspaceDeleted   Code = 511
	WorkspaceReset     Code = 512
	MachineProcessLost Code = 520
	MachineAdopted     Code = 521
	DiskFullPaused     Code = 522
	DiskFullResumed    Code = 523
	WorkspaceLocked    Code = 530
	WorkspaceUnlocked  Code = 531
	WorkspaceSuspended Code = 532
	WorkspaceResumed   Code = 533
	WorkspaceSaved     Code = 534
	SavedStateDropped  Code = 535
	WorkspaceWarned    Code = 536
	WorkspaceNotSaved  Code = 537
	UpdateOffered      Code = 540
	UpdateTaken        Code = 541
	GuestUpdateTime    Code = 542
	HostLacks          Code = 550
	HostCommandFailed  Code = 551
	NoSession          Code = 552
	GuestConnected     Code = 600
	GuestLost          Code = 601
	ApplicationRun     Code = 610
	ApplicationFailed  Code = 611
	ArrangeFailed      Code = 620
	GuestSignedOn      Code = 621
	GuestSignOnFailed  Code = 622
	FileSent           Code = 630
	FileReceived       Code = 631
	FileRefused        Code = 632
	FileOverridden     Code = 633
	FilePrinted        Code = 634
	SetupStarted       Code = 640
	SetupFinished      Code = 641
	SetupFailed        Code = 642
	SetupCancelled     Code = 643
	SetupPostponed     Code = 644
	DomainJoined       Code = 645
	OrderRun           Code = 700
	OrderRefused       Code = 701
	OrderFailed        Code = 702
	ServerStarted      Code = 800
	ServerStopped      Code = 801
	ServerPromoted     Code = 802
	ServerSuperseded   Code = 803
	BackupMade         Code = 810
	BackupFailed       Code = 811
	ServerRestored     Code = 812
	StandbyBehind      Code = 820
	StandbyInStep      Code = 821
	ReplicaUnreachable Code = 822
	EventsAway         Code = 830
	EventsBack         Code = 831
	ForwardFails       Code = 840
	ForwardWorks       Code = 841
	ForwardLeftOut     Code = 842
	ForwardTest        Code = 843
	EventsCondensed    Code = 850
	EventRefused       Code = 851
	ClientClockWrong   Code = 852
	EventsRemoved      Code = 860
	AlertRaised        Code = 870
	SeriousAlertRaised Code = 871
	AlertAcknowledged  Code = 872
	AlertCleared       Code = 873
)

// Kind describes the events of one code.
type Kind struct {
	Code     Code
	Severity dormer.Severity
	Category string
	// Text is what the description of an event begins with.
	Text string
	// Meaning says more, for the documentation.
	Meaning string
	// Action says what to do; empty: nothing.
	Action string
}

// The categories of events.
const (
	CategoryAgent     = "agent"
	CategorySignIn    = "sign-in"
	CategoryPolicy    = "policy"
	CategoryImage     = "image"
	CategoryWorkspace = "workspace"
	CategoryGuest     = "guest"
	CategoryOrder     = "order"
	CategoryServer    = "server"
)

// catalogue lists all kinds in the order of their codes.
var catalogue = []Kind{
	{AgentStarted, dormer.Information, CategoryAgent, "The agent started", "The agent of a client began to work.", ""},
	{AgentStopped, dormer.Information, CategoryAgent, "The agent stopped", "The agent was stopped in an orderly way. Machines may go on running.", ""},
	{Enrolled, dormer.Information, CategoryAgent, "The client was enrolled", "The client was given an identity with a join token.", "Revoke the client if you do not know it."},
	{AgentTooOld, dormer.Error, CategoryAgent, "The agent is too old for the server", "The server does not speak the agent's version of the protocol any more. Workspaces go on within their leases.", "Update the agent."},
	{IdentityCopied, dormer.Error, CategoryAgent, "The client's identity is used twice", "Two agents poll with the same identity: somebody copied the disk or the agent's folder, or computers were cloned with the agent enrolled. The server noticed it; the description says from where.", "Revoke the client and enrol each computer anew."},
	{ClockSetBack, dormer.Warning, CategoryAgent, "The clock was set back", "The computer's clock shows a time before one that was already reached. Limits go on by the later time.", "Correct the clock, and find out who set it back."},
	{EpochRefused, dormer.Error, CategoryAgent, "A superseded server was refused", "A server answered for the instance whose place another has taken. The client ignores it.", "Shut the old server down."},
	{AnswerRefused, dormer.Error, CategoryAgent, "An answer of the server was refused", "The answer was not signed by the instance, or not for this client, or an old one played back.", "Look for something between client and server that answers in its place."},
	{JournalRebuilt, dormer.Warning, CategoryAgent, "The journal of events was rebuilt", "The journal was missing, unreadable or an old copy. What could still be read was kept; some events may be in the reports twice.", "Check the disk of the client if it happens again."},
	{JournalGap, dormer.Warning, CategoryAgent, "The journal of events was full", "The client could not send its events for so long that the oldest ones, those of information first, had to give way.", "Find out why the client was off-line; let its journal be larger if this is normal."},
	{JournalDamaged, dormer.Warning, CategoryAgent, "The journal of events was damaged", "Bytes of the journal had changed on the disk. The events they held are lost, all others were kept.", "Check the disk of the client."},

	{SignedIn, dormer.Information, CategorySignIn, "Signed in", "A user signed in on the client.", ""},
	{SignedOut, dormer.Information, CategorySignIn, "Signed out", "A user signed out on the client.", ""},
	{SignInRefused, dormer.Warning, CategorySignIn, "Sign-in was refused", "Name or password is wrong, or the account may not be used.", "Look at the reason; many in a row may be somebody guessing."},
	{SessionEnded, dormer.Information, CategorySignIn, "The session was ended by the server", "The account was disabled or deleted, the session was too old, or an operator ended it.", ""},
	{ProofRefused, dormer.Warning, CategorySignIn, "The password or PIN was wrong too often", "Somebody at the computer could not prove to be the user who is signed in, and has to wait.", "Many in a row may be somebody guessing."},

	{PolicyReceived, dormer.Information, CategoryPolicy, "A policy was received", "The client has a new revision of a workspace's policy.", ""},
	{LeaseRefused, dormer.Error, CategoryPolicy, "A lease was refused", "The lease was changed on its way, or is for another client, instance or epoch.", "Find out who sent it: this does not happen by itself."},
	{LeaseWithdrawn, dormer.Information, CategoryPolicy, "The permission was withdrawn", "The server does not renew the permission to run the workspace. It stops and is kept.", ""},
	{PolicyNotEnforced, dormer.Information, CategoryPolicy, "A policy has fields that this client does nothing for", "They are for parts that this version of the client does not have; none of them protects anything. The description names them.", "Nothing, or update the client when a later version has them."},
	{PolicyNextStart, dormer.Information, CategoryPolicy, "A changed policy waits for the next start", "What cannot change while the machine runs is taken over when it starts next. The description names it.", "Restart the workspace if it must be now."},

	{ImageStarted, dormer.Information, CategoryImage, "Fetching an image", "The client began to fetch a version of an image.", ""},
	{ImageFinished, dormer.Information, CategoryImage, "An image was fetched", "All of the version is on the client and verified.", ""},
	{ImageFailed, dormer.Error, CategoryImage, "An image could not be fetched", "The client tries again later.", "Look at the reason: the network, the repository, or room on the client's disk."},
	{ImageBlockCorrupt, dormer.Warning, CategoryImage, "A damaged part of an image was refused", "Bytes were not what their hash says. They are fetched again.", "Check the disk or the source that the description names."},
	{ImageRefused, dormer.Error, CategoryImage, "An image was refused", "The image is not signed by a publisher that the instance trusts, or its manifest was changed.", "Push it again signed by a trusted publisher, or trust the publisher."},
	{ImageRemoved, dormer.Information, CategoryImage, "An image was removed from the client", "No workspace on the client needs the version any more.", ""},

	{WorkspaceStarting, dormer.Information, CategoryWorkspace, "The workspace starts", "A user or the policy started the workspace.", ""},
	{WorkspaceStarted, dormer.Information, CategoryWorkspace, "The workspace runs", "The machine is up.", ""},
	{WorkspaceStopped, dormer.Information, CategoryWorkspace, "The workspace stopped", "The machine was shut down.", ""},
	{WorkspaceFailed, dormer.Error, CategoryWorkspace, "The workspace failed", "The machine did not start or ended by itself.", "Look at the reason and at the diagnostics of the client."},
	{WorkspaceStopping, dormer.Information, CategoryWorkspace, "The workspace stops", "A user, an order or the policy stops the workspace.", ""},
	{WorkspaceLimit, dormer.Warning, CategoryWorkspace, "The workspace was stopped by a limit", "The time that the workspace may run without the server is used up.", "Connect the client, or raise the limit."},
	{WorkspaceExpired, dormer.Warning, CategoryWorkspace, "The workspace has expired", "The date until which the grant holds has passed.", "Change the grant if the user still needs it."},
	{WorkspaceRefused, dormer.Warning, CategoryWorkspace, "The start was refused", "The policy does not allow the start now.", "Look at the reason."},
	{WorkspaceTooOld, dormer.Error, CategoryWorkspace, "The start was refused: the client is too old", "The policy demands what this agent cannot enforce.", "Update the agent."},
	{WorkspaceOffline, dormer.Warning, CategoryWorkspace, "The start was refused: off-line too long", "The time that the workspace may be used without the server is used up.", "Connect the client."},
	{WorkspaceNotReady, dormer.Warning, CategoryWorkspace, "The start was refused: not ready", "The client is not enrolled, nobody is signed in, or the image is not there yet.", "Look at the reason."},
	{WorkspaceDeleted, dormer.Warning, CategoryWorkspace, "The workspace was deleted from the client", "By an order, or by a limit that the policy sets.", ""},
	{WorkspaceReset, dormer.Information, CategoryWorkspace, "The workspace was reset to its image", "What the machine had changed was thrown away.", ""},
	{MachineProcessLost, dormer.Error, CategoryWorkspace, "The machine's process was lost", "The process that runs the machine ended without being told to.", "Look at the diagnostics of the client: memory, or somebody who killed it."},
	{MachineAdopted, dormer.Information, CategoryWorkspace, "A running machine was found again", "The agent was restarted while the machine ran on.", ""},
	{DiskFullPaused, dormer.Error, CategoryWorkspace, "The workspace was paused: the disk is full", "The host's disk has no room for what the guest writes. Nothing is lost.", "Make room on the host's disk; the workspace goes on by itself."},
	{DiskFullResumed, dormer.Information, CategoryWorkspace, "The workspace goes on: there is room again", "The host's disk has room again.", ""},
	{WorkspaceLocked, dormer.Information, CategoryWorkspace, "The workspace was locked", "By its user, an order, a limit, or as its policy says: idle, or the host went to sleep.", ""},
	{WorkspaceUnlocked, dormer.Information, CategoryWorkspace, "The workspace was unlocked", "The user proved who they are.", ""},
	{WorkspaceSuspended, dormer.Information, CategoryWorkspace, "The workspace was suspended", "It was idle for as long as its policy says.", ""},
	{WorkspaceResumed, dormer.Information, CategoryWorkspace, "The workspace goes on", "It was suspended, or its state was saved.", ""},
	{WorkspaceSaved, dormer.Information, CategoryWorkspace, "The state of the workspace was saved", "Its memory and devices are kept, encrypted, for the next start.", ""},
	{SavedStateDropped, dormer.Warning, CategoryWorkspace, "The saved state could not be used", "The machine has changed since, by its image, policy or hypervisor, or the state was damaged. The workspace started anew; what was not saved to its disks is lost.", "Look at the reason."},
	{WorkspaceWarned, dormer.Warning, CategoryWorkspace, "The user was warned", "The workspace will be stopped, or deleted, at the time that the description names.", ""},
	{WorkspaceNotSaved, dormer.Warning, CategoryWorkspace, "The state of the workspace could not be saved", "It was shut down instead, so that nothing on its disks is lost.", "Look at the reason: mostly the host's disk is full."},
	{UpdateOffered, dormer.Information, CategoryWorkspace, "A new version of the image is offered", "The user chooses when the workspace takes it.", ""},
	{UpdateTaken, dormer.Information, CategoryWorkspace, "The workspace took a new version of its image", "It starts from the new version; the earlier layer is kept for as long as the policy says.", ""},
	{GuestUpdateTime, dormer.Information, CategoryWorkspace, "The workspace was started for its own updates", "In the daily window that its policy names; it stops when the window closes, unless its user came meanwhile.", ""},
	{HostLacks, dormer.Warning, CategoryWorkspace, "The host cannot give what the policy wants", "An adapter, sound, a drive, memory. The workspace started without it, or was not started, as the policy says.", "Look at the description; give the computer what is missing or change the policy."},
	{HostCommandFailed, dormer.Warning, CategoryWorkspace, "The host command failed", "The command that the policy runs on the host before the start ended with an error, took too long, or could not be run.", "Check the command on that computer."},
	{NoSession, dormer.Warning, CategoryWorkspace, "Nobody could act for the user", "What the policy wants done as the user needs their session process, and none is connected.", "Let users' sessions start 'dormer session', or start it by hand."},

	{GuestConnected, dormer.Information, CategoryGuest, "The guest answers", "The guest's agent is connected.", ""},
	{GuestLost, dormer.Warning, CategoryGuest, "The guest does not answer any more", "The guest's agent is gone while the machine runs.", "Restart the workspace if it does not come back."},
	{ApplicationRun, dormer.Information, CategoryGuest, "An application was run", "A published application was started.", ""},
	{ApplicationFailed, dormer.Warning, CategoryGuest, "An application could not be run", "The published application did not start.", "Check the command line in the policy against the image."},
	{ArrangeFailed, dormer.Warning, CategoryGuest, "The guest could not be arranged as the policy says", "Time zone, name service, drives or another setting of the guest. It is tried again.", "Look at the reason; check the guest with dormer-guest check."},
	{GuestSignedOn, dormer.Information, CategoryGuest, "The user was signed on to the guest", "With the credentials of the workspace.", ""},
	{GuestSignOnFailed, dormer.Warning, CategoryGuest, "The user could not be signed on to the guest", "The password is not known here, or the guest did not take it.", "Sign in again with the password."},
	{FileSent, dormer.Information, CategoryGuest, "A file was copied to the guest", "As the policy allows.", ""},
	{FileReceived, dormer.Information, CategoryGuest, "A file was copied from the guest", "As the policy allows.", ""},
	{FileRefused, dormer.Warning, CategoryGuest, "A file was refused", "Its direction, its extension, its name, or the command that examines it.", ""},
	{FileOverridden, dormer.Warning, CategoryGuest, "A refused file was let through", "Somebody with the permission allowed it; the description names them.", ""},
	{FilePrinted, dormer.Information, CategoryGuest, "The guest printed on a printer of the host", "As the policy allows.", ""},
	{SetupStarted, dormer.Information, CategoryGuest, "First-time setup began", "The script of the policy runs in a new machine, or goes on.", ""},
	{SetupFinished, dormer.Information, CategoryGuest, "First-time setup is finished", "The workspace can be used.", ""},
	{SetupFailed, dormer.Error, CategoryGuest, "First-time setup failed", "The description names the step. The steps before it are done and are not repeated.", "Correct the step in the policy; it goes on from there by itself, or with 'dormer setup resume'."},
	{SetupCancelled, dormer.Warning, CategoryGuest, "First-time setup was cancelled by the user", "It goes on from the same step at the next start.", ""},
	{SetupPostponed, dormer.Information, CategoryGuest, "First-time setup was postponed by the user", "As often as the policy allows.", ""},
	{DomainJoined, dormer.Information, CategoryGuest, "The guest joined a domain", "With credentials that count once.", ""},

	{OrderRun, dormer.Information, CategoryOrder, "An order was carried out", "The client did what an operator ordered.", ""},
	{OrderRefused, dormer.Error, CategoryOrder, "An order was refused", "The order was changed on its way, or is for another client, instance or epoch.", "Find out who sent it: this does not happen by itself."},
	{OrderFailed, dormer.Error, CategoryOrder, "An order could not be carried out", "The client tries again with the next poll.", "Look at the reason."},

	{ServerStarted, dormer.Information, CategoryServer, "The server started", "It serves clients and operators.", ""},
	{ServerStopped, dormer.Information, CategoryServer, "The server stopped", "It was stopped in an orderly way. Clients go on within their leases and keep their events.", ""},
	{ServerPromoted, dormer.Warning, CategoryServer, "The server was promoted", "It has taken another's place and raised the epoch; clients refuse the other from now on.", "See that the other server stays off, and set up a new standby."},
	{ServerSuperseded, dormer.Error, CategoryServer, "The server was superseded", "Another server of the instance was promoted. This one answers clients no more.", "Shut it down; make it a standby if you still need it."},
	{BackupMade, dormer.Information, CategoryServer, "A backup was made", "The file is durable. The description says where it is and what is in it.", ""},
	{BackupFailed, dormer.Error, CategoryServer, "A backup failed", "Nothing usable was written.", "Look at the reason, and make the backup again."},
	{ServerRestored, dormer.Warning, CategoryServer, "The instance was restored from a backup", "What happened after the backup is gone from the server; clients bring again the events that they still hold.", "Look over what was changed since the backup."},
	{StandbyBehind, dormer.Warning, CategoryServer, "The standby is behind", "What was changed last would be lost if this server were lost now.", "Look at the network and at the room on the target."},
	{StandbyInStep, dormer.Information, CategoryServer, "The standby is in step again", "It has all that this server has.", ""},
	{ReplicaUnreachable, dormer.Error, CategoryServer, "The target of the standby cannot be reached", "Clients keep their events until they are safe there. The server goes on.", "Look at the reason: the network, or the credentials for the target."},
	{EventsAway, dormer.Error, CategoryServer, "The events database does not take events", "Clients keep their events and bring them later.", "Look at the reason: the database is down, full, read-only or too slow."},
	{EventsBack, dormer.Information, CategoryServer, "The events database takes events again", "Clients bring what they kept.", ""},
	{ForwardFails, dormer.Warning, CategoryServer, "Events cannot be forwarded", "The receiver does not take them. They wait and are sent again.", "Look at the reason, and at the receiver."},
	{ForwardWorks, dormer.Information, CategoryServer, "Events are forwarded again", "The receiver takes them again.", ""},
	{ForwardLeftOut, dormer.Error, CategoryServer, "Events were not forwarded", "The receiver was away for longer than events are kept: those that were removed meanwhile it does not get any more.", "Find out why the receiver was away; keep events for longer, if that happens."},
	{ForwardTest, dormer.Information, CategoryServer, "Test of forwarding", "Somebody asked for it with dormerd forward test. It is sent and not stored.", ""},
	{EventsCondensed, dormer.Warning, CategoryServer, "A client sends too many events", "Events of the same kind were stored as one with a count. None is lost from the count. Said once an hour for each client.", "Look at the client's error log: something there happens over and over."},
	{EventRefused, dormer.Warning, CategoryServer, "An event of a client was refused", "It was not an event, or broke a limit. The description names the field; those around it were taken.", "Update the agent. If it happens again, look at the client's disk and at what is between client and server."},
	{ClientClockWrong, dormer.Warning, CategoryServer, "A client's clock is wrong", "It is more than five minutes off the server's. The times that its events show may be off by as much; limits go by the server's time.", "Let the computer take its time from the network."},
	{EventsRemoved, dormer.Information, CategoryServer, "Old events were removed", "They were older than the configuration keeps.", ""},
	{AlertRaised, dormer.Warning, CategoryServer, "An alert was raised", "The condition of a rule holds; the description names the rule. It is told once, however often the condition repeats.", "Look at the alert with dormer alert list, and acknowledge it when you look after it."},
	{SeriousAlertRaised, dormer.Error, CategoryServer, "A serious alert was raised", "As above, by a rule whose alerts are errors.", "Look at the alert with dormer alert list, and acknowledge it when you look after it."},
	{AlertAcknowledged, dormer.Information, CategoryServer, "An alert was acknowledged", "Somebody looks after it; the description names them.", ""},
	{AlertCleared, dormer.Information, CategoryServer, "An alert was cleared", "Its condition is over, or its rule was turned off.", ""},
}

// Catalogue returns all kinds of events in the order of their codes.
func Catalogue() []Kind { return slices.Clone(catalogue) }

// Kinds are all kinds of events, by their codes.
func Kinds() []Kind { return slices.Clone(catalogue) }

// Categories returns the categories of all kinds, in the order of their codes.
func Categories() []string {
	var list []string
	for _, k := range catalogue {
		if !slices.Contains(list, k.Category) {
			list = append(list, k.Category)
		}
	}
	return list
}

// KindOf returns the kind of a code.
func KindOf(code Code) (Kind, bool) {
	i, found := slices.BinarySearchFunc(catalogue, code, func(k Kind, c Code) int { return int(k.Code) - int(c) })
	if !found {
		return Kind{}, false
	}
	return catalogue[i], true
}

// New returns an event of that code at that time. detail follows the text of
// the catalogue and may be empty; it never holds a secret. The caller adds host,
// user, workspace and what else is known. A code that is not in the catalogue
// gives an error event that says so.
func New(code Code, at time.Time, detail string) dormer.Event {
	k, ok := KindOf(code)
	if !ok {
		k = Kind{Code: code, Severity: dormer.Error, Category: CategoryAgent, Text: fmt.Sprintf("Event %d", code)}
	}
	text := k.Text
	if detail != "" {
		text += ": " + detail
	}
	return tidy(dormer.Event{
		Code: int(code), Severity: k.Severity, Category: k.Category, Description: text, Time: at,
	})
}

// Markdown returns the catalogue as the page docs/events.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Events\n\n")
	b.WriteString("What clients and the server report, by code. This page is made from the catalogue in `internal/event` by `go test ./internal/event -update`.\n")
	category := ""
	for _, k := range catalogue {
		if k.Category != category {
			category = k.Category
			fmt.Fprintf(&b, "\n## %s%s\n\n| Code | Severity | Event | What it means | What to do |\n|---|---|---|---|---|\n",
				strings.ToUpper(category[:1]), category[1:])
		}
		action := k.Action
		if action == "" {
			action = "Nothing."
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", k.Code, k.Severity, k.Text, k.Meaning, action)
	}
	return b.String()
}
