package policy

// Machine is the tab of the virtual machine.
type Machine struct {
	Image           Image            `json:"image" required:"yes" doc:"The image that machines of this workspace are made from."`
	Revertible      *bool            `json:"revertible,omitzero" default:"true" doc:"true: the machine goes back to its original state at every stop; false: it is persistent and keeps its changes." when:"new machine" enforced:"yes"`
	OnStop          OnStop           `json:"onStop,omitzero" default:"shut-down" doc:"What a stop does. Saving the state is for persistent workspaces only." when:"at once" enforced:"yes"`
	SignOn          SignOn           `json:"signOn,omitzero" default:"none" doc:"user signs on to the guest with the user's credentials, and a changed password reaches a running guest; none leaves it to the guest." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	TimeZone        TimeZone         `json:"timeZone,omitzero" default:"unchanged" doc:"host: the guest's time zone follows the host's; server-then-host: at first the server's, afterwards the host's (persistent workspaces only); unchanged: left to the guest." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	Lock            Lock             `json:"lock,omitzero" doc:"When the workspace locks itself."`
	KeepOldVersions *int             `json:"keepOldVersions,omitzero" default:"1" min:"0" max:"100" doc:"How many versions of the image before the one in use stay on a client." when:"next poll" enforced:"yes"`
	Updates         Updates          `json:"updates,omitzero" doc:"How a new version of the image reaches a machine."`
	HostFiles       *bool            `json:"hostFiles,omitzero" default:"true" doc:"Whether files of the host may serve as a source of the image's blocks instead of the network." when:"at once" enforced:"no" note:"Clients take the blocks of an image from the repository and from what they have of its older versions; no file of the host is read, whatever is set."`
	Start           Start            `json:"start,omitzero" default:"first-use" doc:"When the workspace starts: with the user's sign-on, when it is first used, or only by hand." when:"next sign-on" enforced:"yes"`
	SuspendIdle     *Duration        `json:"suspendIdle,omitzero" default:"never" doc:"Suspend the machine after the guest was idle this long." when:"at once" enforced:"yes" guests:"Linux"`
	LastWindow      LastWindow       `json:"lastWindow,omitzero" default:"continue" doc:"What happens after the last window of the guest was closed. Saving the state is for persistent workspaces only." when:"at once" enforced:"yes" note:"Until the client shows windows of its own, it counts the published applications that run: when the last of them has ended, the last window is closed."`
	DataDisk        DataDisk         `json:"dataDisk,omitzero" doc:"The disk that keeps the user's data when the image is updated."`
	GuestUpdates    *MaintenanceTime `json:"guestUpdates,omitzero" default:"none" doc:"Daily window in which the guest of a persistent workspace is woken for its own updates."`
	OnMissing       OnMissing        `json:"onMissing,omitzero" default:"start" doc:"What happens when the host cannot give what this policy wants of the hardware: no adapter to bridge, no sound, no drive, too little memory. start: the workspace starts without it, and an event says so; refuse: it does not start." when:"next start" enforced:"yes"`
}

// Image refers to an image by name. Version nil is the newest.
type Image struct {
	Source  ImageSource `json:"source,omitzero" default:"server" doc:"server: an image of the repository; local: a packed image on the administrator's computer; test: a disk there that is not packed." when:"next poll" enforced:"yes" note:"local and test are for 'dormer image test' on the administrator's computer; other clients refuse the start."`
	Name    string      `json:"name" required:"yes" doc:"Name of the image." when:"next poll" enforced:"yes"`
	Version *int        `json:"version,omitzero" default:"the newest" min:"1" doc:"Number of the version; absent: always the newest." when:"next poll" enforced:"yes"`
}

// Lock says when a workspace locks itself.
type Lock struct {
	OnHostSleep *bool     `json:"onHostSleep,omitzero" default:"false" doc:"Lock when the host goes to sleep." when:"at once" enforced:"yes" hosts:"Linux with systemd-logind"`
	Idle        *Duration `json:"idle,omitzero" default:"never" doc:"Lock after the guest (not the host) was idle this long." when:"at once" enforced:"yes" guests:"Linux"`
}

