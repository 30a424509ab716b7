package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/join"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/vault"
)

// makeVault opens the secrets that administrators leave here.
func (s *Server) makeVault(context.Context) error {
	key, err := derive(s.keys.escrow, "secrets of administrators")
	if err != nil {
		return err
	}
	s.vault, err = vault.New(s.state, key, s.deps.Random, s.deps.Now)
	return err
}

// makeJoins composes what prepares computers, one for each domain that has a
// section directories.join.
func (s *Server) makeJoins(context.Context) error {
	var mounts []domainjoin.Mount
	for i, d := range s.cfg.Directories {
		if d.Join == (JoinConfig{}) {
			continue
		}
		c := d.joins(s.instance)
		c.Directory.Now, c.Directory.Logger = s.deps.Now, s.deps.Logger
		var err error
		if c.Directory.Authority, err = readAuthority(directorySetting(i, "authority"), d.Authority); err != nil {
			return err
		}
		if d.Join.BindPasswordFile != "" {
			setting := directorySetting(i, "join.bind_password_file")
			c.Directory.Password = func() (string, error) { return readSecret(setting, d.Join.BindPasswordFile) }
			if _, err := c.Directory.Password(); err != nil {
				return err
			}
		}
		if d.Join.Keytab != "" {
			if err := checkKeytab(directorySetting(i, "join.keytab"), d.Join.Keytab); err != nil {
				return err
			}
		}
		made, err := join.New(c)
		if err != nil {
			return fmt.Errorf("setting %s: %w", inTable("directories", i, "join"), err)
		}
		s.onClose(made.Close)
		mounts = append(mounts, domainjoin.Mount{Domain: made, Directory: d.Name, DNS: d.Domain, NetBIOS: d.NetBIOS})
	}
	s.joins = domainjoin.New(domainjoin.Config{
		Domains: mounts, Store: s.state, Secrets: s.vault, Machine: s.hasMachine, Audit: s.audit,
		Now: s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	})
	return nil
}

// hasMachine reports whether the instance has a machine, whichever server made it.
func (s *Server) hasMachine(ctx context.Context, id dormer.MachineID) (bool, error) {
	all, err := s.state.Machines(ctx)
	return slices.ContainsFunc(all, func(m lease.Machine) bool { return m.ID == id }), err
}
