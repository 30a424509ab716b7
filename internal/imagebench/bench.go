package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/blobstore"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
)

// The bound on what a second version may move.
const (
	limitRatio = 1.15
	limitExtra = 256 << 10
)

type bench struct {
	v1, v2, temp string
	peers        bool
	// out takes the rows; printErr is the first failure to write one.
	out      io.Writer
	printErr error

	dir   string
	key   *imageformat.RepositoryKey
	sign  *seal.SigningKey
	trust seal.KeySet
	repo  *imagerepo.Repository
}

// row prints a figure.
func (b *bench) row(name string, value any, unit string) {
	format := "images.%s %v %s\n"
	if _, ok := value.(float64); ok {
		format = "images.%s %.2f %s\n"
	}
	if _, err := fmt.Fprintf(b.out, format, name, value, unit); err != nil && b.printErr == nil {
		b.printErr = fmt.Errorf("print figure: %w", err)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func (b *bench) run(ctx context.Context) error {
	if b.v1 == "" || b.v2 == "" {
		return dormer.Invalidf("", "give the disks of both versions with --v1 and --v2")
	}
	var err error
	if b.dir, err = os.MkdirTemp(b.temp, "imagebench-*"); err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(b.dir)
	if err := b.setUp(); err != nil {
		return err
	}
	p, err := startProxy(b.handler())
	if err != nil {
		return err
	}
	defer p.close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	source := &imagesync.HTTPSource{Client: client, BaseURL: p.url}

	first, err := b.pack(ctx, "first", b.v1, source, nil)
	if err != nil {
		return err
	}
	second, err := b.pack(ctx, "second", b.v2, source, []dormer.ImageID{first.Image})
	if err != nil {
		return err
	}
	store, err := imagesync.OpenStore(filepath.Join(b.dir, "store"), imagesync.StoreConfig{})
	if err != nil {
		return err
	}
	defer store.Close()
	p.take()
	firstWire, err := b.deliver(ctx, "first", store, first.Image, source, p)
	if err != nil {
		return err
	}
	b.row("first.dormer.full", mib(first.Manifest.Sizes.Full), "MiB")
	secondWire, err := b.deliver(ctx, "second", store, second.Image, source, p)
	if err != nil {
		return err
	}
	changed, err := b.changedBlocks(store, first.Image, second.Image)
	if err != nil {
		return err
	}
	b.row("second.dormer.changed_blocks", changed.blocks, "blocks")
	b.row("second.dormer.changed_blocks_compressed", mib(changed.compressed), "MiB")
	limit := int64(float64(changed.compressed)*limitRatio) + limitExtra
	b.row("second.dormer.limit", mib(limit), "MiB")
	b.row("second.dormer.ratio", float64(secondWire)/float64(max(changed.compressed, 1)), "x")
	if b.peers {
		if err := b.runPeers(ctx, firstWire, secondWire); err != nil {
			fmt.Fprintln(os.Stderr, "imagebench: peers were not measured:", err)
		}
	}
	if secondWire > limit {
		return fmt.Errorf("second version moved %d bytes, allowed are %d: %w", secondWire, limit, errTooMuch)
	}
	return b.printErr
}

var errTooMuch = errors.New("over the limit")

func (b *bench) setUp() error {
	var err error
	if b.key, err = imageformat.NewRepositoryKey(rand.Reader); err != nil {
		return err
	}
	if b.sign, err = seal.NewSigningKey(rand.Reader); err != nil {
		return err
	}
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		return err
	}
	b.trust = seal.KeySet{Version: 1, Instance: dormer.InstanceID(id), Keys: []seal.PublicKey{{
		ID: b.sign.ID(), Key: b.sign.Public(), Purposes: []seal.Purpose{seal.PurposePublisher, seal.PurposeAuthority},
	}}}
	blobs, err := blobstore.OpenFolder(filepath.Join(b.dir, "repository"))
	if err != nil {
		return err
	}
	b.repo, err = imagerepo.New(blobs, imagerepo.Config{
		Instance: dormer.InstanceID(id), Trust: func() seal.KeySet { return b.trust },
		Sign: func(p []byte) seal.Envelope { return b.sign.Sign(seal.TypeName, p) },
	})
	return err
}

// handler serves the repository's objects as any web server would.
func (b *bench) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blob, err := b.repo.Open(r.Context(), r.URL.Path[1:])
		if err != nil {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		defer blob.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(blob, 0, blob.Size()))
	})
}

