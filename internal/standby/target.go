package standby

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/benbjohnson/litestream"

	"github.com/dormer-project/dormer"
)

// objects are files at a target, by names with slashes. All methods may be
// called at once and repeated. ErrUnavailable when the target does not answer.
type objects interface {
	// Create makes a small object and returns when it is durable; ErrExists
	// when the name is taken. Of two that create one name at once one wins.
	Create(ctx context.Context, name string, b []byte) error
	// Put makes or replaces an object as a whole: size bytes of r.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open reads an object; ErrNotFound when there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// List calls each for every object whose name begins with prefix, which
	// ends in a slash, in no order.
	List(ctx context.Context, prefix string, each func(name string, size int64) error) error
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// Close lets go of connections.
	Close() error
}

// Target is where the copy of an instance is kept.
type Target struct {
	objects
	// replica returns litestream's client for a folder of the target.
	replica func(folder string) litestream.ReplicaClient
	shown   string
}

// TargetConfig says where a target is and how to get in.
type TargetConfig struct {
	// URL is file:///folder, s3://bucket/prefix or sftp://user@host:port/folder.
	URL string
	// Endpoint of an S3 server that is not Amazon's; Region may be empty.
	Endpoint, Region string
	// AccessKey and SecretKey of S3; empty: as the S3 library finds them.
	AccessKey, SecretKey string
	// SSHKeyFile is the private key for SFTP; HostKey is the server's public
	// key as in an authorized_keys file.
	SSHKeyFile, HostKey string
	Logger              *slog.Logger
}

// CheckURL returns ErrInvalid with a reason for people when s is no target.
func CheckURL(s string) error {
	_, err := parseTarget(s)
	return err
}

func parseTarget(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, dormer.Invalidf("target", `must be "file:///folder", "s3://bucket/prefix" or "sftp://user@host/folder"`)
	}
	_, hasPassword := u.User.Password()
	switch {
	case u.Scheme == "file" && u.Host == "" && u.User == nil && filepath.IsAbs(u.Path) && path.Clean(u.Path) != "/":
	case u.Scheme == "s3" && u.Host != "" && u.User == nil:
	case u.Scheme == "sftp" && u.Host != "" && u.User.Username() != "" && !hasPassword && strings.Trim(u.Path, "/") != "":
	default:
		return nil, dormer.Invalidf("target", `must be "file:///folder", "s3://bucket/prefix" or "sftp://user@host/folder"`)
	}
	return u, nil
}

// OpenTarget returns a target without asking it anything yet. The caller
// closes it.
func OpenTarget(c TargetConfig) (*Target, error) {
	u, err := parseTarget(c.URL)
	if err != nil {
		return nil, err
	}
	t := &Target{shown: u.Redacted()}
	switch u.Scheme {
	case "file":
		t.objects, t.replica = openFolder(u.Path)
	case "s3":
		t.objects, t.replica, err = openBucket(u, c)
	default:
		t.objects, t.replica, err = openSFTP(u, c)
	}
	if err != nil {
		return nil, fmt.Errorf("open target %s: %w", t.shown, err)
	}
	if c.Logger != nil {
		quiet, replica := quietly(c.Logger), t.replica
		t.replica = func(folder string) litestream.ReplicaClient {
			r := replica(folder)
			r.SetLogger(quiet)
			return r
		}
	}
	return t, nil
}

// String names the target for people.
func (t *Target) String() string { return t.shown }

// has reports whether there is an object of that name.
func (t *Target) has(ctx context.Context, name string) (bool, error) {
	f, err := t.Open(ctx, name)
	if errors.Is(err, dormer.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_ = f.Close() // that it is there is all
	return true, nil
}

// read returns a whole object of at most limit bytes.
func (t *Target) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	r, err := t.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, away(err))
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: %w", name, dormer.ErrTooLarge)
	}
	return b, nil
}

// away makes an error of no other kind ErrUnavailable: the target does not
// answer.
func away(err error) error {
	if err == nil || dormerKind(err) {
		return err
	}
	return fmt.Errorf("%w: %w", dormer.ErrUnavailable, err)
}

// quiet passes on what somebody should look at.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

// quietly is a logger for litestream, which tells of every step.
func quietly(l *slog.Logger) *slog.Logger { return slog.New(quiet{l.Handler()}) }
