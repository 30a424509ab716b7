package wire

import (
	"time"

	"github.com/dormer-project/dormer"
)

// JoinRequest asks for what one machine needs to join the domain that its
// policy names. Step is the number of the action in the policy's script, from
// 0; the domain, the place and the credentials are the policy's, never the
// client's choice. Session proves that the machine's user is signed in.
type JoinRequest struct {
	Protocol int              `json:"protocol"`
	Session  Session          `json:"session"`
	Machine  dormer.MachineID `json:"machine"`
	Step     int              `json:"step"`
	// System is the guest's operating system, as runtime.GOOS: Windows gets a
	// blob, others a one-time password.
	System string `json:"system"`
}

// JoinAnswer carries a JoinSecret as JSON, sealed to the client's key with info
// JoinInfo(machine).
type JoinAnswer struct {
	Sealed []byte `json:"sealed"`
}

// JoinSecret is good for one join of one computer. Exactly one of Password and
// Blob is there.
type JoinSecret struct {
	// Domain is the full name, NetBIOSName the short one.
	Domain      string `json:"domain"`
	NetBIOSName string `json:"netbios_name,omitempty"`
	// Computer is the name of the account, without $; FQDN its full name.
	Computer string `json:"computer"`
	FQDN     string `json:"fqdn"`
	// Servers are domain controllers to try, in order; empty: those that DNS names.
	Servers []string `json:"servers,omitempty"`
	// Password is the account's until the join replaces it.
	Password string `json:"password,omitempty"`
	// Blob is what Windows takes for an off-line join (djoin /requestODJ).
	Blob []byte `json:"blob,omitempty"`
	// Expires is when the server takes an account back that was not claimed.
	Expires time.Time `json:"expires"`
}

// JoinInfo is the info under which a JoinSecret is sealed.
func JoinInfo(m dormer.MachineID) string { return "dormer join " + string(m) }

// OverrideRequest asks whether somebody may let a file through that the rules of
// a machine's policy refuse: User proves who they are by password and must
// hold a grant of the machine's workspace with mayOverride.
type OverrideRequest struct {
	Protocol int              `json:"protocol"`
	Machine  dormer.MachineID `json:"machine"`
	User     string           `json:"user"`
	Password string           `json:"password"`
}

// OverrideAnswer says who allowed it.
type OverrideAnswer struct {
	User dormer.Principal `json:"user"`
}
