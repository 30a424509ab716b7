package policy

import (
	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// Grant says what one user or group may do with the workspace. Several grants
// of one user combine to the least restrictive value, field by field; a field
// that is not set takes part as its default. A grant that is not enabled gives
// nothing while another one is.
type Grant struct {
	Principal     Principal      `json:"principal" required:"yes" doc:"Who gets the workspace." combine:"not combined: it says whose grant it is"`
	Enabled       *bool          `json:"enabled,omitzero" default:"true" doc:"Whether the grant is in force." when:"next poll" enforced:"yes" combine:"true beats false; a grant that is not enabled gives nothing but its atLimit and deleteWhen"`
	Expires       *Date          `json:"expires,omitzero" default:"never" doc:"The grant ends at the end of this day, in the zone that follows the date or else in the zone of the instance." when:"next poll" enforced:"yes" combine:"the later day; never beats any day. Days of different zones are kept side by side, and the one that ends last counts"`
	Offline       Offline        `json:"offline,omitzero" doc:"Work while the server is away."`
	AtLimit       AtLimit        `json:"atLimit,omitzero" doc:"What happens to a running workspace when it expires, is disabled or was off-line too long."`
	DeleteWhen    DeleteWhen     `json:"deleteWhen,omitzero" doc:"When the user's machine is deleted from the client. Nothing is ever deleted merely because the server is silent, but for offline, which the lease states."`
	SavePassword  *bool          `json:"savePassword,omitzero" default:"false" doc:"Whether the user may save the password on the client; the server must allow it too." when:"next poll" enforced:"yes" combine:"true beats false"`
	Clipboard     Direction      `json:"clipboard,omitzero" default:"none" doc:"Which way the clipboard is shared." when:"at once" enforced:"yes" guests:"Linux" combine:"every way that one of them allows"`
	FileTransfer  FileTransfer   `json:"fileTransfer,omitzero" doc:"Moving files between host and guest."`
	Printing      *bool          `json:"printing,omitzero" default:"false" doc:"Whether the guest prints on the host's printers." when:"at once" enforced:"yes" hosts:"Linux with CUPS" guests:"Linux with CUPS" combine:"true beats false"`
	OpticalDrive  *bool          `json:"opticalDrive,omitzero" default:"false" doc:"Whether the guest sees the host's CD or DVD drive." when:"next start" enforced:"yes" note:"From a drive that is taken away the medium is ejected at once." combine:"true beats false"`
	USB           []USBClass     `json:"usb,omitzero" default:"none" doc:"Classes of USB devices that the guest may use." when:"at once" enforced:"yes" combine:"every class that one of them allows"`
	Audio         *bool          `json:"audio,omitzero" default:"false" doc:"Whether the guest plays sound." when:"next start" enforced:"yes" combine:"true beats false"`
	Microphone    *bool          `json:"microphone,omitzero" default:"false" doc:"Whether the guest hears the host's microphone." when:"next start" enforced:"yes" combine:"true beats false"`
	SharedFolders []SharedFolder `json:"sharedFolders,omitzero" default:"none" doc:"Folders of the host that the guest sees."`
}

// Principal names a user or a group. Key is filled in when the name was
// resolved.
type Principal struct {
	Directory string               `json:"directory,omitzero" default:"local" literal:"yes" doc:"Directory that knows the principal." when:"next poll" enforced:"yes"`
	Kind      dormer.PrincipalKind `json:"kind" required:"yes" enum:"user,group" doc:"Whether it is a user or a group." when:"next poll" enforced:"yes"`
	Name      string               `json:"name" required:"yes" doc:"Name in the directory." when:"next poll" enforced:"yes"`
	Key       string               `json:"key,omitzero" doc:"The directory's own unchanging key, filled in by the server; a name and a key that disagree are refused." when:"next poll" enforced:"yes"`
}

// DirectoryName returns the directory with its default applied.
func (p Principal) DirectoryName() string {
	if p.Directory == "" {
		return dormer.EmbeddedDirectory
	}
	return p.Directory
}

// Resolved returns the principal in the form of the root package. Its Key is
// empty until the server has resolved the name.
func (p Principal) Resolved() dormer.Principal {
	return dormer.Principal{Directory: p.DirectoryName(), Kind: p.Kind, Key: p.Key, Name: p.Name}
}

// CalledAs reports whether p and q are of one directory and go by one name,
// whatever their keys.
func (p Principal) CalledAs(q Principal) bool {
	return p.Kind == q.Kind && name.Fold(p.DirectoryName()) == name.Fold(q.DirectoryName()) && name.Fold(p.Name) == name.Fold(q.Name)
}

// Granted returns the principal of a document as the server stored it that p
// stands for: of its key and name, or of its name when p has no key. d may be
// nil.
func (d *Document) Granted(p Principal) (Principal, bool) {
	if d == nil {
		return Principal{}, false
	}
	for _, g := range d.Grants {
		if q := g.Principal; q.Key != "" && q.CalledAs(p) && (p.Key == "" || p.Key == q.Key) {
			return q, true
		}
	}
	return Principal{}, false
}

// Offline limits work while the server is away.
type Offline struct {
	Allow OfflineMode `json:"allow,omitzero" default:"limited" doc:"unrestricted; limited: up to the limit of the grant; none: a running workspace stops working when the server is away." when:"next poll" enforced:"yes" combine:"unrestricted beats limited beats none"`
	Limit *Duration   `json:"limit,omitzero" default:"7d" doc:"How long a client may work without the server, from 10m to 365d; never less than three poll intervals of the server." when:"next poll" enforced:"yes" combine:"the longer limit of the grants that are limited; there is none beside unrestricted"`
}

// AtLimit says what happens when the permission to run ends.
type AtLimit struct {
	Action LimitAction `json:"action,omitzero" default:"stop" doc:"refuse-start: a running workspace goes on, but does not start again; lock; stop: after the period of grace; delete: like stop, and then the machine is deleted." when:"next poll" enforced:"yes" combine:"refuse-start beats lock beats stop beats delete"`
	Grace  *Duration   `json:"grace,omitzero" default:"15m" doc:"How long the user has to save work before the stop, at most 1d." when:"next poll" enforced:"yes" combine:"the longer time"`
}

// DeleteWhen says when a machine is deleted from the client.
type DeleteWhen struct {
	Disabled *bool `json:"disabled,omitzero" default:"false" doc:"Delete when the grant was disabled." when:"next poll" enforced:"yes" combine:"false beats true: the machine is kept when one of them keeps it"`
	Expired  *bool `json:"expired,omitzero" default:"false" doc:"Delete when the grant has expired." when:"next poll" enforced:"yes" combine:"false beats true: the machine is kept when one of them keeps it"`
	Offline  *bool `json:"offline,omitzero" default:"false" doc:"Delete when the client was off-line too long." when:"next poll" enforced:"yes" combine:"false beats true: the machine is kept when one of them keeps it"`
}

// FileTransfer allows moving files between host and guest.
type FileTransfer struct {
	Direction   Direction     `json:"direction,omitzero" default:"none" doc:"Which way files may be moved." when:"at once" enforced:"yes" guests:"Linux" combine:"every way that one of them allows"`
	HostToGuest TransferRules `json:"hostToGuest,omitzero" doc:"Rules for files that go to the guest."`
	GuestToHost TransferRules `json:"guestToHost,omitzero" doc:"Rules for files that come from the guest."`
	MayOverride *bool         `json:"mayOverride,omitzero" default:"false" doc:"Whether this principal may let a refused file through." when:"at once" enforced:"yes" combine:"true beats false"`
}

// TransferRules are the rules of one direction.
type TransferRules struct {
	Extensions []string `json:"extensions,omitzero" default:"all" values:"extensions, as docx" doc:"Only files with these extensions may be moved; absent: all." when:"at once" enforced:"yes" guests:"Linux" combine:"of the grants that allow this way: all if one of them allows all, else every extension that one of them allows"`
	Command    string   `json:"command,omitzero" default:"none" values:"a command line" doc:"Command run on each received file before the user gets it; {file} stands for it. An exit status other than 0 refuses the file." when:"at once" enforced:"yes" guests:"Linux" combine:"of the grants that allow this way: none if one of them has none, else all commands, of which one must accept the file"`
}

// SharedFolder is a folder of the host that the guest sees.
type SharedFolder struct {
	Name   string       `json:"name" required:"yes" doc:"Name in the guest." when:"at once" enforced:"yes" guests:"Linux" combine:"every folder that one of them gives; name and path together make it the same folder"`
	Path   string       `json:"path" required:"yes" values:"an absolute path, or one below {home}" doc:"Folder of the host." when:"at once" enforced:"yes" guests:"Linux" combine:"every folder that one of them gives; name and path together make it the same folder"`
	Access FolderAccess `json:"access,omitzero" default:"read-only" doc:"Whether the guest may write to it." when:"at once" enforced:"yes" guests:"Linux" combine:"read-write beats read-only, for the same folder"`
}

// OfflineMode says how long a client may work without the server.
type OfflineMode string

// Work without the server.
const (
	OfflineUnrestricted OfflineMode = "unrestricted"
	OfflineLimited      OfflineMode = "limited"
	OfflineNone         OfflineMode = "none"
)

// Values lists the values.
func (OfflineMode) Values() []string { return []string{"unrestricted", "limited", "none"} }

// LimitAction says what happens when the permission to run ends.
type LimitAction string

// What happens at a limit, from the least to the most restrictive.
const (
	LimitRefuseStart LimitAction = "refuse-start"
	LimitLock        LimitAction = "lock"
	LimitStop        LimitAction = "stop"
	LimitDelete      LimitAction = "delete"
)

// Values lists the values.
func (LimitAction) Values() []string { return []string{"refuse-start", "lock", "stop", "delete"} }

// Direction is a way between host and guest.
type Direction string

// The ways between host and guest.
const (
	DirectionNone        Direction = "none"
	DirectionBoth        Direction = "both"
	DirectionHostToGuest Direction = "host-to-guest"
	DirectionGuestToHost Direction = "guest-to-host"
)

// Values lists the values.
func (Direction) Values() []string {
	return []string{"none", "both", "host-to-guest", "guest-to-host"}
}

// ToGuest reports whether d leads from the host to the guest.
func (d Direction) ToGuest() bool { return d == DirectionBoth || d == DirectionHostToGuest }

// ToHost reports whether d leads from the guest to the host.
func (d Direction) ToHost() bool { return d == DirectionBoth || d == DirectionGuestToHost }

// FolderAccess says what a guest may do with a shared folder.
type FolderAccess string

// What a guest may do with a shared folder.
const (
	FolderReadOnly  FolderAccess = "read-only"
	FolderReadWrite FolderAccess = "read-write"
)

// Values lists the values.
func (FolderAccess) Values() []string { return []string{"read-only", "read-write"} }

// USBClass is a class of USB devices.
type USBClass string

// The classes of USB devices.
const (
	USBStorage   USBClass = "storage"
	USBPrinter   USBClass = "printer"
	USBSmartCard USBClass = "smart-card"
	USBInput     USBClass = "input"
	USBImaging   USBClass = "imaging"
	USBVideo     USBClass = "video"
	USBAudio     USBClass = "audio"
	USBPhone     USBClass = "phone"
	USBOther     USBClass = "other"
)

// Values lists the values.
func (USBClass) Values() []string {
	return []string{"storage", "printer", "smart-card", "input", "imaging", "video", "audio", "phone", "other"}
}
