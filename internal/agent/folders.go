package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/policy"
)

// arrangeFolders mounts the shared folders in the guest, and unmounts those that
// the policy does not share any more. One that the host does not have is told.
func arrangeFolders(ctx context.Context, g guest) error {
	shared := g.p.Deployment.SharedFolders
	if len(shared) == 0 {
		if g.first {
			return nil
		}
		err := g.vm.Ask(ctx, guestwire.CapFolders, guestwire.MethodFolders, guestwire.FoldersRequest{}, nil)
		if errors.Is(err, dormer.ErrUnsupported) {
			err = nil // then it has none
		}
		return err
	}
	a := g.m.agent
	a.serveChannel(g, guestwire.ChannelFolders, a.foldersHandler(g.m))
	c, ok := a.desk(g.m.uid)
	if !ok {
		return errNoDesk // it is arranged again when it is
	}
	var question guestwire.FoldersRequest
	var missing []error
	for i, f := range shared {
		q := agentapi.SharedFolder{Name: sharedName(shared, i), Path: f.Path, ReadOnly: f.Access != policy.FolderReadWrite}
		short, cancel := context.WithTimeout(ctx, deskTime)
		_, err := agentapi.AskDesk[struct{}](short, c, http.MethodPost, agentapi.DeskFolder, q)
		cancel()
		if err != nil {
			missing = append(missing, fmt.Errorf("folder %s (%s) of the host: %w", f.Name, f.Path, err))
			continue
		}
		question.Folders = append(question.Folders, guestwire.Folder{Name: q.Name, ReadOnly: q.ReadOnly})
	}
	err := g.vm.Ask(ctx, guestwire.CapFolders, guestwire.MethodFolders, question, nil)
	return errors.Join(append(missing, err)...)
}

// deskCame arranges the guests of a user again whose session process has
// connected: what needs it was left undone.
func (a *Agent) deskCame(uid uint32) {
	_, all := a.all()
	for _, m := range all {
		if m.uid == uid {
			m.rearrange()
		}
	}
}

// sharedName is the name of a shared folder in the guest. Grants may give several
// folders the same: the later ones get a number.
func sharedName(all []policy.SharedFolder, i int) string {
	n := 1
	for _, f := range all[:i] {
		if sameName(f.Name, all[i].Name) {
			n++
		}
	}
	if n == 1 {
		return all[i].Name
	}
	return fmt.Sprintf("%s %d", all[i].Name, n)
}

// foldersHandler answers a guest that uses shared folders: by the session process
// of the machine's user, as long as the policy shares them.
func (a *Agent) foldersHandler(m *machine) http.Handler {
	to := a.deskProxy(m, func(r *httputil.ProxyRequest) {
		r.Out.URL.Path, r.Out.URL.RawPath = agentapi.DeskFolders+r.In.URL.Path, ""
		if r.In.URL.RawPath != "" {
			r.Out.URL.RawPath = agentapi.DeskFolders + r.In.URL.RawPath
		}
		r.Out.Header.Set(agentapi.HeaderFolder, r.In.Header.Get(agentapi.HeaderFolder))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := m.sharedFolder(r.URL.Path)
		if err == nil {
			err = m.usable()
		}
		if err != nil {
			refuseGuest(w, err)
			return
		}
		b, err := json.Marshal(f)
		if err != nil {
			refuseGuest(w, err)
			return
		}
		r.Header.Set(agentapi.HeaderFolder, url.QueryEscape(string(b)))
		to.ServeHTTP(w, r)
	})
}

// sharedFolder is the folder that a guest's path is in.
func (m *machine) sharedFolder(path string) (agentapi.SharedFolder, error) {
	p, err := m.policyNow()
	if err != nil {
		return agentapi.SharedFolder{}, err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	all := p.Deployment.SharedFolders
	i := slices.IndexFunc(all, func(f policy.SharedFolder) bool { return sameName(f.Name, name) })
	for j := range all {
		if sharedName(all, j) == name {
			i = j
		}
	}
	if i < 0 || name == "" {
		return agentapi.SharedFolder{}, fmt.Errorf("the policy shares no such folder: %w", dormer.ErrNotFound)
	}
	return agentapi.SharedFolder{Name: name, Path: all[i].Path, ReadOnly: all[i].Access != policy.FolderReadWrite}, nil
}
