package standby

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/litestream"
	lssftp "github.com/benbjohnson/litestream/sftp"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// sshTime bounds how long a connection may take.
const sshTime = 30 * time.Second

// overSSH is a target on another host, over SFTP.
type overSSH struct {
	host, user, dir string
	signer          ssh.Signer
	hostKey         ssh.PublicKey
	written         atomic.Int64 // for names of what is being written

	mu         sync.Mutex // guards the fields below
	connection *ssh.Client
	client     *sftp.Client
}

func openSFTP(u *url.URL, c TargetConfig) (objects, func(string) litestream.ReplicaClient, error) {
	key, err := os.ReadFile(c.SSHKeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read the private key: %w", durable.Kind(err))
	}
	o := &overSSH{host: u.Host, user: u.User.Username(), dir: path.Clean(u.Path)}
	if o.signer, err = ssh.ParsePrivateKey(key); err != nil {
		return nil, nil, dormer.Invalidf("ssh_key_file", "does not hold a private key without a passphrase")
	}
	if o.hostKey, _, _, _, err = ssh.ParseAuthorizedKey([]byte(c.HostKey)); err != nil {
		return nil, nil, dormer.Invalidf("ssh_host_key", `must be the host's public key, as "ssh-ed25519 AAAA..."`)
	}
	if u.Port() == "" {
		o.host = net.JoinHostPort(u.Hostname(), "22")
	}
	return o, func(folder string) litestream.ReplicaClient {
		r := lssftp.NewReplicaClient()
		r.Host, r.User, r.KeyPath, r.HostKey = o.host, o.user, c.SSHKeyFile, c.HostKey
		r.Path = path.Join(o.dir, folder)
		r.ConcurrentWrites = false // what is cut short must not have holes
		return r
	}, nil
}

// session returns the connection, made anew when the last one broke.
func (o *overSSH) session(ctx context.Context) (*sftp.Client, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client != nil {
		return o.client, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sshTime)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", o.host)
	if err != nil {
		return nil, away(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	sc, channels, requests, err := ssh.NewClientConn(c, o.host, &ssh.ClientConfig{
		User: o.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(o.signer)}, HostKeyCallback: ssh.FixedHostKey(o.hostKey),
		HostKeyAlgorithms: []string{o.hostKey.Type()}, Timeout: sshTime,
	})
	if err != nil {
		return nil, away(errors.Join(err, c.Close()))
	}
	connection := ssh.NewClient(sc, channels, requests)
	client, err := sftp.NewClient(connection)
	if err != nil {
		return nil, away(errors.Join(err, connection.Close()))
	}
	o.connection, o.client = connection, client
	return client, nil
}

// do runs f on the connection; when it broke the next call makes another.
func (o *overSSH) do(ctx context.Context, what, name string, f func(c *sftp.Client) error) error {
	c, err := o.session(ctx)
	if err == nil {
		err = f(c)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		_ = o.Close() // it is broken
	}
	return fmt.Errorf("%s %s: %w", what, name, away(durable.Kind(err)))
}

func (o *overSSH) path(name string) string { return path.Join(o.dir, name) }

// write puts content aside and returns where.
func (o *overSSH) write(c *sftp.Client, name string, r io.Reader, size int64) (string, error) {
	if err := c.MkdirAll(path.Dir(o.path(name))); err != nil {
		return "", err
	}
	tmp := path.Join(path.Dir(o.path(name)), "."+path.Base(name)+"-"+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(o.written.Add(1), 10))
	f, err := c.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return "", err
	}
	err = f.Chmod(0o600)
	var n int64
	if err == nil {
		n, err = io.Copy(f, io.LimitReader(r, size+1))
	}
	if err == nil && n != size {
		err = dormer.Invalidf("", "content is not %d bytes long", size)
	}
	if err == nil {
		err = f.Sync()
		if e, ok := errors.AsType[*sftp.StatusError](err); ok && e.FxCode() == sftp.ErrSSHFxOpUnsupported {
			err = nil // a server without fsync@openssh.com decides by itself
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, c.Remove(tmp))
	}
	return tmp, nil
}

func (o *overSSH) Create(ctx context.Context, name string, b []byte) error {
	return o.do(ctx, "create", name, func(c *sftp.Client) error {
		tmp, err := o.write(c, name, strings.NewReader(string(b)), int64(len(b)))
		if err != nil {
			return err
		}
		// A hard link fails when the name is taken.
		err = c.Link(tmp, o.path(name))
		if err != nil {
			if _, there := c.Lstat(o.path(name)); there == nil {
				err = fmt.Errorf("%w: %w", dormer.ErrExists, err)
			}
		}
		return errors.Join(err, c.Remove(tmp))
	})
}

func (o *overSSH) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	return o.do(ctx, "put", name, func(c *sftp.Client) error {
		tmp, err := o.write(c, name, r, size)
		if err != nil {
			return err
		}
		return c.PosixRename(tmp, o.path(name))
	})
}

func (o *overSSH) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	var f *sftp.File
	err := o.do(ctx, "open", name, func(c *sftp.Client) (err error) {
		f, err = c.Open(o.path(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (o *overSSH) List(ctx context.Context, prefix string, each func(name string, size int64) error) error {
	return o.do(ctx, "list", prefix, func(c *sftp.Client) error {
		for w := c.Walk(o.path(prefix)); w.Step(); {
			switch err := w.Err(); {
			case errors.Is(err, fs.ErrNotExist):
				continue // gone meanwhile
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case strings.HasPrefix(path.Base(w.Path()), ".") || !w.Stat().Mode().IsRegular():
				continue
			}
			if err := each(strings.TrimPrefix(w.Path(), o.dir+"/"), w.Stat().Size()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *overSSH) Delete(ctx context.Context, name string) error {
	return o.do(ctx, "delete", name, func(c *sftp.Client) error {
		if err := c.Remove(o.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (o *overSSH) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client == nil {
		return nil
	}
	_ = o.client.Close() // the connection below ends it in any case
	err := o.connection.Close()
	o.client, o.connection = nil, nil
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
