package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// The peer. It is built in a module of its own, since "go install" asks the
// module proxy for more than it may answer.
const (
	desyncProgram = "github.com/folbricht/desync/cmd/desync"
	desyncModule  = "module peer\n\ngo 1.24\n\nrequire github.com/folbricht/desync v1.0.0\n"
)

// runPeers measures desync, and zstd over whole disks, on the same files.
func (b *bench) runPeers(ctx context.Context, firstWire, secondWire int64) error {
	raw1, err := b.raw(ctx, b.v1, "v1.raw")
	if err != nil {
		return err
	}
	raw2, err := b.raw(ctx, b.v2, "v2.raw")
	if err != nil {
		return err
	}
	for job, c := range map[string]struct {
		raw  string
		wire int64
	}{"first": {raw1, firstWire}, "second": {raw2, secondWire}} {
		before := childTime()
		out := filepath.Join(b.dir, job+".zst")
		if err := command(ctx, nil, "zstd", "-q", "-3", "--long", "-f", c.raw, "-o", out); err != nil {
			return err
		}
		info, err := os.Stat(out)
		if err != nil {
			return fmt.Errorf("measure zstd: %w", err)
		}
		b.row(job+".zstd.wire", mib(info.Size()), "MiB")
		b.row(job+".zstd.pack_cpu", (childTime() - before).Seconds(), "s")
		b.row(job+".dormer.wire_to_zstd", float64(c.wire)/float64(info.Size()), "x")
	}
	return b.runDesync(ctx, raw1, raw2, firstWire, secondWire)
}

// raw returns all of a guest as one raw file.
func (b *bench) raw(ctx context.Context, path, name string) (string, error) {
	g, err := openGuest(path)
	if err != nil {
		return "", err
	}
	out := filepath.Join(b.dir, name)
	return out, g.raw(ctx, out)
}

func (b *bench) runDesync(ctx context.Context, raw1, raw2 string, firstWire, secondWire int64) error {
	bin, err := desyncBinary(ctx)
	if err != nil {
		return err
	}
	chunks := filepath.Join(b.dir, "chunks")
	if err := os.Mkdir(chunks, 0o700); err != nil {
		return fmt.Errorf("make chunk folder: %w", err)
	}
	p, err := startProxy(http.FileServer(http.Dir(b.dir)))
	if err != nil {
		return err
	}
	defer p.close()
	seed := filepath.Join(b.dir, "seed.raw")
	for _, v := range []struct {
		job, raw string
		wire     int64
		args     []string
	}{
		{"first", raw1, firstWire, nil},
		{"second", raw2, secondWire, []string{"--seed", filepath.Join(b.dir, "first.caibx")}},
	} {
		index := filepath.Join(b.dir, v.job+".caibx")
		before := childTime()
		if err := command(ctx, nil, bin, "make", "-s", chunks, index, v.raw); err != nil {
			return err
		}
		b.row(v.job+".desync.pack_cpu", (childTime() - before).Seconds(), "s")
		out := filepath.Join(b.dir, "out.raw")
		if v.args == nil {
			out = seed
		} else if err := os.Rename(seed, filepath.Join(b.dir, "first")); err != nil {
			return fmt.Errorf("place seed: %w", err)
		}
		p.take()
		before = childTime()
		args := append([]string{"extract", "-s", p.url + "/chunks"}, v.args...)
		// The index is fetched from the server too.
		if err := command(ctx, nil, bin, append(args, p.url+"/"+v.job+".caibx", out)...); err != nil {
			return err
		}
		wire, requests := p.take()
		b.row(v.job+".desync.client_cpu", (childTime() - before).Seconds(), "s")
		b.row(v.job+".desync.wire", mib(wire), "MiB")
		b.row(v.job+".desync.requests", requests, "requests")
		b.row(v.job+".dormer.wire_to_desync", float64(v.wire)/float64(max(wire, 1)), "x")
	}
	return nil
}

// desyncBinary returns desync, built once and kept in the user's cache.
func desyncBinary(ctx context.Context) (string, error) {
	if bin, err := exec.LookPath("desync"); err == nil {
		return bin, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	dir := filepath.Join(cache, "dormer-bench")
	bin := filepath.Join(dir, "desync")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(desyncModule), 0o600); err != nil {
		return "", fmt.Errorf("make module of desync: %w", err)
	}
	return bin, command(ctx, append(os.Environ(), "GOFLAGS=-mod=mod"), "go", "build", "-C", dir, "-o", bin, desyncProgram)
}

func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %.400s", name, args[0], err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
