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
// workspaces, guests, orders.
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
	GuestConnected     Code = 600
	GuestLost          Code = 601
	ApplicationRun     Code = 610
	ApplicationFailed  Code = 611
	OrderRun           Code = 700
	OrderRefused       Code = 701
	OrderFailed        Code = 702
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

	{GuestConnected, dormer.Information, CategoryGuest, "The guest answers", "The guest's agent is connected.", ""},
	{GuestLost, dormer.Warning, CategoryGuest, "The guest does not answer any more", "The guest's agent is gone while the machine runs.", "Restart the workspace if it does not come back."},
	{ApplicationRun, dormer.Information, CategoryGuest, "An application was run", "A published application was started.", ""},
	{ApplicationFailed, dormer.Warning, CategoryGuest, "An application could not be run", "The published application did not start.", "Check the command line in the policy against the image."},

	{OrderRun, dormer.Information, CategoryOrder, "An order was carried out", "The client did what an operator ordered.", ""},
	{OrderRefused, dormer.Error, CategoryOrder, "An order was refused", "The order was changed on its way, or is for another client, instance or epoch.", "Find out who sent it: this does not happen by itself."},
	{OrderFailed, dormer.Error, CategoryOrder, "An order could not be carried out", "The client tries again with the next poll.", "Look at the reason."},
}

// Catalogue returns all kinds of events in the order of their codes.
func Catalogue() []Kind { return slices.Clone(catalogue) }

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
	b.WriteString("What clients report, by code. This page is made from the catalogue in `internal/event` by `go test ./internal/event -update`.\n")
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
