package qemu

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

const (
	// diskTime is how long qemu-img may take.
	diskTime = 2 * time.Minute
	// spaceForDisk is what must be free before a disk is made, in bytes: its
	// header and tables, with room for the guest to start.
	spaceForDisk = 32 << 20
)

// prepareDisks makes the disks that are missing and returns the key of the
// machine layer.
func (d *Driver) prepareDisks(ctx context.Context, p *plan, secrets hypervisor.Secrets) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	dir, key := p.spec.Dir, hexKey(secrets.DiskKey)
	if err := checkKey(dir, secrets.DiskKey); err != nil {
		return nil, err
	}
	layerKey := key
	if p.spec.Overlay == hypervisor.OverlayDiscard {
		var random [32]byte
		if _, err := rand.Read(random[:]); err != nil {
			return nil, fmt.Errorf("make key of throw-away disk: %w", err)
		}
		layerKey = hexKey(random[:])
	}
	// Making an encrypted disk takes seconds, so that they are made at once.
	g, ctx := errgroup.WithContext(ctx)
	for i, source := range p.spec.Base {
		g.Go(func() error {
			file := filepath.Join(dir, p.layers[i])
			if _, err := os.Stat(file); err == nil {
				return nil
			}
			size, err := d.diskSize(ctx, dir, source)
			if err != nil {
				return err
			}
			return d.create(ctx, file, size, layerKey)
		})
	}
	if data := p.spec.Data; data != nil {
		g.Go(func() error {
			file := filepath.Join(dir, hypervisor.FileData)
			if _, err := os.Stat(file); err == nil {
				return nil
			}
			return d.create(ctx, file, data.Size, key)
		})
	}
	return layerKey, g.Wait()
}

// checkKey compares the key with the one that the disks were made with.
func checkKey(dir string, key []byte) error {
	file := filepath.Join(dir, hypervisor.FileKeyCheck)
	want, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return hypervisor.WriteFile(file, keyCheck(key))
	}
	if err != nil {
		return fmt.Errorf("check disk key: %w", err)
	}
	if subtle.ConstantTimeCompare(want, keyCheck(key)) != 1 {
		return fmt.Errorf("the key does not open the machine's disks: %w", dormer.ErrCorrupt)
	}
	return nil
}

// diskSize asks qemu-img for the size of a base disk.
func (d *Driver) diskSize(ctx context.Context, dir string, source hypervisor.DiskSource) (int64, error) {
	n := baseNode("base", source)
	delete(n, "node-name")
	cmd := exec.CommandContext(ctx, d.cfg.Image, "info", "--output=json", "json:"+n.text())
	cmd.Dir = dir
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("look at base disk: %w", ctx.Err())
		}
		return 0, fmt.Errorf("look at base disk: %w: %s: %w", err, firstLine(errOut.Bytes()), dormer.ErrCorrupt)
	}
	var info struct {
		Size int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal(out, &info); err != nil || info.Size <= 0 {
		return 0, fmt.Errorf("look at base disk: answer is not understood: %w", dormer.ErrCorrupt)
	}
	return info.Size, nil
}

const (
	// noMeasure is what qemu-img says when it could not measure how fast the
	// processor hashes, as on a computer that is very busy; another try helps.
	noMeasure = "Unable to get accurate CPU usage"
	// createTries is how often a disk is tried to be made.
	createTries = 10
)

// create makes an empty encrypted disk, whole or not at all.
func (d *Driver) create(ctx context.Context, file string, size int64, key []byte) error {
	var err error
	for range createTries {
		if err = d.createOnce(ctx, file, size, key); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), noMeasure) {
			return err
		}
	}
	return err
}

func (d *Driver) createOnce(ctx context.Context, file string, size int64, key []byte) error {
	name := filepath.Base(file)
	dir := filepath.Dir(file)
	if free, err := freeSpace(dir); err != nil || free < spaceForDisk {
		return errors.Join(fmt.Errorf("make disk %s: %w", name, dormer.ErrFull), err)
	}
	pipe, err := keyPipe(key)
	if err != nil {
		return err
	}
	defer pipe.Close()
	temporary := name + hypervisor.SuffixTemporary
	cmd := exec.CommandContext(ctx, d.cfg.Image, createArguments(temporary, size, 3)...)
	cmd.Dir = dir
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{pipe}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("make disk %s: %w: %s", name, err, firstLine(out))
		if free, spaceErr := freeSpace(dir); spaceErr == nil && free < spaceForDisk {
			err = fmt.Errorf("%w: %w", err, dormer.ErrFull)
		}
		if removeErr := os.Remove(filepath.Join(dir, temporary)); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	if err := os.Chmod(filepath.Join(dir, temporary), 0o600); err != nil {
		return fmt.Errorf("make disk %s: %w", name, err)
	}
	if err := syncFile(filepath.Join(dir, temporary)); err != nil {
		return fmt.Errorf("make disk %s: %w", name, err)
	}
	if err := os.Rename(filepath.Join(dir, temporary), file); err != nil {
		return fmt.Errorf("make disk %s: %w", name, err)
	}
	return hypervisor.SyncDir(dir)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// keyPipe returns the reading end of a pipe that holds a key. It is short
// enough to be written before anybody reads.
func keyPipe(key []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hand over key: %w", err)
	}
	_, err = w.Write(key)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("hand over key: %w", err), r.Close())
	}
	return r, nil
}
