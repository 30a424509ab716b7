package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// File is the configuration file of dormer-agent.
type File struct {
	// State is the agent's own folder.
	State string `toml:"state"`
	// Images is the image store.
	Images string `toml:"images"`
	// Socket is where local users reach the agent.
	Socket string `toml:"socket"`
	// Bridges are patterns of the names of the host's adapters that workspaces may
	// be bridged to, where their policy wants it.
	Bridges []string `toml:"bridges"`
	// OpticalDrive is the drive, or the file with the image of a disc, that
	// workspaces get where their policy allows it; "" for none.
	OpticalDrive string `toml:"optical_drive"`
	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel  string `toml:"log_level"`
	LogFormat string `toml:"log_format"`
}

// explanation is the file that `dormer-agent config --explain` prints; %s are
// the defaults.
const explanation = `# Configuration of dormer-agent. What is not set has the default shown.

# Folder of everything the agent keeps: its key, leases, events and machines.
# Only one agent at a time may use it.
#state = %q

# Folder of the images, shared by all users of the computer.
#images = %q

# Unix socket on which users of the computer reach the agent.
#socket = %q

# Network adapters of this computer that workspaces may be bridged to where their
# policy says so: names or patterns, as ["eth0", "br*"]. [] allows none.
#bridges = %s

# Drive for CDs and DVDs, or a file with the image of a disc, that workspaces get
# where their policy allows it; "" gives none.
#optical_drive = %q

# How much is logged: "debug", "info", "warn" or "error"; and as "text" or "json".
#log_level = %q
#log_format = %q
`

// Explain writes a configuration file in which every setting is explained.
func (f File) Explain(w io.Writer) error {
	_, err := fmt.Fprintf(w, explanation, f.State, f.Images, f.Socket, list(f.Bridges), f.OpticalDrive, f.LogLevel, f.LogFormat)
	return err
}

// list is a list as TOML has it.
func list(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// DefaultFile returns the defaults: of the system service, or of an agent that
// runs for one user, whose environment env gives.
func DefaultFile(user bool, env func(string) string) File {
	f := File{
		State: "/var/lib/dormer-agent/state", Images: "/var/lib/dormer-agent/images", Socket: agentapi.SystemSocket,
		Bridges: []string{"*"}, OpticalDrive: "/dev/sr0", LogLevel: "info", LogFormat: "text",
	}
	if user {
		f.Bridges = []string{}
		or := func(name, below string) string {
			if dir := env(name); filepath.IsAbs(dir) {
				return dir
			}
			return filepath.Join(env("HOME"), below)
		}
		f.State = filepath.Join(or("XDG_STATE_HOME", ".local/state"), "dormer", "agent")
		f.Images = filepath.Join(or("XDG_DATA_HOME", ".local/share"), "dormer", "images")
		f.Socket = agentapi.UserSocket(env("XDG_RUNTIME_DIR"))
	}
	return f
}

// DefaultFilePath is where the configuration is looked for when no other file
// is named. It need not exist.
func DefaultFilePath(user bool, env func(string) string) string {
	if !user {
		return "/etc/dormer/agent.toml"
	}
	if dir := env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dormer", "agent.toml")
	}
	return filepath.Join(env("HOME"), ".config", "dormer", "agent.toml")
}

// maxConfigFile is the largest configuration file, in bytes.
const maxConfigFile = 1 << 20

// LoadFile reads the file at path over the defaults. One that must not exist
// may be missing. Errors are *dormer.InvalidError with lines.
func LoadFile(path string, must bool, defaults File) (File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !must:
		return defaults, defaults.Validate()
	case err != nil:
		return File{}, fmt.Errorf("open configuration: %w", err)
	case info.Size() > maxConfigFile:
		return File{}, fmt.Errorf("configuration %s: %w", path, dormer.ErrTooLarge)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("read configuration: %w", err)
	}
	f, err := ParseFile(b, defaults)
	if err != nil {
		return File{}, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return f, nil
}

// ParseFile reads a configuration over the defaults, strictly.
func ParseFile(b []byte, f File) (File, error) {
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		invalid := &dormer.InvalidError{}
		for _, e := range strict.Errors {
			line, _ := e.Position()
			invalid.Fields = append(invalid.Fields, dormer.FieldError{
				Path: strings.Join(e.Key(), "."), Line: line, Message: "is not a setting; 'dormer-agent config --explain' lists them",
			})
		}
		return File{}, invalid
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := e.Position()
		return File{}, &dormer.InvalidError{Fields: []dormer.FieldError{{
			Path: strings.Join(e.Key(), "."), Line: line, Message: "is not valid TOML, or not a string in quotes",
		}}}
	}
	if err != nil {
		return File{}, dormer.Invalidf("", "is not valid TOML")
	}
	return f, f.Validate()
}

// Validate names every wrong setting.
func (f File) Validate() error {
	invalid := &dormer.InvalidError{}
	for _, s := range []struct{ path, value string }{{"state", f.State}, {"images", f.Images}, {"socket", f.Socket}} {
		if !filepath.IsAbs(s.value) {
			message := "must be an absolute path"
			if s.path == "socket" && s.value == "" {
				message = "must be set, since XDG_RUNTIME_DIR is not"
			}
			invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: s.path, Message: message})
		}
	}
	if f.OpticalDrive != "" && !filepath.IsAbs(f.OpticalDrive) {
		invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: "optical_drive", Message: "must be an absolute path, or empty for none"})
	}
	for i, pattern := range f.Bridges {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: fmt.Sprintf("bridges[%d]", i), Message: "must be an adapter's name or a pattern, as br*"})
		}
	}
	if _, err := f.logger(io.Discard); err != nil {
		invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: "log_level", Message: "must be debug, info, warn or error"})
	}
	if f.LogFormat != "text" && f.LogFormat != "json" {
		invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: "log_format", Message: "must be text or json"})
	}
	if len(invalid.Fields) > 0 {
		return invalid
	}
	return nil
}

// logger returns the logger that the file asks for.
func (f File) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return nil, dormer.Invalidf("log_level", "must be debug, info, warn or error")
	}
	o := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
