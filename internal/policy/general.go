package policy

// General is the first tab: how a workspace shows itself.
type General struct {
	SupportContact   string           `json:"supportContact,omitzero" doc:"Whom users should ask; shown to them as it is written, several lines allowed." when:"at once" enforced:"yes"`
	Display          Display          `json:"display,omitzero" default:"desktop" doc:"seamless shows the windows, taskbar entries and notification icons of the guest beside those of the host; desktop shows the whole desktop of the guest in one window." when:"next start" enforced:"desktop" note:"Until the desktop session is part of the client, seamless is shown as desktop."`
	Frame            Frame            `json:"frame,omitzero" doc:"Frame that marks the windows of the guest."`
	HostCommand      HostCommand      `json:"hostCommand,omitzero" doc:"Command run on the host, as the user, before the workspace starts."`
	UnmanagedClients UnmanagedClients `json:"unmanagedClients,omitzero" default:"allow" doc:"Whether a computer may run the workspace whose agent belongs to its user and not to the system." when:"next poll" enforced:"yes"`
}

// Frame marks the windows of the guest.
type Frame struct {
	Show  *bool  `json:"show,omitzero" default:"false" doc:"Whether windows of the guest have a coloured frame." when:"next start" enforced:"no" note:"Frames come with seamless windows; nothing is drawn around the one window of a desktop."`
	Color string `json:"color,omitzero" default:"#3d7ab8" pattern:"^#[0-9A-Fa-f]{6}$" values:"#RRGGBB" doc:"Colour of the frame and of the taskbar entries." when:"next start" enforced:"no" note:"Frames come with seamless windows; nothing is drawn around the one window of a desktop."`
}

// HostCommand runs on the host before the start. It is split into arguments by
// SplitCommand and run without a shell.
type HostCommand struct {
	Command       string    `json:"command,omitzero" values:"a command line" doc:"Program and its arguments; quotes group words, no shell is involved." when:"next start" enforced:"yes" hosts:"Linux"`
	Timeout       *Duration `json:"timeout,omitzero" default:"1m" doc:"After this long the command is ended and counts as failed." when:"next start" enforced:"yes" hosts:"Linux"`
	StopOnFailure *bool     `json:"stopOnFailure,omitzero" default:"false" doc:"Whether an exit status other than 0 stops the start." when:"next start" enforced:"yes" hosts:"Linux"`
}

// Display says how the guest is shown.
type Display string

// The ways to show a guest.
const (
	DisplaySeamless Display = "seamless"
	DisplayDesktop  Display = "desktop"
)

// Values lists the values.
func (Display) Values() []string { return []string{"seamless", "desktop"} }

// UnmanagedClients says whether agents that belong to a user are admitted.
type UnmanagedClients string

// What happens with unmanaged clients.
const (
	UnmanagedAllow  UnmanagedClients = "allow"
	UnmanagedRefuse UnmanagedClients = "refuse"
)

// Values lists the values.
func (UnmanagedClients) Values() []string { return []string{"allow", "refuse"} }
