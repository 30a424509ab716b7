// Package guestwire is the protocol between a host and the agent inside a
// guest, over one virtio-serial port. It is a format leaf: every package may
// import it, it imports only the root package and does no input or output of
// its own beyond the reader and writer it is given.
//
// A frame is one line of JSON, at most MaxFrame bytes long. Writers begin the
// first frame of a connection with an empty line: the port outlives its
// openers, and half a line of the one before may still be in it. Readers skip
// empty lines and, until a handshake, whatever they cannot decode.
//
// The host starts. It sends a hello with a fresh session; the guest answers
// with its own hello that repeats the session, and from then on the connection
// is in that session: frames of another one are dropped on both sides. Either
// side learns the other's protocol version and capabilities from the hello.
// Requests go from the host to the guest and are answered under their number,
// in any order. Events go from the guest to the host and are not answered.
package guestwire

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// PortName is the name of the virtio-serial port.
const PortName = "org.dormer.guest.0"

// Protocol is the version this build speaks, Oldest the oldest it still
// understands. Of two sides the lower Protocol is used, when both understand it.
//
//	1  2026-11  first version
const (
	Protocol = 1
	Oldest   = 1
)

// Limits of what one side may send to the other.
const (
	// MaxFrame is the longest line, in bytes.
	MaxFrame = 4 << 20
	// MaxOutput is how much of each of a command's two outputs is kept, in bytes.
	MaxOutput = 1 << 20
	// MaxFile is the largest file that is read or written in one request.
	MaxFile = 1 << 20
	// MaxChunk is the most output that one output event carries.
	MaxChunk = 64 << 10
	// MaxArguments bounds the arguments and the environment of a command, each.
	MaxArguments = 1024
	// MaxTimeout is the longest a command may run when its request sets a time.
	MaxTimeout = 24 * time.Hour
)

// Kind is what a frame is.
type Kind string

// The kinds of frames.
const (
	KindHello   Kind = "hello"   // either way; Body is a Hello
	KindRequest Kind = "request" // to the guest; Method and Body
	KindCancel  Kind = "cancel"  // to the guest; ends the request of that number
	KindAnswer  Kind = "answer"  // to the host; Body or Error
	KindEvent   Kind = "event"   // to the host; Method names the event
)

// Frame is one message.
type Frame struct {
	Kind Kind `json:"kind"`
	// Session is the session of the host's hello.
	Session string `json:"session"`
	// ID is the number of a request, from 1. An event that belongs to a
	// request carries its number, others 0.
	ID     uint64          `json:"id,omitempty"`
	Method Method          `json:"method,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Hello is the handshake, the same both ways.
type Hello struct {
	Protocol int `json:"protocol"`
	Oldest   int `json:"oldest"`
	// Capabilities are what the sender can do, see the Capability constants.
	// Unknown ones are ignored.
	Capabilities []Capability `json:"capabilities,omitempty"`
	// Software is the sender's name and version, for logs.
	Software string `json:"software,omitempty"`
	// System is the guest's operating system, as runtime.GOOS; empty from hosts.
	System string `json:"system,omitempty"`
}

// Capability is one thing a side can do.
type Capability string

// The capabilities of guests.
const (
	CapExec     Capability = "exec"         // MethodExec
	CapStream   Capability = "stream"       // ExecRequest.Stream
	CapShutdown Capability = "shutdown"     // MethodShutdown, MethodRestart
	CapIdle     Capability = "idle"         // Status.Idle is measured
	CapStatus   Capability = "status"       // MethodStatus
	CapMount    Capability = "mount"        // MethodMount
	CapFile     Capability = "file"         // MethodReadFile, MethodWriteFile
	CapHostname Capability = "host-name"    // MethodHostname
	CapTimeZone Capability = "time-zone"    // MethodTimeZone
	CapClock    Capability = "clock"        // MethodClock
	CapDNS      Capability = "dns"          // MethodDNS
	CapRegional Capability = "regional"     // MethodRegional
	CapNotify   Capability = "notify"       // MethodNotify
	CapLock     Capability = "lock"         // MethodLock, MethodUnlock
	CapSignOn   Capability = "sign-on"      // MethodSignOn, MethodSignOff
	CapDrives   Capability = "drives"       // MethodDrives
	CapJoin     Capability = "join"         // MethodJoin
	CapConnect  Capability = "connect"      // MethodConnect
	CapAutoSign Capability = "auto-sign-on" // MethodNoAutoSignOn
	CapCheck    Capability = "check"        // MethodCheck
	CapSecret   Capability = "secret"       // ExecRequest.SecretFile
	CapOnce     Capability = "once"         // ExecRequest.Once
	CapCount    Capability = "count"        // Status.Applications
	CapChannels Capability = "channels"     // MethodReopen; the ports of Channel
	CapFolders  Capability = "folders"      // MethodFolders
	CapPrinters Capability = "printers"     // MethodPrinters
)

// Negotiate returns the protocol version that two sides use, or ErrUnsupported.
func Negotiate(ours, theirs Hello) (int, error) {
	v := min(ours.Protocol, theirs.Protocol)
	if v < ours.Oldest || v < theirs.Oldest || v < 1 {
		return 0, fmt.Errorf("guest protocol %d (from %d) against %d (from %d): %w",
			ours.Protocol, ours.Oldest, theirs.Protocol, theirs.Oldest, dormer.ErrUnsupported)
	}
	return v, nil
}

// Has reports whether the sender of a hello can do c.
func (h Hello) Has(c Capability) bool { return slices.Contains(h.Capabilities, c) }
