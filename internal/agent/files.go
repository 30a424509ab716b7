package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/transfer"
	"github.com/dormer-project/dormer/internal/wire"
)

// examineTime is how long one command has to examine a file.
const examineTime = 5 * time.Minute

// examined is the word of a command line that stands for the file.
const examined = "{file}"

// passing is what is asked about files of one machine.
type passing struct {
	agent  *Agent
	m      *machine
	uid    uint32
	policy *policy.Effective
}

func (a *Agent) passing(peer agentapi.Peer, which string) (passing, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return passing{}, err
	}
	p, err := m.policyNow()
	if err != nil {
		return passing{}, err
	}
	t := p.Deployment.FileTransfer
	if !t.HostToGuest.Allowed && !t.GuestToHost.Allowed {
		return passing{}, fmt.Errorf("the policy lets no files pass: %w", dormer.ErrDenied)
	}
	return passing{a, m, peer.UID, p}, nil
}

func (p passing) guest(ctx context.Context) (*http.Client, error) {
	return p.agent.channel(ctx, p.m, guestwire.ChannelFiles, "file transfer")
}

// check holds the names of a file, there and here, against the rules of a
// direction. What is refused is told, unless somebody lets it through: then that
// is.
func (p passing) check(rules policy.EffectiveTransfer, token string, names ...string) error {
	r := transfer.Rules{Allowed: rules.Allowed, Extensions: rules.Extensions}
	for _, n := range names {
		err := r.Check(n)
		if err == nil {
			continue
		}
		// Only what the list of extensions refuses can be let through.
		if all := (transfer.Rules{Allowed: r.Allowed}).Check(n); all == nil {
			err = p.refuse(n, token, err)
		} else {
			p.agent.tell(event.New(event.FileRefused, p.agent.now(), cut(dormer.Plain(all), maxDetailText)), p.m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuse tells that a file is refused and returns why, or tells who lets it
// through and returns nil.
func (p passing) refuse(file, token string, why error) error {
	if o, ok := p.agent.overrideOf(p.m, p.uid, token); ok {
		p.agent.tell(event.New(event.FileOverridden, p.agent.now(), fmt.Sprintf("%q by %s: %s", cut(file, maxDetailText), o.user, cut(dormer.Plain(why), maxDetailText))), p.m)
		return nil
	}
	p.agent.tell(event.New(event.FileRefused, p.agent.now(), cut(dormer.Plain(why), maxDetailText)), p.m)
	if !errors.Is(why, dormer.ErrDenied) {
		return why // nobody has refused it yet
	}
	return fmt.Errorf("%s (somebody with the permission may let it through: --override): %w", dormer.Plain(why), dormer.ErrDenied)
}

// File implements agentapi.Files.
func (a *Agent) File(ctx context.Context, peer agentapi.Peer, which, file string) (transfer.Entry, error) {
	p, err := a.passing(peer, which)
	if err != nil {
		return transfer.Entry{}, err
	}
	c, err := p.guest(ctx)
	if err != nil {
		return transfer.Entry{}, err
	}
	return askGuest[transfer.Entry](ctx, c, guestwire.FilesStat, guestwire.FileRequest{Path: file})
}

// FilesIn implements agentapi.Files. Names that must not come here are told to
// whoever asks, with the others: each is checked again when it comes.
func (a *Agent) FilesIn(ctx context.Context, peer agentapi.Peer, which, dir string) ([]transfer.Entry, error) {
	p, err := a.passing(peer, which)
	if err != nil {
		return nil, err
	}
	if !p.policy.Deployment.FileTransfer.GuestToHost.Allowed {
		return nil, fmt.Errorf("the policy does not let files come from the guest: %w", dormer.ErrDenied)
	}
	c, err := p.guest(ctx)
	if err != nil {
		return nil, err
	}
	all, err := askGuest[[]transfer.Entry](ctx, c, guestwire.FilesList, guestwire.FileRequest{Path: dir})
	if len(all) > transfer.MaxEntries {
		return nil, fmt.Errorf("folder %s of the guest: %w", dir, dormer.ErrTooLarge)
	}
	return all, err
}

// MakeFolder implements agentapi.Files.
func (a *Agent) MakeFolder(ctx context.Context, peer agentapi.Peer, which, dir string) error {
	p, err := a.passing(peer, which)
	if err != nil {
		return err
	}
	// Folders have no extensions.
	if err := (transfer.Rules{Allowed: p.policy.Deployment.FileTransfer.HostToGuest.Allowed}).Check(path.Base(dir)); err != nil {
		return err
	}
	c, err := p.guest(ctx)
	if err != nil {
		return err
	}
	_, err = askGuest[any](ctx, c, guestwire.FilesFolder, guestwire.FileRequest{Path: dir})
	return err
}

// StagedFile implements agentapi.Files.
func (a *Agent) StagedFile(ctx context.Context, peer agentapi.Peer, which string, r agentapi.SendRequest) (guestwire.StagedFile, error) {
	p, err := a.passing(peer, which)
	if err != nil {
		return guestwire.StagedFile{}, err
	}
	rules := p.policy.Deployment.FileTransfer.HostToGuest
	if _, ok := a.overrideOf(p.m, p.uid, r.Override); ok {
		rules.Extensions = nil // SendFile tells
	}
	if err := p.check(rules, "", path.Base(r.Path), path.Base(r.Source)); err != nil {
		return guestwire.StagedFile{}, err
	}
	c, err := p.guest(ctx)
	if err != nil {
		return guestwire.StagedFile{}, err
	}
	return askGuest[guestwire.StagedFile](ctx, c, guestwire.FilesStaged, r.StageRequest)
}

// SendFile implements agentapi.Files.
func (a *Agent) SendFile(ctx context.Context, peer agentapi.Peer, which string, r agentapi.SendRequest, body io.Reader) error {
	p, err := a.passing(peer, which)
	if err != nil {
		return err
	}
	rules := p.policy.Deployment.FileTransfer.HostToGuest
	if err := p.check(rules, r.Override, path.Base(r.Path), path.Base(r.Source)); err != nil {
		return err
	}
	if r.Size < 0 || r.Offset < 0 || r.Offset > r.Size {
		return dormer.Invalidf("offset", "must be within the file")
	}
	c, err := p.guest(ctx)
	if err != nil {
		return err
	}
	head, err := json.Marshal(r.StageRequest)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	// No more than was said, and something to tell the end from an interruption.
	bounded := io.NopCloser(io.LimitReader(body, r.Size-r.Offset+1))
	resp, err := sendGuest(ctx, c, http.MethodPost, guestwire.FilesWrite, http.Header{guestwire.HeaderStage: {string(head)}}, bounded)
	if err != nil {
		return err
	}
	var staged guestwire.StagedFile
	err = json.NewDecoder(io.LimitReader(resp.Body, maxChannelAnswer)).Decode(&staged)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("the guest's answer is not as expected: %w", dormer.ErrCorrupt)
	}
	if staged.Size != r.Size {
		return fmt.Errorf("%d of %d bytes have come to the guest; send the rest: %w", staged.Size, r.Size, dormer.ErrUnavailable)
	}
	if err := p.examineInGuest(ctx, rules.Commands, staged.File, path.Base(r.Path)); err != nil {
		if err = p.refuse(path.Base(r.Path), r.Override, err); err != nil {
			_, gone := askGuest[any](context.WithoutCancel(ctx), c, guestwire.FilesDiscard, r.StageRequest)
			return errors.Join(err, gone)
		}
	}
	if _, err := askGuest[any](ctx, c, guestwire.FilesCommit, r.StageRequest); err != nil {
		if errors.Is(err, dormer.ErrExists) {
			_, gone := askGuest[any](context.WithoutCancel(ctx), c, guestwire.FilesDiscard, r.StageRequest)
			return errors.Join(err, gone)
		}
		return err
	}
	a.tell(event.New(event.FileSent, a.now(), cut(r.Path, maxDetailText)), p.m)
	return nil
}

// examineInGuest has the commands of the policy examine a file in the guest, as
// the user there. One of them must accept it; without any it is accepted.
func (p passing) examineInGuest(ctx context.Context, commands []string, file, name string) error {
	if len(commands) == 0 {
		return nil
	}
	vm := p.m.machineNow()
	if vm == nil {
		return fmt.Errorf("the workspace was stopped meanwhile: %w", dormer.ErrUnavailable)
	}
	var st guestwire.Status
	if err := vm.Ask(ctx, guestwire.CapStatus, guestwire.MethodStatus, nil, &st); err != nil {
		return err
	}
	return examine(commands, file, name, func(args []string) (string, error) {
		r, err := vm.Exec(ctx, guestwire.ExecRequest{Args: args, User: st.SignedOn, Timeout: examineTime})
		switch {
		case err != nil:
			return "", err
		case r.TimedOut:
			return "took too long", nil
		case r.ExitCode != 0:
			return fmt.Sprintf("ended with status %d", r.ExitCode), nil
		default:
			return "", nil
		}
	})
}

// examineHere has the commands examine a file that has come from the guest, in
// the user's session process.
func (p passing) examineHere(ctx context.Context, commands []string, file, name string) error {
	if len(commands) == 0 {
		return nil
	}
	c, ok := p.agent.desk(p.uid)
	if !ok {
		return fmt.Errorf("a file from the guest is examined by your session process, and none is connected; 'dormer session --background' begins one: %w", dormer.ErrUnavailable)
	}
	return examine(commands, file, name, func(args []string) (string, error) {
		short, cancel := context.WithTimeout(ctx, examineTime+hostCommandSlack)
		defer cancel()
		r, err := agentapi.AskDesk[agentapi.HostCommandResult](short, c, http.MethodPost, agentapi.DeskHostCommand, agentapi.HostCommandRequest{Args: args, Timeout: examineTime})
		switch {
		case err != nil:
			return "", err
		case r.Problem != "":
			return cut(r.Problem, maxDetailText), nil
		case r.TimedOut:
			return "took too long", nil
		case r.ExitStatus != 0:
			return fmt.Sprintf("ended with status %d", r.ExitStatus), nil
		default:
			return "", nil
		}
	})
}

// examine runs commands on a file, which shall get that name, until one accepts it. run returns why one does
// not, "" when it does.
func examine(commands []string, file, name string, run func(args []string) (string, error)) error {
	var whys []string
	for _, line := range commands {
		args, err := policy.SplitCommand(line)
		if err != nil || len(args) == 0 {
			whys = append(whys, "the command line in the policy is not valid")
			continue
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], examined, file)
		}
		why, err := run(args)
		if err != nil {
			why = dormer.Plain(err)
		}
		if why == "" {
			return nil
		}
		whys = append(whys, cut(args[0], maxDetailText)+": "+why)
	}
	return fmt.Errorf("file %q was examined and is refused: %s: %w", name, strings.Join(whys, "; "), dormer.ErrDenied)
}

// ReceiveFile implements agentapi.Files.
func (a *Agent) ReceiveFile(ctx context.Context, peer agentapi.Peer, which string, r agentapi.ReceiveRequest) (io.ReadCloser, int64, error) {
	p, err := a.passing(peer, which)
	if err != nil {
		return nil, 0, err
	}
	if err := p.check(p.policy.Deployment.FileTransfer.GuestToHost, r.Override, path.Base(r.Path), path.Base(r.Target)); err != nil {
		return nil, 0, err
	}
	c, err := p.guest(ctx)
	if err != nil {
		return nil, 0, err
	}
	if r.Offset > 0 {
		there, err := askGuest[guestwire.StagedFile](ctx, c, guestwire.FilesHash, guestwire.FileRequest{Path: r.Path, Offset: r.Offset})
		if err != nil {
			return nil, 0, err
		}
		if there.SHA256 != r.SHA256 {
			return nil, 0, fmt.Errorf("what has come of the file is not how it begins: %w", dormer.ErrConflict)
		}
	}
	question, err := json.Marshal(guestwire.FileRequest{Path: r.Path, Offset: r.Offset})
	if err != nil {
		return nil, 0, fmt.Errorf("encode request: %w", err)
	}
	resp, err := sendGuest(ctx, c, http.MethodPost, guestwire.FilesRead, nil, strings.NewReader(string(question)))
	if err != nil {
		return nil, 0, err
	}
	if resp.ContentLength < 0 {
		return nil, 0, errors.Join(fmt.Errorf("the guest does not say how long the file is: %w", dormer.ErrCorrupt), resp.Body.Close())
	}
	return resp.Body, resp.ContentLength, nil
}

// Received implements agentapi.Exchange.
func (a *Agent) Received(ctx context.Context, peer agentapi.Peer, which string, r agentapi.ReceivedRequest) error {
	p, err := a.passing(peer, which)
	if err != nil {
		return err
	}
	rules := p.policy.Deployment.FileTransfer.GuestToHost
	if o, ok := a.overrideOf(p.m, p.uid, r.Override); !ok || o.user == "" {
		if err := p.check(rules, "", path.Base(r.Path), path.Base(r.Target)); err != nil {
			return err
		}
	}
	if !filepath.IsAbs(r.Staged) {
		return dormer.Invalidf("staged", "must be absolute")
	}
	if err := p.examineHere(ctx, rules.Commands, r.Staged, path.Base(r.Target)); err != nil {
		if err = p.refuse(path.Base(r.Path), r.Override, err); err != nil {
			return err
		}
	}
	a.tell(event.New(event.FileReceived, a.now(), cut(r.Path, maxDetailText)), p.m)
	return nil
}

// override is the permission of somebody to let refused files through.
type override struct {
	machine dormer.MachineID
	uid     uint32
	user    string
	until   time.Time
}

// Bounds of overrides.
const (
	overrideTime = 15 * time.Minute
	maxOverrides = 20 // of one user of the computer
)

// overrideOf finds the override that a token stands for.
func (a *Agent) overrideOf(m *machine, uid uint32, token string) (override, bool) {
	a.links.mu.Lock()
	defer a.links.mu.Unlock()
	o, ok := a.links.granted[token]
	if !ok || token == "" || o.machine != m.id || o.uid != uid || a.now().After(o.until) {
		return override{}, false
	}
	return o, true
}

// Override implements agentapi.Exchange: by the policy where it says that the
// machine's user may, else by the server.
func (a *Agent) Override(ctx context.Context, peer agentapi.Peer, which string, r agentapi.OverrideRequest) (agentapi.OverrideAnswer, error) {
	p, err := a.passing(peer, which)
	if err != nil {
		return agentapi.OverrideAnswer{}, err
	}
	p.m.mu.Lock()
	who := p.m.record.User.Name
	p.m.mu.Unlock()
	switch {
	case r.User == "" && !p.policy.Deployment.FileTransfer.MayOverride:
		return agentapi.OverrideAnswer{}, fmt.Errorf("you may not let refused files through; somebody who may must give a name and password: %w", dormer.ErrDenied)
	case r.User != "":
		a.mu.Lock()
		up := a.link
		a.mu.Unlock()
		if up == nil {
			return agentapi.OverrideAnswer{}, fmt.Errorf("this computer is not enrolled: %w", dormer.ErrUnavailable)
		}
		answer, err := up.Override(ctx, wire.OverrideRequest{Machine: p.m.id, User: r.User, Password: r.Password})
		if err != nil {
			return agentapi.OverrideAnswer{}, err
		}
		who = answer.User.Name
	}
	token, err := dormer.NewID(a.random)
	if err != nil {
		return agentapi.OverrideAnswer{}, fmt.Errorf("make an override: %w", err)
	}
	now, others := a.now(), 0
	a.links.mu.Lock()
	defer a.links.mu.Unlock()
	for t, o := range a.links.granted {
		switch {
		case now.After(o.until):
			delete(a.links.granted, t)
		case o.uid == p.uid:
			others++
		}
	}
	if others >= maxOverrides {
		return agentapi.OverrideAnswer{}, fmt.Errorf("too many overrides at the same time: %w", dormer.ErrUnavailable)
	}
	if a.links.granted == nil {
		a.links.granted = map[string]override{}
	}
	a.links.granted[token] = override{machine: p.m.id, uid: p.uid, user: who, until: now.Add(overrideTime)}
	return agentapi.OverrideAnswer{User: who, Token: token}, nil
}
