package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/transfer"
)

func newCopy(a *app) *cobra.Command {
	var recursive, overwrite, override bool
	var overrideUser string
	cmd := &cobra.Command{
		Use:   "copy SOURCE... TARGET",
		Short: "Copy files to a workspace or from it",
		Long: `Copies files between this computer and the guest of a workspace. WORKSPACE:PATH is
a file or folder in the guest: absolute, or below the home of its user. Either the
sources are there, or the target. The workspace is started when it does not run.

The policy says which way files may go, which ones, and what examines them before
they are yours. A copy that was interrupted goes on where it ended when the same
command is given again. What exists is not overwritten without --overwrite or your
word. Links and other special files in folders are left out.

With --override, somebody with the permission lets files through that the rules of
the policy refuse: you, or whoever gives name and password.`,
		Example: "  dormer copy report.pdf office:Documents/\n  dormer copy -r office:Documents/2026 .",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
			}
			return nil
		},
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			way, err := wayOf(args[:len(args)-1], args[len(args)-1])
			if err != nil {
				return err
			}
			a.signInUnasked(ctx, c)
			w, err := findWorkspace(ctx, c, way.workspace)
			if err != nil {
				return err
			}
			a.sessionUnasked(ctx, c, w)
			if w, err = a.bringUp(ctx, c, w); err != nil {
				return err
			}
			p := &copier{app: a, agent: c, machine: string(w.Machine), name: w.Name, recursive: recursive, overwrite: overwrite, result: copied{Files: []copiedFile{}}}
			if override || overrideUser != "" {
				if err := p.askOverride(ctx, overrideUser); err != nil {
					return err
				}
			}
			return p.run(ctx, way)
		}),
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "copy folders with everything in them")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that exist")
	cmd.Flags().BoolVar(&override, "override", false, "let refused files through, with the permission of somebody")
	cmd.Flags().StringVar(&overrideUser, "override-user", "", "who gives the permission; the password is asked for")
	return cmd
}

// way is what a command line says: from where to where.
type way struct {
	workspace string
	sources   []string
	target    string
	toGuest   bool
}

