package policy

// Setup is the tab of the computer name and of first-time setup.
type Setup struct {
	ComputerName string        `json:"computerName,omitzero" default:"the image's own name" values:"text with {user} {domain} {host} {workspace} {machine} and # for a random character" doc:"Pattern of the computer name of machines, cut at 15 characters: the text is cut, the random part kept. A machine keeps its name when its image is updated." when:"new machine" enforced:"yes" guests:"Linux and Windows"`
	Mode         SetupMode     `json:"mode,omitzero" default:"notice" doc:"attended: the user watches and may be asked; notice: a message is shown while it runs; silent: nothing is shown." when:"next setup" enforced:"yes" note:"Until the client shows windows of its own, attended is shown as notice, and its commands may show windows in the guest."`
	Message      string        `json:"message,omitzero" doc:"Shown to the user while the script runs." when:"next setup" enforced:"yes"`
	AllowCancel  *bool         `json:"allowCancel,omitzero" default:"false" doc:"Whether the user may cancel the script." when:"next setup" enforced:"yes"`
	Postpone     *int          `json:"postpone,omitzero" default:"0" min:"0" max:"100" doc:"How often the user may postpone it." when:"next setup" enforced:"yes"`
	Retries      *int          `json:"retries,omitzero" default:"0" min:"0" max:"10" doc:"How often a failed step is tried again by itself." when:"next setup" enforced:"yes"`
	TimeLimit    *Duration     `json:"timeLimit,omitzero" default:"2h" doc:"After this long the script counts as failed." when:"next setup" enforced:"yes"`
	Regional     Regional      `json:"regional,omitzero" doc:"Settings of the host that the guest takes over."`
	Actions      []SetupAction `json:"actions,omitzero" doc:"The script: its actions, in order. A revertible workspace may only rename the computer."`
}

// Regional settings of the host.
type Regional struct {
	Formats  *bool `json:"formats,omitzero" default:"false" doc:"Whether the guest takes over language and formats of the host." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	Keyboard *bool `json:"keyboard,omitzero" default:"false" doc:"Whether the guest takes over the keyboard layout of the host." when:"at once" enforced:"yes" guests:"Linux and Windows"`
}

// SetupAction is one step; exactly one of the actions is set.
type SetupAction struct {
	Name                   string                  `json:"name,omitzero" doc:"What the step is called in messages and reports." when:"next setup" enforced:"yes"`
	Once                   Once                    `json:"once,omitzero" default:"machine" doc:"machine: again after the image was updated; workspace: once for the workspace on this client, not after an update." when:"next setup" enforced:"yes"`
	RenameComputer         *RenameComputer         `json:"renameComputer,omitzero" doc:"Gives the computer its name, by the setup's pattern of the name." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Restart                *Restart                `json:"restart,omitzero" doc:"Restarts the guest." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	JoinDomain             *JoinDomain             `json:"joinDomain,omitzero" doc:"Joins the guest to a domain."`
	CheckConnectivity      *CheckConnectivity      `json:"checkConnectivity,omitzero" doc:"Waits until an address answers from the guest."`
	RunCommand             *RunCommand             `json:"runCommand,omitzero" doc:"Runs a command in the guest."`
	DisableAutomaticSignOn *DisableAutomaticSignOn `json:"disableAutomaticSignOn,omitzero" doc:"Turns the guest's automatic sign-on off." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
}

// RenameComputer has no settings of its own.
type RenameComputer struct{}

// Restart has no settings of its own.
type Restart struct{}

// DisableAutomaticSignOn has no settings of its own.
type DisableAutomaticSignOn struct{}