// Updates says how a new image version is taken.
type Updates struct {
	Mode UpdateMode `json:"mode,omitzero" default:"suggest" doc:"suggest: the user chooses the moment; force: at the next start; hold: stays at the version that is set for the image until that is changed." when:"next poll" enforced:"yes"`
}

// DataDisk is the user's own disk.
type DataDisk struct {
	Size *Size `json:"size,omitzero" default:"10GiB" doc:"Size of the data disk, from 64MiB to 16TiB; it takes space only as it fills. A machine that exists keeps the size it was made with." when:"new machine" enforced:"yes"`
}

// MaintenanceTime is a daily window in the host's local time.
type MaintenanceTime struct {
	From   *TimeOfDay `json:"from,omitzero" required:"yes" doc:"When the window opens, in the host's local time." when:"at once" enforced:"yes"`
	Length *Duration  `json:"length,omitzero" default:"2h" doc:"How long it stays open, from 10m to 12h." when:"at once" enforced:"yes"`
}

// ImageSource says where an image is.
type ImageSource string

// The sources of images. Local and test images are valid only on the
// computer of the administrator who has them.
const (
	SourceServer ImageSource = "server"
	SourceLocal  ImageSource = "local"
	SourceTest   ImageSource = "test"
)

// Values lists the values.
func (ImageSource) Values() []string { return []string{"server", "local", "test"} }

// OnStop says what stopping a machine does.
type OnStop string

// What a stop does.
const (
	StopShutDown  OnStop = "shut-down"
	StopSaveState OnStop = "save-state"
)

// Values lists the values.
func (OnStop) Values() []string { return []string{"shut-down", "save-state"} }

// OnMissing says what happens when the host lacks what a policy wants.
type OnMissing string

// What happens when the host lacks something.
const (
	MissingStart  OnMissing = "start"
	MissingRefuse OnMissing = "refuse"
)

// Values lists the values.
func (OnMissing) Values() []string { return []string{"start", "refuse"} }

// SignOn says who is signed on to the guest.
type SignOn string

// Who is signed on to the guest.
const (
	SignOnNone SignOn = "none"
	SignOnUser SignOn = "user"
)

// Values lists the values.
func (SignOn) Values() []string { return []string{"user", "none"} }

// TimeZone says what the guest's time zone follows.
type TimeZone string

// What the guest's time zone follows.
const (
	TimeZoneUnchanged      TimeZone = "unchanged"
	TimeZoneHost           TimeZone = "host"
	TimeZoneServerThenHost TimeZone = "server-then-host"
)

// Values lists the values.
func (TimeZone) Values() []string { return []string{"unchanged", "host", "server-then-host"} }

// UpdateMode says how a new image version is taken.
type UpdateMode string

// How a new image version is taken.
const (
	UpdateSuggest UpdateMode = "suggest"
	UpdateForce   UpdateMode = "force"
	UpdateHold    UpdateMode = "hold"
)

// Values lists the values.
func (UpdateMode) Values() []string { return []string{"suggest", "force", "hold"} }

// Start says when a workspace starts by itself.
type Start string

// When a workspace starts.
const (
	StartSignOn   Start = "sign-on"
	StartFirstUse Start = "first-use"
	StartManual   Start = "manual"
)

// Values lists the values.
func (Start) Values() []string { return []string{"sign-on", "first-use", "manual"} }

// LastWindow says what happens when no window of the guest is left.
type LastWindow string

// What happens when no window of the guest is left.
const (
	LastWindowContinue  LastWindow = "continue"
	LastWindowShutDown  LastWindow = "shut-down"
	LastWindowSaveState LastWindow = "save-state"
)

// Values lists the values.
func (LastWindow) Values() []string { return []string{"continue", "shut-down", "save-state"} }