// inGuest splits WORKSPACE:PATH. A path with a slash before its colon is one of
// this computer.
func inGuest(arg string) (workspace, file string, ok bool) {
	workspace, file, ok = strings.Cut(arg, ":")
	if !ok || workspace == "" || strings.ContainsAny(workspace, `/\`) {
		return "", "", false
	}
	if file == "" {
		file = "."
	}
	return workspace, file, true
}

func wayOf(sources []string, target string) (way, error) {
	if workspace, file, ok := inGuest(target); ok {
		for _, s := range sources {
			if _, _, there := inGuest(s); there {
				return way{}, usageError{fmt.Errorf("%s and %s are both in a workspace; write ./NAME for a file of this computer with a colon in its name", s, target)}
			}
		}
		return way{workspace: workspace, sources: sources, target: file, toGuest: true}, nil
	}
	w := way{target: target}
	for _, s := range sources {
		workspace, file, ok := inGuest(s)
		if !ok || w.workspace != "" && workspace != w.workspace {
			return way{}, usageError{errors.New("either the sources are in one workspace, or the target is: write WORKSPACE:PATH")}
		}
		w.workspace, w.sources = workspace, append(w.sources, file)
	}
	return w, nil
}

// copied is what was copied, for --json.
type copied struct {
	Files []copiedFile `json:"files"`
	Bytes int64        `json:"bytes"`
	// Failed says what was not, and why.
	Failed []string `json:"failed,omitempty"`
}

type copiedFile struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Bytes  int64  `json:"bytes"`
	// Resumed is how many of them an earlier attempt had brought.
	Resumed int64 `json:"resumed,omitempty"`
}

// copier copies what one command line names.
type copier struct {
	app                  *app
	agent                *agentapi.Client
	machine, name        string
	recursive, overwrite bool
	token                string // of an override
	result               copied
	entries              int
	failed               error // the first
}

// askOverride gets the permission to let refused files through: by the policy,
// or by somebody's name and password.
func (p *copier) askOverride(ctx context.Context, user string) error {
	a := p.app
	if user == "" {
		answer, err := p.agent.Override(ctx, p.machine, agentapi.OverrideRequest{})
		if err == nil {
			p.token = answer.Token
			return nil
		}
		if _, typed := a.terminal(); !typed || !errors.Is(err, dormer.ErrDenied) {
			return err
		}
		fmt.Fprint(a.Err, "Name of who lets refused files through: ")
		if user, err = a.readLine(); err != nil {
			return fmt.Errorf("read the name: %w", err)
		}
	}
	password, err := a.readPassword("Password of "+printable(user), false)
	if err != nil {
		return err
	}
	answer, err := p.agent.Override(ctx, p.machine, agentapi.OverrideRequest{User: user, Password: password})
	if err != nil {
		return err
	}
	p.token = answer.Token
	return nil
}

// run copies everything. One file that does not pass keeps no other from passing.
func (p *copier) run(ctx context.Context, w way) error {
	var err error
	if w.toGuest {
		err = p.toGuest(ctx, w)
	} else {
		err = p.toHost(ctx, w)
	}
	if err != nil {
		return err
	}
	if p.app.json {
		if err := p.app.printJSON(p.result); err != nil {
			return err
		}
	} else if n := len(p.result.Files); n == 1 {
		p.app.tell("%s: %s.", printable(p.result.Files[0].Target), size(p.result.Bytes))
	} else {
		p.app.tell("%d files, %s.", n, size(p.result.Bytes))
	}
	if p.failed != nil && len(p.result.Failed) > 1 {
		return fmt.Errorf("%d files were not copied, the first: %w", len(p.result.Failed), p.failed)
	}
	return p.failed
}

// miss notes that one file was not copied. What keeps all others from being
// copied too is returned.
func (p *copier) miss(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("copy %s: %w; the same command goes on where it ended", what, ctx.Err())
	case errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, dormer.ErrFull):
		return fmt.Errorf("copy %s: %w", what, err)
	}
	err = fmt.Errorf("%s was not copied: %w", what, err)
	p.result.Failed = append(p.result.Failed, err.Error())
	if p.failed == nil {
		p.failed = err
	} else if !p.app.json {
		p.app.warn("%s", printable(err.Error()))
	}
	return nil
}

// count bounds what one command copies.
func (p *copier) count() error {
	if p.entries++; p.entries > transfer.MaxTree {
		return fmt.Errorf("more than %d files and folders: %w", transfer.MaxTree, dormer.ErrTooLarge)
	}
	return nil
}

// mayReplace asks about a file that exists.
func (p *copier) mayReplace(what string) error {
	if p.overwrite {
		return nil
	}
	exists := fmt.Errorf("%s is there already; --overwrite replaces it: %w", what, dormer.ErrExists)
	if _, typed := p.app.terminal(); !typed || p.app.json {
		return exists
	}
	fmt.Fprintf(p.app.Err, "%s is there already. Replace it? [y/N] ", printable(what))
	line, err := p.app.readLine()
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))) {
		return exists
	}
	return nil
}

func (p *copier) toGuest(ctx context.Context, w way) error {
	there, err := p.agent.File(ctx, p.machine, w.target)
	folder := err == nil && there.Kind == transfer.KindFolder
	switch {
	case err != nil && !errors.Is(err, dormer.ErrNotFound):
		return err
	case !folder && (len(w.sources) > 1 || strings.HasSuffix(w.target, "/")):
		return fmt.Errorf("%s:%s is no folder: %w", p.name, w.target, dormer.ErrNotFound)
	}
	for _, source := range w.sources {
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		target := w.target
		if folder {
			full, err := filepath.Abs(source)
			if err != nil {
				return err
			}
			target = path.Join(target, filepath.Base(full))
		}
		if err := p.miss(ctx, source, p.send(ctx, source, target, info, 0)); err != nil {
			return err
		}
	}
	return nil
}

// send copies a file or folder to the guest.
func (p *copier) send(ctx context.Context, source, target string, info fs.FileInfo, depth int) error {
	if err := p.count(); err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return p.sendFile(ctx, source, target)
	case !info.IsDir():
		return fmt.Errorf("it is neither a file nor a folder: %w", dormer.ErrInvalid)
	case !p.recursive:
		return fmt.Errorf("it is a folder; -r copies it with everything in it: %w", dormer.ErrInvalid)
	case depth >= transfer.MaxDepth:
		return fmt.Errorf("folders are deeper than %d: %w", transfer.MaxDepth, dormer.ErrTooLarge)
	}
	all, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	if err := p.agent.MakeFolder(ctx, p.machine, target); err != nil {
		return err
	}
	names := transfer.Names{}
	for _, e := range all {
		from := filepath.Join(source, e.Name())
		info, err := e.Info()
		switch {
		case err != nil:
		case !info.Mode().IsRegular() && !info.IsDir():
			p.app.warn("%s is neither a file nor a folder and is left out", printable(from))
			continue
		default:
			if err = names.Add(e.Name()); err == nil {
				err = p.send(ctx, from, path.Join(target, e.Name()), info, depth+1)
			}
		}
		if err := p.miss(ctx, from, err); err != nil {
			return err
		}
	}
	return nil
}

func (p *copier) sendFile(ctx context.Context, source, target string) error {
	full, err := filepath.Abs(source)
	if err != nil {
		return err
	}
	f, err := os.Open(full)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	e := transfer.Entry{Size: info.Size(), Modified: info.ModTime().UTC()}
	r := agentapi.SendRequest{
		StageRequest: guestwire.StageRequest{
			Path: target, Key: transfer.Key(full, e), Size: e.Size, Modified: e.Modified, Executable: info.Mode().Perm()&0o100 != 0, Overwrite: p.overwrite,
		},
		Source: filepath.Base(full), Override: p.token,
	}
	staged, err := p.agent.StagedFile(ctx, p.machine, r)
	if err != nil {
		return err
	}
	if there, err := p.agent.File(ctx, p.machine, target); err == nil {
		if there.Kind != transfer.KindFile {
			return fmt.Errorf("%s:%s is something else: %w", p.name, target, dormer.ErrExists)
		}
		if err := p.mayReplace(p.name + ":" + target); err != nil {
			return err
		}
		r.Overwrite = true
	}
	if staged.Size > 0 && staged.Size <= e.Size {
		if sum, err := transfer.HashOf(f, staged.Size); err == nil && sum == staged.SHA256 {
			r.Offset = staged.Size
		}
	}
	bar := p.app.newProgress(printable(filepath.Base(source)), e.Size)
	body := &counted{r: io.NewSectionReader(f, r.Offset, e.Size-r.Offset), done: r.Offset, total: e.Size, bar: bar}
	err = p.agent.SendFile(ctx, p.machine, r, body)
	bar.done()
	if err != nil {
		return err
	}
	p.result.add(copiedFile{Source: source, Target: p.name + ":" + target, Bytes: e.Size, Resumed: r.Offset})
	return nil
}

func (c *copied) add(f copiedFile) {
	c.Files = append(c.Files, f)
	c.Bytes += f.Bytes
}

// counted shows how far reading has come.
type counted struct {
	r           io.Reader
	done, total int64
	bar         *progress
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.bar.set(c.done, c.total)
	return n, err
}

func (p *copier) toHost(ctx context.Context, w way) error {
	info, err := os.Stat(w.target)
	folder := err == nil && info.IsDir()
	if !folder && (len(w.sources) > 1 || strings.HasSuffix(w.target, "/")) {
		return fmt.Errorf("%s is no folder: %w", w.target, dormer.ErrNotFound)
	}
	for _, source := range w.sources {
		err := p.receiveSource(ctx, source, w.target, folder)
		if err := p.miss(ctx, p.name+":"+source, err); err != nil {
			return err
		}
	}
	return nil
}

// receiveSource copies one file or folder of the guest to a path here, or into
// the folder that is there.
func (p *copier) receiveSource(ctx context.Context, source, target string, folder bool) error {
	e, err := p.agent.File(ctx, p.machine, source)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(filepath.Clean(target))
	if folder {
		dir, name = target, path.Base(path.Clean(source))
		if name == "." || name == ".." || name == "/" {
			// The home folder has a name that only the guest knows.
			name = e.Name
		}
	}
	if dir == "" {
		dir = "."
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := transfer.CheckName(name); err != nil {
		return err
	}
	place, err := transfer.OpenPlace(dir)
	if err != nil {
		return err
	}
	defer place.Close()
	return p.receive(ctx, place, source, name, e, 0)
}

// receive copies a file or folder of the guest to a path of a place. What the
// guest says is believed nothing.
func (p *copier) receive(ctx context.Context, place *transfer.Place, source, target string, e transfer.Entry, depth int) error {
	if err := p.count(); err != nil {
		return err
	}
	if err := transfer.CheckPath(target); err != nil {
		return err
	}
	switch {
	case e.Kind == transfer.KindFile:
		return p.receiveFile(ctx, place, source, target, e)
	case e.Kind != transfer.KindFolder:
		return fmt.Errorf("it is neither a file nor a folder: %w", dormer.ErrInvalid)
	case !p.recursive:
		return fmt.Errorf("it is a folder; -r copies it with everything in it: %w", dormer.ErrInvalid)
	case depth >= transfer.MaxDepth:
		return fmt.Errorf("folders are deeper than %d: %w", transfer.MaxDepth, dormer.ErrTooLarge)
	}
	all, err := p.agent.FilesIn(ctx, p.machine, source)
	if err != nil {
		return err
	}
	if err := place.MakeFolder(target); err != nil {
		return err
	}
	names := transfer.Names{}
	for _, e := range all {
		from := path.Join(source, e.Name)
		err := names.Add(e.Name)
		switch {
		case err != nil:
			from = source + "/" + printable(e.Name)
		case e.Kind != transfer.KindFile && e.Kind != transfer.KindFolder:
			p.app.warn("%s:%s is neither a file nor a folder and is left out", printable(p.name), printable(from))
			continue
		default:
			err = p.receive(ctx, place, from, path.Join(target, e.Name), e, depth+1)
		}
		if err := p.miss(ctx, p.name+":"+from, err); err != nil {
			return err
		}
	}
	return nil
}

func (p *copier) receiveFile(ctx context.Context, place *transfer.Place, source, target string, e transfer.Entry) error {
	replace := p.overwrite
	if have, err := place.Stat(target); err == nil {
		if have.Kind != transfer.KindFile {
			return fmt.Errorf("%s is something else: %w", place.Path(target), dormer.ErrExists)
		}
		if err := p.mayReplace(place.Path(target)); err != nil {
			return err
		}
		replace = true
	}
	s, err := place.Stage(target, transfer.Key(p.machine+":"+source, e))
	if err != nil {
		return err
	}
	defer s.Close()
	q := agentapi.ReceiveRequest{Path: source, Target: path.Base(target), Override: p.token}
	if q.Offset, err = s.Size(); err == nil && q.Offset > e.Size {
		q.Offset = 0
	}
	if err == nil && q.Offset > 0 {
		q.SHA256, err = s.Hash(q.Offset)
	}
	if err != nil {
		return err
	}
	body, left, err := p.agent.ReceiveFile(ctx, p.machine, q)
	if errors.Is(err, dormer.ErrConflict) && q.Offset > 0 {
		q.Offset, q.SHA256 = 0, ""
		body, left, err = p.agent.ReceiveFile(ctx, p.machine, q)
	}
	if err != nil {
		return errors.Join(err, p.tidy(s, err))
	}
	defer body.Close()
	total := q.Offset + left
	bar := p.app.newProgress(printable(path.Base(source)), total)
	n, err := s.Write(&counted{r: body, done: q.Offset, total: total, bar: bar}, q.Offset, total)
	bar.done()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", err, dormer.ErrUnavailable)
	case n < left:
		return fmt.Errorf("%d of %d bytes have come; the same command goes on there: %w", q.Offset+n, total, dormer.ErrUnavailable)
	}
	if err := p.agent.Received(ctx, p.machine, agentapi.ReceivedRequest{ReceiveRequest: q, Staged: s.Path(), Size: total}); err != nil {
		return errors.Join(err, p.tidy(s, err))
	}
	if err := s.Commit(total, e.Modified, e.Executable, replace); err != nil {
		return errors.Join(err, p.tidy(s, err))
	}
	p.result.add(copiedFile{Source: p.name + ":" + source, Target: place.Path(target), Bytes: total, Resumed: q.Offset})
	return nil
}

// tidy removes what came of a file that will not be there; what only was
// interrupted stays for the next attempt.
func (*copier) tidy(s *transfer.Staged, why error) error {
	if n, err := s.Size(); err == nil && n > 0 && errors.Is(why, dormer.ErrUnavailable) {
		return nil
	}
	return s.Discard()
}
