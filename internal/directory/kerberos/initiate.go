package kerberos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/dormer-project/dormer"
)

// maxCache is the largest ticket cache that is read, in bytes.
const maxCache = 16 << 20

// Client says where a user's tickets and the realms are found.
type Client struct {
	// Cache is KRB5CCNAME; empty: what the configuration names, else
	// FILE:/tmp/krb5cc_UID.
	Cache string
	// Config is KRB5_CONFIG: files, separated by colons; empty: /etc/krb5.conf,
	// which may be absent.
	Config string
	// UID is the user's number.
	UID int
	Now func() time.Time
}

// Initiate makes the SPNEGO token that presents the ticket of the user to a
// service such as HTTP/dormer.example.com. It asks the domain for the ticket
// when the cache has only the one to get others with, and delegates nothing.
// ErrUnauthenticated when there is no ticket or it has expired, ErrUnsupported
// for a cache that is not a file, ErrUnavailable when the domain does not
// answer, ErrNotFound when it does not know the service.
func Initiate(ctx context.Context, c Client, service string) ([]byte, error) {
	conf, err := loadConf(c.Config)
	if err != nil {
		return nil, err
	}
	cache, err := c.cache(conf)
	if err != nil {
		return nil, err
	}
	realm := cache.GetClientRealm()
	ticket, ok := cache.GetEntry(types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/"+realm))
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no Kerberos ticket: run kinit: %w", dormer.ErrUnauthenticated)
	case !c.Now().Before(ticket.EndTime):
		return nil, fmt.Errorf("the Kerberos ticket expired at %s: run kinit: %w", ticket.EndTime.UTC().Format(time.RFC3339), dormer.ErrUnauthenticated)
	}
	type outcome struct {
		token []byte
		err   error
	}
	done := make(chan outcome, 1) // the library knows no context
	go func() {
		token, err := initiate(cache, conf.Config, service)
		done <- outcome{token, err}
	}()
	select {
	case o := <-done:
		return o.token, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("get a Kerberos ticket for %s: %w", service, ctx.Err())
	}
}

func initiate(cache *credentials.CCache, conf *config.Config, service string) (token []byte, err error) {
	defer func() {
		if recover() != nil {
			token, err = nil, fmt.Errorf("get a Kerberos ticket for %s: the answer is malformed: %w", service, dormer.ErrCorrupt)
		}
	}()
	cl, err := client.NewFromCCache(cache, conf, client.DisablePAFXFAST(true))
	if err != nil {
		return nil, fmt.Errorf("the Kerberos ticket cannot be read: run kinit: %w", dormer.ErrUnauthenticated)
	}
	defer cl.Destroy()
	ticket, key, err := cl.GetServiceTicket(service)
	if err != nil {
		return nil, fmt.Errorf("get a Kerberos ticket for %s: %w", service, explain(err))
	}
	init, err := spnego.NewNegTokenInitKRB5(cl, ticket, key)
	if err != nil {
		return nil, fmt.Errorf("make a Kerberos token for %s: %w", service, err)
	}
	token, err = (&spnego.SPNEGOToken{Init: true, NegTokenInit: init}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("make a Kerberos token for %s: %w", service, err)
	}
	return token, nil
}

// answers of a domain that say more than that it failed. The library keeps
// their text alone.
var answers = []struct {
	code int32
	err  error
}{
	{errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN, fmt.Errorf("the domain knows no such service; the server's administrator registers the name (SPN): %w", dormer.ErrNotFound)},
	{errorcode.KRB_AP_ERR_TKT_EXPIRED, fmt.Errorf("the ticket has expired: run kinit: %w", dormer.ErrUnauthenticated)},
	{errorcode.KRB_AP_ERR_SKEW, fmt.Errorf("the clocks of this computer and the domain are too far apart: %w", dormer.ErrUnauthenticated)},
	{errorcode.KDC_ERR_CLIENT_REVOKED, fmt.Errorf("the domain says that the account may not be used: %w", dormer.ErrUnauthenticated)},
	{errorcode.KDC_ERR_TGT_REVOKED, fmt.Errorf("the domain has revoked the ticket: run kinit: %w", dormer.ErrUnauthenticated)},
	{errorcode.KDC_ERR_ETYPE_NOSUPP, fmt.Errorf("the account of the service has no keys of an encryption type that is used here: %w", dormer.ErrUnsupported)},
}

func explain(err error) error {
	for _, a := range answers {
		if strings.Contains(err.Error(), errorcode.Lookup(a.code)) {
			return a.err
		}
	}
	return fmt.Errorf("%w: %w", dormer.ErrUnavailable, err)
}

// cache reads the user's tickets.
func (c Client) cache(conf conf) (*credentials.CCache, error) {
	name, where := c.Cache, "KRB5CCNAME"
	if name == "" {
		name, where = strings.ReplaceAll(strings.ReplaceAll(conf.cache, "%{uid}", fmt.Sprint(c.UID)), "%{euid}", fmt.Sprint(c.UID)), "default_ccache_name"
	}
	own := name == "" // in a folder where others can write
	if own {
		name = fmt.Sprintf("FILE:/tmp/krb5cc_%d", c.UID)
	}
	kind, path, ok := strings.Cut(name, ":")
	if !ok || strings.HasPrefix(name, "/") {
		kind, path = "FILE", name
	}
	if kind != "FILE" {
		return nil, fmt.Errorf("the Kerberos tickets are kept in %s:, of which only files are read: set default_ccache_name = FILE:/tmp/krb5cc_%%{uid} in /etc/krb5.conf, or KRB5CCNAME=FILE:..., and run kinit (%s says otherwise now): %w",
			kind, where, dormer.ErrUnsupported)
	}
	b, err := c.readCache(path, own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no Kerberos ticket in %s: run kinit: %w", path, dormer.ErrUnauthenticated)
	}
	if err != nil {
		return nil, fmt.Errorf("read Kerberos tickets: %w", err)
	}
	cache, err := parseCache(b)
	if err != nil {
		return nil, fmt.Errorf("read the Kerberos tickets in %s: %w", path, err)
	}
	return cache, nil
}

func (c Client) readCache(path string, own bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); own && (!ok || int(sys.Uid) != c.UID) {
		return nil, fmt.Errorf("%s belongs to somebody else: %w", path, dormer.ErrDenied)
	}
	return readAll(f, path, maxCache)
}
