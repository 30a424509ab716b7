package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/transfer"
)

// filesCommand is the command that serves files as the user.
const filesCommand = "serve-files"

// channelAccount is the user whom channels are for: who is signed on, else the
// guest's user.
func (g *Guest) channelAccount() (account, error) {
	g.mu.Lock()
	name := g.signed.account
	g.mu.Unlock()
	return g.account(name)
}

// serveFiles answers on the channel of files as the user: in a process of that
// user, so that the system decides what they may read and write.
func (g *Guest) serveFiles(ctx context.Context, conn net.Conn) {
	who, err := g.channelAccount()
	if err != nil {
		g.cfg.Log.Warn("nobody to serve files for", slog.Any("error", err))
		return
	}
	if who.itself() {
		guestwire.ServeHTTP(ctx, conn, filesHandler(who.home))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, ownProgram(), filesCommand)
	cmd.Env, cmd.Dir, cmd.WaitDelay = who.environment(), string(filepath.Separator), outputGrace
	err = who.apply(cmd)
	var in io.WriteCloser
	var out io.ReadCloser
	if err == nil {
		in, err = cmd.StdinPipe()
	}
	if err == nil {
		out, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		g.cfg.Log.Error("files cannot be served", slog.String("user", who.name), slog.Any("error", err))
		return
	}
	go func() {
		// Either may end: the user's process then ends with its input.
		_, _ = io.Copy(in, conn)
		_ = in.Close()
	}()
	_, _ = io.Copy(conn, out) // until that process ends, or the host has gone
	cancel()
	if err := cmd.Wait(); err != nil {
		g.cfg.Log.Debug("files are no longer served", slog.String("user", who.name), slog.Any("error", err))
	}
}

// standardStreams is a connection of a process's input and output.
type standardStreams struct {
	io.Reader
	io.Writer
}

// Close ends the process's life: whoever started it sees that.
func (standardStreams) Close() error { return os.Stdin.Close() }

// serveFilesHere is the process of the user.
func serveFilesHere(ctx context.Context) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("home folder: %w", err)
	}
	guestwire.ServeHTTP(ctx, guestwire.Stream(standardStreams{os.Stdin, os.Stdout}, guestwire.ChannelFiles), filesHandler(home))
	return nil
}

// filesHandler answers requests about files below home and elsewhere.
func filesHandler(home string) http.Handler {
	f := files{home}
	mux := http.NewServeMux()
	on := func(route string, serve func(w http.ResponseWriter, r *http.Request) (any, error)) {
		mux.HandleFunc("POST "+route, func(w http.ResponseWriter, r *http.Request) {
			v, err := serve(w, r)
			reply(w, v, err)
		})
	}
	on(guestwire.FilesStat, about(f, func(p *transfer.Place, file string, _ int64) (any, error) { return p.Stat(file) }))
	on(guestwire.FilesList, about(f, func(p *transfer.Place, file string, _ int64) (any, error) { return p.List(file) }))
	on(guestwire.FilesFolder, about(f, func(p *transfer.Place, file string, _ int64) (any, error) { return nil, p.MakeFolder(file) }))
	on(guestwire.FilesHash, about(f, hashFile))
	on(guestwire.FilesStaged, staging(f, func(s *transfer.Staged, _ guestwire.StageRequest) (any, error) { return stagedFile(s) }))
	on(guestwire.FilesCommit, staging(f, func(s *transfer.Staged, q guestwire.StageRequest) (any, error) {
		return nil, s.Commit(q.Size, q.Modified, q.Executable, q.Overwrite)
	}))
	on(guestwire.FilesDiscard, staging(f, func(s *transfer.Staged, _ guestwire.StageRequest) (any, error) { return nil, s.Discard() }))
	on(guestwire.FilesWrite, f.write)
	mux.HandleFunc("POST "+guestwire.FilesRead, func(w http.ResponseWriter, r *http.Request) {
		if err := f.read(w, r); err != nil {
			reply(w, nil, err)
		}
	})
	return mux
}