// JoinDomain joins a domain: the one named, or the one the user signed in
// with.
type JoinDomain struct {
	UserDomain         *bool           `json:"userDomain,omitzero" default:"false" doc:"Join the domain that the user signed in with, instead of a given one." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Domain             string          `json:"domain,omitzero" values:"a domain, as corp.example.test" doc:"Full name of the domain." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	NetBIOSName        string          `json:"netbiosName,omitzero" values:"at most 15 characters, as CORP" doc:"Short name of the domain." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	OrganizationalUnit string          `json:"organizationalUnit,omitzero" values:"a distinguished name, as OU=Guests,DC=corp,DC=example,DC=test" doc:"Where the computer is placed." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Credentials        JoinCredentials `json:"credentials,omitzero" default:"one-time" doc:"one-time: a secret that the server makes for this machine alone; user: the user's own; given: those of an account, whose password is a secret of the server." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Account            string          `json:"account,omitzero" doc:"Account that joins, with credentials given." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	PasswordSecret     string          `json:"passwordSecret,omitzero" secret:"yes" pattern:"^[A-Za-z0-9._-]{1,100}$" values:"letters, digits, . _ -" doc:"Name of the secret of the server that holds the account's password. The password itself never stands in a document." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
}

// CheckConnectivity waits for an address.
type CheckConnectivity struct {
	Address string    `json:"address" required:"yes" values:"a host name or an IP address" doc:"Whom to reach." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Port    *int      `json:"port,omitzero" required:"yes" min:"1" max:"65535" doc:"TCP port to connect to." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Timeout *Duration `json:"timeout,omitzero" default:"1m" doc:"How long to try." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
}

// RunCommand runs a command in the guest. The variables {user}, {domain} and
// {computer} stand for the user's name, the user's domain and the computer
// name; a password is never among them.
type RunCommand struct {
	Path             string      `json:"path" required:"yes" values:"a program of the guest" doc:"Program to run." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Arguments        []string    `json:"arguments,omitzero" values:"text; {user} {domain} {computer}" doc:"Its arguments, one by one." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Password         PasswordVia `json:"password,omitzero" default:"none" doc:"How the command gets the user's password: through its standard input, in a file that exists only while it runs, or not at all." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Wait             *bool       `json:"wait,omitzero" default:"true" doc:"Whether the script waits until it has ended." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	FailOnError      *bool       `json:"failOnError,omitzero" default:"true" doc:"Whether an exit status that does not mean success fails the step." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	SuccessStatus    *int        `json:"successStatus,omitzero" default:"0" doc:"The exit status that means success." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	OnlyOnce         *bool       `json:"onlyOnce,omitzero" default:"false" doc:"Never run it again, even after failure or cancel." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	CausesRestart    *bool       `json:"causesRestart,omitzero" default:"false" doc:"Whether the command restarts the guest itself; the script goes on after the restart." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	AllowInteraction *bool       `json:"allowInteraction,omitzero" default:"false" doc:"Whether the command may show windows to the user." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Progress         string      `json:"progress,omitzero" doc:"Message while it runs." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
	Failure          string      `json:"failure,omitzero" doc:"Message when it failed." when:"next setup" enforced:"yes" guests:"Linux and Windows"`
}

// SetupMode says how much of the script the user sees.
type SetupMode string

// How much of the script the user sees.
const (
	SetupAttended SetupMode = "attended"
	SetupNotice   SetupMode = "notice"
	SetupSilent   SetupMode = "silent"
)

// Values lists the values.
func (SetupMode) Values() []string { return []string{"attended", "notice", "silent"} }

// Once says what a setup action belongs to.
type Once string

// What a setup action belongs to.
const (
	OnceMachine   Once = "machine"
	OnceWorkspace Once = "workspace"
)

// Values lists the values.
func (Once) Values() []string { return []string{"machine", "workspace"} }

// JoinCredentials says whose credentials join a domain.
type JoinCredentials string

// Whose credentials join a domain.
const (
	JoinOneTime JoinCredentials = "one-time"
	JoinUser    JoinCredentials = "user"
	JoinGiven   JoinCredentials = "given"
)

// Values lists the values.
func (JoinCredentials) Values() []string { return []string{"one-time", "user", "given"} }

// PasswordVia says how a command gets the user's password.
type PasswordVia string

// How a command gets the user's password.
const (
	PasswordNone  PasswordVia = "none"
	PasswordStdin PasswordVia = "stdin"
	PasswordFile  PasswordVia = "file"
)

// Values lists the values.
func (PasswordVia) Values() []string { return []string{"none", "stdin", "file"} }
