package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// publisherBlock is the PEM type of a publisher's key file: the seed of an
// Ed25519 key.
const publisherBlock = "DORMER PUBLISHER KEY"

func (a *app) publisherFile() (string, error) {
	path, err := a.profileFile()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(path), "publisher.key"), nil
}

// publisherKey reads the key that signs this administrator's images.
func (a *app) publisherKey() (*seal.SigningKey, error) {
	path, err := a.publisherFile()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no publisher's key at %s; make one with 'dormer publisher create NAME': %w", path, dormer.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read publisher's key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != publisherBlock {
		return nil, fmt.Errorf("%s is not a publisher's key: %w", path, dormer.ErrCorrupt)
	}
	return seal.SigningKeyFromSeed(block.Bytes)
}

// trustedKey reads the publisher's key and says early that the server does not
// trust it.
func (a *app) trustedKey(ctx context.Context, c *apiclient.Client) (*seal.SigningKey, error) {
	key, err := a.publisherKey()
	if err != nil {
		return nil, err
	}
	known, err := c.Publishers(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range known {
		if p.ID == key.ID() {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the server does not trust your publisher's key; 'dormer publisher create NAME' makes it known: %w", dormer.ErrDenied)
}

func newPublisher(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "publisher", Short: "Keys that sign images"},
		newPublisherCreate(a), newPublisherList(a), newPublisherRemove(a))
}

func newPublisherCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "create NAME", Short: "Make a key of your own and let the server trust it", Args: exactArgs(1),
		Example: "  dormer publisher create 'Desktop team'",
		Long: `Makes the key with which 'dormer image pack' signs on this computer, keeps it
beside your profile (mode 0600), and makes the server trust its public half. A
key that is there already is kept and only made known to the server.`,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			key, err := a.publisherKey()
			if errors.Is(err, dormer.ErrNotFound) {
				key, err = a.makePublisherKey()
			}
			if err != nil {
				return err
			}
			known, err := c.Publishers(ctx)
			if err != nil {
				return err
			}
			for _, p := range known {
				if p.ID == key.ID() {
					return a.say(p, "The server trusts your key already, as that of %s (key %s).", p.Name, p.ID)
				}
			}
			p, err := c.AddPublisher(ctx, rest.NewPublisher{Name: args[0], Key: key.Public()})
			if errors.Is(err, dormer.ErrExists) {
				return fmt.Errorf("a publisher of that name %w; choose another", dormer.ErrExists)
			}
			if err != nil {
				return err
			}
			return a.say(p, "The server trusts images that %s signs (key %s).", p.Name, p.ID)
		}),
	}
}

func (a *app) makePublisherKey() (*seal.SigningKey, error) {
	path, err := a.publisherFile()
	if err != nil {
		return nil, err
	}
	key, err := seal.NewSigningKey(a.Rand)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep publisher's key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep publisher's key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: publisherBlock, Bytes: key.Seed()})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep publisher's key: %w", err), os.Remove(path))
	}
	return key, nil
}

func newPublisherList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys whose images the server trusts", Args: noArgs,
		Example: "  dormer publisher list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Publishers(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, p := range all {
				rows[i] = []string{p.Name, string(p.ID)}
			}
			return a.print(all, []string{"NAME", "KEY"}, rows)
		}),
	}
}

func newPublisherRemove(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove KEY", Short: "End the trust in a key; clients refuse images that it signed", Args: exactArgs(1),
		Example: "  dormer publisher remove 3f0c1f2a9be47d15",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if err := a.confirm("Trust in key "+args[0], "removed", args[0], yes); err != nil {
				return err
			}
			err := c.RemovePublisher(ctx, seal.KeyID(args[0]))
			if errors.Is(err, dormer.ErrNotFound) {
				return fmt.Errorf("key %s: %w; 'dormer publisher list' shows those that are trusted", args[0], dormer.ErrNotFound)
			}
			if err != nil {
				return err
			}
			return a.say(struct{}{}, "Key %s is not trusted any more.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
