package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/uplink"
	"github.com/dormer-project/dormer/internal/wire"
)

const agentVersion = "1.0-load"

// Client is one client. It is enrolled with a key of its own and polls as agents
// do, each time on a connection of its own whose TLS session is resumed. Its
// journal is made up: an event is what its sequence says, so that nothing needs
// to be kept until it is acknowledged. A Client is for one goroutine at a time.
type Client struct {
	Number  int
	ID      dormer.ClientID
	Journal dormer.JournalID
	// Sent is the highest sequence that was sent, Received the highest that was
	// acknowledged as stored.
	Sent, Received uint64

	link  *uplink.Uplink
	keys  seal.KeySet
	epoch dormer.Epoch // the highest that was seen
	host  wire.Host
	run   string
	began time.Time
}

// What the events of a client say of when they happened: it has been off-line
// for that long, and something happened that often.
const (
	offline   = 30 * 24 * time.Hour
	happening = 10 * time.Second
)

// Enrol makes client number n with a join token.
func Enrol(ctx context.Context, joinToken string, n int) (*Client, error) {
	invitation, err := enroll.ParseJoinToken(joinToken)
	if err != nil {
		return nil, err
	}
	key, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		return nil, err
	}
	host := HostOf(n)
	answer, authority, err := uplink.Enrol(ctx, invitation, wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: invitation.Secret, PublicKey: public, Managed: true, Host: host, AgentVersion: agentVersion,
	}, time.Now, agentVersion)
	if err != nil {
		return nil, err
	}
	keys, err := seal.OpenKeySet(answer.RootKey, answer.KeySet)
	if err != nil {
		return nil, err
	}
	return newClient(n, answer.Client, key, keys, uplink.Config{Servers: []string{invitation.URL}, Authority: authority})
}

func newClient(n int, id dormer.ClientID, key seal.ClientKey, keys seal.KeySet, c uplink.Config) (*Client, error) {
	c.Client, c.Key, c.Time, c.Random, c.UserAgent = id, key, time.Now, rand.Reader, agentVersion
	link, err := uplink.New(c)
	if err != nil {
		return nil, err
	}
	journal, err := dormer.NewID(rand.Reader)
	if err != nil {
		return nil, err
	}
	run, err := dormer.NewID(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Client{Number: n, ID: id, Journal: dormer.JournalID(journal), link: link, keys: keys, epoch: keys.Epoch, host: HostOf(n), run: run, began: time.Now().Add(-offline)}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.link.Close() }

// Poll sends the first n events that were not acknowledged, and takes note of
// what the signed answer acknowledges. The wait is what the server asks for
// before the next poll; events that it had no room for are not acknowledged.
func (c *Client) Poll(ctx context.Context, n int) (wait time.Duration, err error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return 0, fmt.Errorf("make nonce: %w", err)
	}
	q := wire.PollRequest{
		Protocol: wire.ProtocolVersion, Nonce: nonce, AgentVersion: agentVersion, Run: c.run, Host: c.host,
		KeySet: c.keys.Version, Epoch: c.epoch, Journal: c.Journal,
		Clock: time.Now().UTC(),
	}
	for i := range uint64(n) {
		sequence := c.Received + 1 + i
		q.Events = append(q.Events, wire.NumberedEvent{Sequence: sequence, Event: Event(c.Number, sequence, c.began.Add(time.Duration(sequence)*happening))})
	}
	c.Sent = max(c.Sent, c.Received+uint64(n))
	err = c.link.Poll(ctx, q, func(e seal.Envelope) error {
		payload, err := c.keys.Open(seal.TypeAnswer, e)
		if err != nil {
			return err
		}
		var a wire.PollAnswer
		if err := json.Unmarshal(payload, &a); err != nil {
			return fmt.Errorf("answer: %w", dormer.ErrCorrupt)
		}
		switch {
		case !bytes.Equal(a.Nonce, nonce) || a.Client != c.ID:
			return fmt.Errorf("answer to something else: %w", dormer.ErrDenied)
		case a.ReceivedThrough > c.Sent:
			return fmt.Errorf("%d events were sent, %d are acknowledged: %w", c.Sent, a.ReceivedThrough, dormer.ErrCorrupt)
		case a.Epoch > c.epoch:
			// Another server has taken over: it is sent what it does not have.
			c.epoch, c.Received = a.Epoch, a.ReceivedThrough
			return nil
		case a.Journal == c.Journal && a.ReceivedThrough < c.Received:
			return fmt.Errorf("%d events were acknowledged, now %d: %w", c.Received, a.ReceivedThrough, dormer.ErrCorrupt)
		}
		c.Received = max(c.Received, a.ReceivedThrough)
		wait = time.Duration(a.NextPollMillis) * time.Millisecond
		return nil
	})
	return wait, err
}

// HostOf is the computer of client number n.
func HostOf(n int) wire.Host {
	return wire.Host{Name: fmt.Sprintf("PC-%05d", n), OS: "linux", Arch: "amd64", MemoryMiB: 16384, Processors: 4}
}

// UserOf is who uses it.
func UserOf(n int) string { return fmt.Sprintf(`CORP\user-%05d`, n) }

// kinds are the events of a day of a client, with the share of warnings and
// errors that a healthy installation has.
var kinds = []struct {
	code   event.Code
	detail string
}{
	{event.WorkspaceStarting, ""},
	{event.WorkspaceStarted, "after 14.2 s"},
	{event.GuestConnected, ""},
	{event.GuestSignedOn, ""},
	{event.ApplicationRun, "Accounts Payable"},
	{event.FileSent, "quarterly report.xlsx, 48 KB"},
	{event.ApplicationRun, "Text Editor"},
	{event.WorkspaceLocked, "idle for 10 minutes"},
	{event.WorkspaceUnlocked, ""},
	{event.ApplicationRun, "Accounts Payable"},
	{event.FilePrinted, "invoice 2026-1187.pdf, 3 pages"},
	{event.GuestLost, ""},
	{event.GuestConnected, ""},
	{event.FileReceived, "statement.pdf, 112 KB"},
	{event.ApplicationFailed, "Accounts Payable: exit status 3"},
	{event.PolicyReceived, "revision 3"},
	{event.WorkspaceStopping, ""},
	{event.WorkspaceStopped, ""},
	{event.ImageFailed, "the repository does not answer"},
	{event.ImageFinished, "office/3, 112 MB"},
}

// Event is what a client's journal holds under a sequence.
func Event(client int, sequence uint64, at time.Time) dormer.Event {
	k := kinds[sequence%uint64(len(kinds))]
	e := event.New(k.code, at, k.detail)
	e.Host, e.User = HostOf(client).Name, UserOf(client)
	e.Workspace, e.WorkspaceName = "mz7qk3bpx2vw5tj4cnfr6hydga", "Office"
	e.Guest = fmt.Sprintf("OFFICE-%05d", client)
	e.ClientVersion, e.PolicyRevision, e.Image = "1.0.0", 3, "office/3"
	return e
}
