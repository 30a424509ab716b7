package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/dormer-project/dormer"
)

// errNoServer says that no server was named and nobody has signed in.
var errNoServer = fmt.Errorf("%w; no server is known; run 'dormer login --server https://SERVER:PORT --ca FILE --user NAME'", dormer.ErrUnauthenticated)

// errNoFolder says that there is no place for a profile.
var errNoFolder = errors.New("neither XDG_CONFIG_HOME nor HOME is set; name the file with --profile")

// envTokenFile names the variable that stands for --token-file.
const envTokenFile = "DORMER_TOKEN_FILE"

// profile is what the command line keeps between calls. It holds the session's
// token and is therefore written with mode 0600.
type profile struct {
	Account
	// Others are the servers that were worked with before, the last one first.
	Others []Account `toml:"others,omitempty"`
}

// Account is somebody's at a server.
type Account struct {
	Server  string    `toml:"server"`
	CA      string    `toml:"ca,omitempty"` // PEM
	User    string    `toml:"user,omitempty"`
	Token   string    `toml:"token,omitempty"`
	Expires time.Time `toml:"expires,omitempty"`
}

// maxOthers is how many servers are remembered beside the current one.
const maxOthers = 20

// choose makes a server the current one, with what is known of it.
func (p profile) choose(server string) profile {
	if server == p.Server {
		return p
	}
	next := profile{Account: Account{Server: server}}
	if p.Server != "" {
		next.Others = append(next.Others, p.Account)
	}
	for _, o := range p.Others {
		if o.Server == server {
			next.Account = o
		} else if len(next.Others) < maxOthers {
			next.Others = append(next.Others, o)
		}
	}
	return next
}

func (a *app) profileFile() (string, error) {
	if a.profilePath != "" {
		return a.profilePath, nil
	}
	if dir := a.Env("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "dormer", "profile.toml"), nil
	}
	home := a.Env("HOME")
	if home == "" {
		return "", errNoFolder
	}
	return filepath.Join(home, ".config", "dormer", "profile.toml"), nil
}

// loadProfile returns the stored profile with the flags of this call laid over
// it. Of another server than the last one it has what is known of that.
func (a *app) loadProfile() (profile, error) {
	path, err := a.profileFile()
	if err != nil {
		return profile{}, err
	}
	var p profile
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return profile{}, fmt.Errorf("read profile: %w", err)
	default:
		if err := toml.Unmarshal(b, &p); err != nil {
			return profile{}, fmt.Errorf("profile %s: %w (remove it and sign in again)", path, dormer.ErrInvalid)
		}
	}
	return a.overlay(p)
}

// overlay lays the flags of this call over a profile.
func (a *app) overlay(p profile) (profile, error) {
	if server := strings.TrimRight(a.serverURL, "/"); server != "" {
		p = p.choose(server)
	}
	if a.caPath != "" {
		pem, err := os.ReadFile(a.caPath)
		if err != nil {
			return profile{}, fmt.Errorf("read authority: %w", err)
		}
		p.CA = string(pem)
	}
	return p, nil
}

// tokenFile names the file of the API token of this call; empty: none.
func (a *app) tokenFile() string {
	if a.tokenPath != "" {
		return a.tokenPath
	}
	return a.Env(envTokenFile)
}

// apiToken returns the API token of this call, or nothing. Its file must be
// closed to others, as a key's.
func (a *app) apiToken() (string, error) {
	path := a.tokenFile()
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the API token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the API token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", dormer.Invalidf("token-file", "others can read %s; run chmod 600 on it, and if it lay open for long, revoke the token", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read the API token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || len(b) > maxSecret || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", dormer.Invalidf("token-file", "%s does not hold one API token", path)
	}
	return token, nil
}

// saveProfile writes p so that a crash leaves the old or the new one.
func (a *app) saveProfile(p profile) error {
	path, err := a.profileFile()
	if err != nil {
		return err
	}
	b, err := toml.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".profile-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		f.Close()
		return fmt.Errorf("write profile: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}