// files are those that one user reaches.
type files struct {
	home string
}

// place opens the folder that a path is below: the user's home, or the root of
// the system. Close it.
func (f files) place(name string) (*transfer.Place, string, error) {
	if name == "" || len(name) > transfer.MaxPath || strings.ContainsRune(name, 0) {
		return nil, "", dormer.Invalidf("path", "is empty, too long or not a path")
	}
	root, file := f.home, filepath.FromSlash(name)
	if filepath.IsAbs(file) {
		root = filepath.VolumeName(file) + string(filepath.Separator)
		file = strings.TrimLeft(strings.TrimPrefix(file, filepath.VolumeName(file)), string(filepath.Separator))
	}
	p, err := transfer.OpenPlace(root)
	if err != nil {
		return nil, "", err
	}
	return p, path.Clean(filepath.ToSlash(file)), nil
}

// about answers a request that names a file.
func about(f files, do func(p *transfer.Place, file string, offset int64) (any, error)) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		q, err := question[guestwire.FileRequest](w, r)
		if err != nil {
			return nil, err
		}
		p, file, err := f.place(q.Path)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		return do(p, file, q.Offset)
	}
}

func hashFile(p *transfer.Place, file string, n int64) (any, error) {
	f, e, err := p.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := transfer.HashOf(f, n)
	return guestwire.StagedFile{Size: e.Size, SHA256: sum}, err
}

// staging answers a request about a file that is being received.
func staging(f files, do func(s *transfer.Staged, q guestwire.StageRequest) (any, error)) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		q, err := question[guestwire.StageRequest](w, r)
		if err != nil {
			return nil, err
		}
		return f.staged(q, do)
	}
}

func (f files) staged(q guestwire.StageRequest, do func(s *transfer.Staged, q guestwire.StageRequest) (any, error)) (any, error) {
	p, file, err := f.place(q.Path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	s, err := p.Stage(file, q.Key)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return do(s, q)
}

func stagedFile(s *transfer.Staged) (guestwire.StagedFile, error) {
	n, err := s.Size()
	if err != nil {
		return guestwire.StagedFile{}, err
	}
	sum, err := s.Hash(n)
	return guestwire.StagedFile{File: s.Path(), Size: n, SHA256: sum}, err
}

// write receives bytes of a file.
func (f files) write(_ http.ResponseWriter, r *http.Request) (any, error) {
	var q guestwire.StageRequest
	if err := json.Unmarshal([]byte(r.Header.Get(guestwire.HeaderStage)), &q); err != nil {
		return nil, dormer.Invalidf(guestwire.HeaderStage, "is not the JSON document that is expected there")
	}
	return f.staged(q, func(s *transfer.Staged, q guestwire.StageRequest) (any, error) {
		n, err := s.Write(r.Body, q.Offset, q.Size)
		return guestwire.StagedFile{File: s.Path(), Size: q.Offset + n}, err
	})
}

// read sends the bytes of a file, as many as it had when it was opened.
func (f files) read(w http.ResponseWriter, r *http.Request) error {
	q, err := question[guestwire.FileRequest](w, r)
	if err != nil {
		return err
	}
	p, name, err := f.place(q.Path)
	if err != nil {
		return err
	}
	defer p.Close()
	file, e, err := p.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if q.Offset < 0 || q.Offset > e.Size {
		return fmt.Errorf("read %s: it has %d bytes: %w", q.Path, e.Size, dormer.ErrConflict)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(e.Size-q.Offset, 10))
	w.Header().Set("Last-Modified", e.Modified.Format(time.RFC3339Nano))
	// A host that has gone asks again for the rest; a file that became shorter
	// shows by its length.
	_, _ = io.Copy(w, io.NewSectionReader(file, q.Offset, e.Size-q.Offset))
	return nil
}