func (b *bench) pack(ctx context.Context, job, disk string, source imagepack.Source, bases []dormer.ImageID) (*imagepack.Packed, error) {
	g, err := openGuest(disk)
	if err != nil {
		return nil, err
	}
	o := g.options()
	o.Key, o.Signer, o.Dir = b.key, b.sign, filepath.Join(b.dir, "packed-"+job)
	for _, id := range bases {
		o.Bases = append(o.Bases, imagepack.Base{Image: id, Source: source, Trust: b.trust})
	}
	start, cpu := time.Now(), cpuTime()
	p, err := imagepack.Pack(ctx, o)
	if err != nil {
		return nil, err
	}
	b.row(job+".dormer.pack_cpu", (cpuTime() - cpu).Seconds(), "s")
	b.row(job+".dormer.pack_time", time.Since(start).Seconds(), "s")
	b.row(job+".dormer.pack_peak_memory", mib(peakMemory()), "MiB")
	b.row(job+".dormer.packed_new", mib(p.NewBytes()), "MiB")
	push, err := b.repo.BeginPush(ctx, "bench", p.Envelope)
	if err != nil {
		return nil, err
	}
	for _, o := range push.Missing {
		if err := b.put(ctx, push.ID, p, o); err != nil {
			return nil, err
		}
	}
	_, err = b.repo.Commit(ctx, push.ID, 0, "imagebench")
	return p, err
}

func (b *bench) put(ctx context.Context, push string, p *imagepack.Packed, o imageformat.Object) error {
	f, err := p.Open(o.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.repo.PutObject(ctx, push, o.Name, o.Size, f)
}

func (b *bench) deliver(ctx context.Context, job string, store *imagesync.Store, id dormer.ImageID, source imagesync.Source, p *proxy) (int64, error) {
	start, cpu := time.Now(), cpuTime()
	err := store.Fetch(ctx, id, imagesync.FetchOptions{Source: source, Trust: b.trust, Key: b.key})
	if err != nil {
		return 0, err
	}
	used := cpuTime() - cpu
	wire, requests := p.take()
	b.row(job+".dormer.wire", mib(wire), "MiB")
	b.row(job+".dormer.requests", requests, "requests")
	// Server and proxy run in this process too.
	b.row(job+".dormer.client_and_server_cpu", used.Seconds(), "s")
	b.row(job+".dormer.fetch_time", time.Since(start).Seconds(), "s")
	cpu = cpuTime()
	if err := store.Verify(ctx, id, nil); err != nil {
		return 0, err
	}
	b.row(job+".dormer.verify_cpu", (cpuTime() - cpu).Seconds(), "s")
	return wire, nil
}

type changed struct {
	blocks, compressed int64
}

// changedBlocks compares the disks block by block, by plain reading, and
// compresses the blocks of the second whose content is nowhere in the first,
// each content once, in disk order in pieces of 1 MiB, as zstd does by default.
func (b *bench) changedBlocks(store *imagesync.Store, first, second dormer.ImageID) (changed, error) {
	have := map[[sha256.Size]byte]bool{}
	err := b.eachBlock(store, first, func(p []byte) error {
		have[sha256.Sum256(p)] = true
		return nil
	})
	if err != nil {
		return changed{}, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		return changed{}, fmt.Errorf("make compressor: %w", err)
	}
	var out changed
	var piece bytes.Buffer
	flush := func() {
		out.compressed += int64(len(enc.EncodeAll(piece.Bytes(), nil)))
		piece.Reset()
	}
	err = b.eachBlock(store, second, func(p []byte) error {
		h := sha256.Sum256(p)
		if have[h] {
			return nil
		}
		have[h] = true
		out.blocks++
		piece.Write(p)
		if piece.Len() == imageformat.MaxFrameBlocks*imageformat.BlockSize {
			flush()
		}
		return nil
	})
	if piece.Len() > 0 {
		flush()
	}
	return out, err
}

// eachBlock calls f with each block that is not zero of the delivered image.
func (b *bench) eachBlock(store *imagesync.Store, id dormer.ImageID, f func([]byte) error) error {
	img, err := store.Open(id, b.key)
	if err != nil {
		return err
	}
	defer img.Close()
	buf := make([]byte, imageformat.BlockSize)
	for _, d := range img.Disks() {
		for off := int64(0); off < d.Size(); off += imageformat.BlockSize {
			clear(buf)
			if _, err := d.ReadAt(buf, off); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if imageformat.IsZero(buf) {
				continue
			}
			if err := f(buf); err != nil {
				return err
			}
		}
	}
	return nil
}
