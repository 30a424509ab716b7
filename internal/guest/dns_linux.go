package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Where name servers are kept.
const (
	resolvConf     = "/etc/resolv.conf"
	resolvedDropIn = "/etc/systemd/resolved.conf.d/50-dormer.conf"
	managerDropIn  = "/etc/NetworkManager/conf.d/50-dormer.conf"
	// ownResolver keeps what the image had, to go back to it.
	ownResolver = "/var/lib/dormer-guest/resolver.json"
)

// ownFile is a file as it was before the host's wishes: a link, text, or none.
type ownFile struct {
	Link string `json:"link,omitempty"`
	Text string `json:"text,omitempty"`
	None bool   `json:"none,omitempty"`
}

// setDNS sets name servers and suffixes: through systemd-resolved where
// resolv.conf is its work, else in resolv.conf.
func (g *Guest) setDNS(ctx context.Context, r guestwire.DNSRequest) error {
	if err := checkDNS(r); err != nil {
		return err
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	if target, err := os.Readlink(g.path(resolvConf)); err == nil && strings.Contains(target, "systemd/resolve/") && isDir("/run/systemd/resolve") {
		return g.setResolved(ctx, r)
	}
	if isDir("/run/NetworkManager") {
		if err := g.dropIn(managerDropIn, managerText(r)); err != nil {
			return err
		}
		if _, err := (tool{args: []string{"nmcli", "general", "reload", "conf"}}).run(ctx); err != nil && !errors.Is(err, dormer.ErrUnsupported) {
			return fmt.Errorf("name servers: %w", err)
		}
	}
	if len(r.Servers)+len(r.Suffixes) == 0 {
		return g.restoreResolver()
	}
	own, err := g.keepResolver()
	if err != nil {
		return err
	}
	return replaceFile(g.path(resolvConf), resolvText(r, own), 0o644, "")
}

// setResolved writes settings for systemd-resolved. Where servers are given,
// they are asked for every name, before those of the network.
func (g *Guest) setResolved(ctx context.Context, r guestwire.DNSRequest) error {
	before, err := os.ReadFile(g.path(resolvedDropIn))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("name servers: %w", err)
	}
	text := resolvedText(r)
	if string(before) == text {
		return nil
	}
	if err := g.dropIn(resolvedDropIn, text); err != nil {
		return err
	}
	if _, err := (tool{args: []string{"systemctl", "--no-ask-password", "restart", "systemd-resolved.service"}}).run(ctx); err != nil {
		return fmt.Errorf("name servers: %w", err)
	}
	return nil
}

// dropIn writes a file of settings, or removes it when there are none.
func (g *Guest) dropIn(name, text string) error {
	name = g.path(name)
	if text == "" {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError("remove", name, err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fileError("write", name, err)
	}
	return replaceFile(name, []byte(text), 0o644, "")
}

// keepResolver notes how resolv.conf was before it was first changed.
func (g *Guest) keepResolver() (ownFile, error) {
	var own ownFile
	kept := g.path(ownResolver)
	text, err := os.ReadFile(kept)
	if err == nil && json.Unmarshal(text, &own) == nil {
		return own, nil
	}
	name := g.path(resolvConf)
	if target, err := os.Readlink(name); err == nil {
		own.Link = target
	} else {
		text, err := os.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			own.None = true
		case err != nil:
			return own, fileError("read", name, err)
		default:
			own.Text = string(text)
		}
	}
	b, err := json.Marshal(own)
	if err != nil {
		return own, err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return own, fileError("write", kept, err)
	}
	return own, replaceFile(kept, b, 0o600, "")
}

func (g *Guest) restoreResolver() error {
	kept := g.path(ownResolver)
	text, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var own ownFile
	if err == nil {
		err = json.Unmarshal(text, &own)
	}
	name := g.path(resolvConf)
	switch {
	case err != nil:
	case own.None:
		if err = os.Remove(name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case own.Link != "":
		err = replaceLink(own.Link, name)
	default:
		err = replaceFile(name, []byte(own.Text), 0o644, "")
	}
	if err != nil {
		return fmt.Errorf("go back to the guest's own name servers: %w", err)
	}
	return os.Remove(kept)
}

const written = "# Written by dormer-guest as the host says.\n"

// resolvText is resolv.conf. Where only suffixes are given, the servers stay
// the guest's own.
func resolvText(r guestwire.DNSRequest, own ownFile) []byte {
	var b strings.Builder
	b.WriteString(written)
	if len(r.Suffixes) > 0 {
		b.WriteString("search " + strings.Join(r.Suffixes, " ") + "\n")
	}
	for _, s := range r.Servers {
		b.WriteString("nameserver " + s + "\n")
	}
	for line := range strings.Lines(own.Text) {
		f := strings.Fields(line)
		if len(f) > 1 && (f[0] == "nameserver" && len(r.Servers) == 0 || f[0] == "search" && len(r.Suffixes) == 0 || f[0] == "options") {
			b.WriteString(strings.Join(f, " ") + "\n")
		}
	}
	return []byte(b.String())
}

func resolvedText(r guestwire.DNSRequest) string {
	if len(r.Servers)+len(r.Suffixes) == 0 {
		return ""
	}
	text := written + "[Resolve]\n"
	domains := r.Suffixes
	if len(r.Servers) > 0 {
		text += "DNS=" + strings.Join(r.Servers, " ") + "\n"
		domains = append([]string{"~."}, domains...)
	}
	return text + "Domains=" + strings.Join(domains, " ") + "\n"
}

func managerText(r guestwire.DNSRequest) string {
	if len(r.Servers)+len(r.Suffixes) == 0 {
		return ""
	}
	return written + "[main]\ndns=none\nrc-manager=unmanaged\n"
}
