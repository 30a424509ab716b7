package guestwire

import "time"

// The messages by which the host arranges the guest as the policy says. All are
// harmless to repeat. Those that carry a secret never put it on a command line,
// into a log or into a file that outlives the request.

// TimeZoneRequest sets the time zone, now and for later starts.
type TimeZoneRequest struct {
	// Name is of the IANA database, as "Europe/Berlin".
	Name string `json:"name"`
}

// ClockRequest sets the clock.
type ClockRequest struct {
	Time time.Time `json:"time"`
}

// DNSRequest sets name servers and suffixes. Without any the guest goes back to
// what its image and network say.
type DNSRequest struct {
	Servers  []string `json:"servers,omitempty"`
	Suffixes []string `json:"suffixes,omitempty"`
}

// RegionalRequest sets language, formats and keyboard; what is empty stays.
type RegionalRequest struct {
	// Locale is as in $LANG: "de_DE.UTF-8".
	Locale string `json:"locale,omitempty"`
	// Layout and Variant are of XKB: "de", "nodeadkeys".
	Layout  string `json:"layout,omitempty"`
	Variant string `json:"variant,omitempty"`
}

// NotifyRequest shows a message to who is signed on.
type NotifyRequest struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// SignOnRequest signs the user on to the guest: their account there is found
// (of the domain that the guest has joined) or made, and where there is a realm
// they get a Kerberos ticket. Repeated with another password it takes that over.
type SignOnRequest struct {
	// User is the name without a domain; Domain the NetBIOS name and Realm the
	// full name of the domain, both empty for a user of no domain.
	User   string `json:"user"`
	Domain string `json:"domain,omitempty"`
	Realm  string `json:"realm,omitempty"`
	// Password is what the user signed in with; empty when it is not known: the
	// account is found or made all the same, and nobody gets a ticket.
	Password string `json:"password"`
}

// String hides the password.
func (r SignOnRequest) String() string { return "guestwire.SignOnRequest(" + r.User + ")" }

// SignOnResult is how that went.
type SignOnResult struct {
	// Account is the guest's account of the user: for ExecRequest.User.
	Account string `json:"account"`
	// Made says that the account was made now; Ticket that the user has a
	// Kerberos ticket.
	Made   bool `json:"made,omitempty"`
	Ticket bool `json:"ticket,omitempty"`
	// Problem says why there is no ticket although there is a realm.
	Problem string `json:"problem,omitempty"`
	// Away says that the reason is a domain that could not be reached: it is worth
	// trying again, and no wrong password that would lock an account.
	Away bool `json:"away,omitempty"`
}

// DrivesRequest maps network drives, and unmaps those that are mapped and not
// listed.
type DrivesRequest struct {
	Drives []Drive `json:"drives,omitempty"`
	// Account is the guest's account that owns them (SignOnResult.Account);
	// empty is the guest's user. User, Domain and Password are for the server;
	// with a Kerberos ticket they are not needed.
	Account  string `json:"account,omitempty"`
	User     string `json:"user,omitempty"`
	Domain   string `json:"domain,omitempty"`
	Password string `json:"password,omitempty"`
}

// String hides the password.
func (r DrivesRequest) String() string { return "guestwire.DrivesRequest(hidden)" }

// Drive is one of them: a letter on Windows, a folder of that letter and label
// elsewhere.
type Drive struct {
	Letter string `json:"letter"`
	// Path is \\server\share or \\server\share\folder.
	Path  string `json:"path"`
	Label string `json:"label,omitempty"`
}

// DrivesResult says where the drives are, in the order of the request; Problem
// says why one is not mapped.
type DrivesResult struct {
	Drives []DriveResult `json:"drives"`
}

// DriveResult is one drive.
type DriveResult struct {
	Letter  string `json:"letter"`
	Where   string `json:"where,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// JoinRequest joins the guest to a domain. Exactly one of Password (one-time, of
// the computer's account), Blob (for Windows) and Credentials is given.
type JoinRequest struct {
	Domain             string   `json:"domain"`
	NetBIOSName        string   `json:"netbios_name,omitempty"`
	Computer           string   `json:"computer"`
	FQDN               string   `json:"fqdn"`
	OrganizationalUnit string   `json:"organizational_unit,omitempty"`
	Servers            []string `json:"servers,omitempty"`
	Password           string   `json:"password,omitempty"`
	Blob               []byte   `json:"blob,omitempty"`
	// User and UserPassword are a user's who may join computers.
	User         string `json:"user,omitempty"`
	UserPassword string `json:"user_password,omitempty"`
}

// String hides the secrets.
func (r JoinRequest) String() string {
	return "guestwire.JoinRequest(" + r.Computer + " in " + r.Domain + ")"
}

// JoinResult is how that went.
type JoinResult struct {
	// Already says that the guest is in the domain and was before.
	Already bool `json:"already,omitempty"`
	// Restart says that it counts after a restart only.
	Restart bool `json:"restart,omitempty"`
}

// ConnectRequest waits until a TCP port answers from the guest. ErrUnavailable
// when it does not within Timeout.
type ConnectRequest struct {
	Address string        `json:"address"`
	Port    int           `json:"port"`
	Timeout time.Duration `json:"timeout_ns"`
}

// CheckResult is what the guest finds of its own fitness as an image.
type CheckResult struct {
	Findings []Finding `json:"findings"`
}

// Finding is one thing that an image needs.
type Finding struct {
	// ID names the check, as "machine-id"; Text says in a sentence what was
	// found, Remedy what to do about it.
	ID     string `json:"id"`
	Good   bool   `json:"good"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// ReopenRequest makes the guest close and open the ports of channels: the host
// forgot what was under way there, as after resuming from saved state.
type ReopenRequest struct {
	Channels []Channel `json:"channels"`
}

// FoldersRequest mounts the shared folders that the host serves on
// ChannelFolders, and unmounts those that are not listed.
type FoldersRequest struct {
	Folders []Folder `json:"folders,omitempty"`
	// Account owns them in the guest; empty is the guest's user.
	Account string `json:"account,omitempty"`
}

// Folder is one shared folder.
type Folder struct {
	Name     string `json:"name"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// FoldersResult says where they are, by name.
type FoldersResult struct {
	Where map[string]string `json:"where,omitempty"`
}

// PrintersRequest makes queues for the host's printers, and removes those that
// are not listed.
type PrintersRequest struct {
	Printers []Printer `json:"printers,omitempty"`
}

// Printer is one printer of the host.
type Printer struct {
	Name    string `json:"name"`
	Info    string `json:"info,omitempty"`
	Default bool   `json:"default,omitempty"`
}
