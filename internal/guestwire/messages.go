package guestwire

import (
	"regexp"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Method names a request or an event.
type Method string

// The requests, with the bodies of request and answer.
const (
	MethodExec      Method = "exec"       // ExecRequest -> ExecResult
	MethodStatus    Method = "status"     // nothing -> Status
	MethodShutdown  Method = "shutdown"   // nothing -> nothing; the guest powers off
	MethodRestart   Method = "restart"    // nothing -> nothing; the guest starts again
	MethodMount     Method = "mount"      // MountRequest -> MountResult
	MethodReadFile  Method = "read-file"  // ReadFileRequest -> ReadFileResult
	MethodWriteFile Method = "write-file" // WriteFileRequest -> nothing
	MethodHostname  Method = "host-name"  // HostnameRequest -> nothing

	MethodTimeZone     Method = "time-zone"       // TimeZoneRequest -> nothing
	MethodClock        Method = "clock"           // ClockRequest -> nothing
	MethodDNS          Method = "dns"             // DNSRequest -> nothing
	MethodRegional     Method = "regional"        // RegionalRequest -> nothing
	MethodNotify       Method = "notify"          // NotifyRequest -> nothing
	MethodLock         Method = "lock"            // nothing -> nothing; locks the sessions of the guest
	MethodUnlock       Method = "unlock"          // nothing -> nothing; the user has proved to the host who they are
	MethodSignOn       Method = "sign-on"         // SignOnRequest -> SignOnResult
	MethodSignOff      Method = "sign-off"        // nothing -> nothing
	MethodDrives       Method = "drives"          // DrivesRequest -> DrivesResult
	MethodJoin         Method = "join"            // JoinRequest -> JoinResult
	MethodConnect      Method = "connect"         // ConnectRequest -> nothing
	MethodNoAutoSignOn Method = "no-auto-sign-on" // nothing -> nothing
	MethodCheck        Method = "check"           // nothing -> CheckResult
	MethodReopen       Method = "reopen"          // ReopenRequest -> nothing
	MethodFolders      Method = "folders"         // FoldersRequest -> FoldersResult
	MethodPrinters     Method = "printers"        // PrintersRequest -> nothing
)

// The events.
const (
	// EventOutput carries output of a command that was asked for with Stream; Output.
	EventOutput Method = "output"
	// EventUsers says that somebody signed on or off in the guest; Status.
	EventUsers Method = "users"
)

// ExecRequest runs one command. There is no shell between: Args are what the
// program gets.
type ExecRequest struct {
	// Args is the program and its arguments. A program without a slash is
	// looked up in the guest's PATH.
	Args []string `json:"args"`
	// Dir is where it starts; empty is the user's home.
	Dir string `json:"dir,omitempty"`
	// Env are additional variables, as NAME=value.
	Env []string `json:"env,omitempty"`
	// User is who runs it: empty is the guest's user (the one who uses the
	// machine), "root" is the guest's administrator, else a user of the guest.
	User string `json:"user,omitempty"`
	// Stdin is what the command reads.
	Stdin []byte `json:"stdin,omitempty"`
	// Timeout ends the command after that time; 0 is no limit.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	// MaxOutput is how many bytes of each output are kept; 0 and more than
	// MaxOutput mean MaxOutput.
	MaxOutput int `json:"max_output,omitempty"`
	// Detach answers as soon as the command runs and lets it go on when the
	// request, the connection and the host's interest have ended: what a click
	// on a published application wants. Its output is discarded.
	Detach bool `json:"detach,omitempty"`
	// Stream sends output as events as it comes instead of keeping it.
	Stream bool `json:"stream,omitempty"`
	// SecretFile is put into a file that only the user who runs the command can
	// read and that is gone when it has ended; DORMER_SECRET_FILE names it.
	SecretFile []byte `json:"secret_file,omitempty"`
	// Interactive lets the command show windows where the user is signed on.
	Interactive bool `json:"interactive,omitempty"`
	// Application counts a detached command among Status.Applications until it ends.
	Application bool `json:"application,omitempty"`
	// Once names a command that is never begun a second time in this guest: the
	// name is kept, durable, before it begins, and ErrExists answers whoever asks
	// again. At most 64 letters, digits and hyphens.
	Once string `json:"once,omitempty"`
}

var onceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// String hides what the command reads.
func (r ExecRequest) String() string {
	return "guestwire.ExecRequest(" + strings.Join(r.Args, " ") + ")"
}

// Validate checks a request that came from outside.
func (r ExecRequest) Validate() error {
	switch {
	case len(r.Args) == 0 || r.Args[0] == "":
		return dormer.Invalidf("args", "a command needs a program")
	case len(r.Args) > MaxArguments:
		return dormer.Invalidf("args", "are more than %d", MaxArguments)
	case len(r.Env) > MaxArguments:
		return dormer.Invalidf("env", "are more than %d", MaxArguments)
	case r.Timeout < 0 || r.Timeout > MaxTimeout:
		return dormer.Invalidf("timeout_ns", "must be between 0 and %s", MaxTimeout)
	case r.MaxOutput < 0:
		return dormer.Invalidf("max_output", "must not be negative")
	case r.Detach && r.Stream:
		return dormer.Invalidf("stream", "a command that is detached has no output to stream")
	case len(r.Stdin) > MaxFile:
		return dormer.Invalidf("stdin", "is longer than %d bytes", MaxFile)
	case len(r.SecretFile) > MaxFile:
		return dormer.Invalidf("secret_file", "is longer than %d bytes", MaxFile)
	case r.Detach && len(r.SecretFile) > 0:
		return dormer.Invalidf("secret_file", "is not for a command that is detached: nobody would remove it")
	case r.Once != "" && !onceForm.MatchString(r.Once):
		return dormer.Invalidf("once", "must be at most 64 letters, digits and hyphens")
	}
	for _, s := range append([]string{r.Dir, r.User}, r.Args...) {
		if strings.ContainsRune(s, 0) {
			return dormer.Invalidf("args", "must not contain a zero byte")
		}
	}
	for _, s := range r.Env {
		name, _, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.ContainsRune(s, 0) {
			return dormer.Invalidf("env", "must be NAME=value")
		}
	}
	return nil
}

// ExecResult is how a command ended.
type ExecResult struct {
	// PID is the number of the process in the guest.
	PID int `json:"pid"`
	// ExitCode is the status of a command that ended by itself, and -1 of one
	// that was ended by a signal or its time.
	ExitCode int `json:"exit_code"`
	// Signal is the number of the signal that ended it, else 0.
	Signal int    `json:"signal,omitempty"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	// Truncated says that there was more output than was kept.
	Truncated bool `json:"truncated,omitempty"`
	// TimedOut says that the command was ended because its time was over.
	TimedOut bool `json:"timed_out,omitempty"`
}

// Output is a piece of a running command's output.
type Output struct {
	// Stream is 1 for standard output, 2 for standard error.
	Stream int    `json:"stream"`
	Data   []byte `json:"data"`
}

// Status is what the guest says of itself.
type Status struct {
	Hostname string `json:"hostname"`
	System   string `json:"system"`
	// Users are the names of who is signed on.
	Users []string `json:"users,omitempty"`
	// Uptime is the time since the guest started.
	Uptime time.Duration `json:"uptime_ns"`
	// Idle is the time since somebody last used the guest. It grows from the
	// guest's start when nobody has.
	Idle time.Duration `json:"idle_ns"`
	// DefaultUser is the user who runs commands that name none.
	DefaultUser string `json:"default_user,omitempty"`
	// Mounted are the mount points of disks that a mount request mounted.
	Mounted []string `json:"mounted,omitempty"`
	// Applications is how many commands with ExecRequest.Application run.
	Applications int `json:"applications,omitempty"`
	// SignedOn is the guest's account of the user whom MethodSignOn signed on.
	SignedOn string `json:"signed_on,omitempty"`
	// Locked says that MethodLock has locked the guest and nobody has unlocked
	// it since.
	Locked bool `json:"locked,omitempty"`
}

// MountRequest mounts a disk of the machine. It is harmless to repeat.
type MountRequest struct {
	// Serial finds the disk; Label finds its file system, and is the label
	// that it is given when it is made.
	Serial string `json:"serial"`
	Label  string `json:"label"`
	// MountPoint is an absolute path, made when it is missing.
	MountPoint string `json:"mount_point"`
	// Format makes a file system when the disk is blank. A disk that has
	// anything on it is never formatted.
	Format bool `json:"format,omitempty"`
	// Owner becomes the owner of a file system that was just made; empty is
	// the guest's user.
	Owner string `json:"owner,omitempty"`
}

// MountResult says what a mount request did.
type MountResult struct {
	Formatted bool `json:"formatted,omitempty"` // a file system was made
	Already   bool `json:"already,omitempty"`   // it was mounted there before
}

// ReadFileRequest reads a small file as the guest's administrator.
type ReadFileRequest struct {
	Path string `json:"path"`
	// Max is the most that is returned; a longer file is ErrTooLarge. 0 means MaxFile.
	Max int `json:"max,omitempty"`
}

// ReadFileResult is a file's content.
type ReadFileResult struct {
	Data []byte `json:"data"`
}

// WriteFileRequest replaces a small file as a whole, as the guest's
// administrator, and makes it durable before the answer.
type WriteFileRequest struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
	// Mode are the permissions; 0 means 0644.
	Mode uint32 `json:"mode,omitempty"`
	// Owner is a user of the guest; empty is the administrator.
	Owner string `json:"owner,omitempty"`
}

// HostnameRequest renames the computer, now and for later starts.
type HostnameRequest struct {
	Name string `json:"name"`
}
