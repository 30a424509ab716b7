package guest

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// mountShares connects folders by the WebDAV client of Windows. The secret goes
// to net use by its input. Folders get no letter: programs reach them by the
// name that the result says.
func (g *Guest) mountShares(ctx context.Context, l *listener, _ account, folders []guestwire.Folder) (guestwire.FoldersResult, error) {
	result := guestwire.FoldersResult{Where: map[string]string{}}
	for _, f := range folders {
		where := fmt.Sprintf(`\\127.0.0.1@%d\DavWWWRoot\%s`, l.port, f.Name)
		// It may be connected under the secret of an earlier start.
		_, _ = tool{args: []string{"net", "use", where, "/delete", "/y"}}.run(ctx)
		if _, err := (tool{args: []string{"net", "use", l.address("http", "/"+url.PathEscape(f.Name)), "*", "/user:" + loopbackUser, "/persistent:no"}, stdin: []byte(l.secret + "\r\n")}).run(ctx); err != nil {
			return result, fmt.Errorf("shared folder %s: %w", f.Name, err)
		}
		result.Where[f.Name] = where
	}
	return result, nil
}

// makeQueues adds printers by their address.
func (g *Guest) makeQueues(ctx context.Context, l *listener, printers []guestwire.Printer) error {
	for _, p := range printers {
		quoted := strings.ReplaceAll(l.address("http", guestwire.PrintersPath+p.Name), "'", "''")
		_, err := tool{args: []string{"powershell", "-NoProfile", "-NonInteractive", "-Command", "Add-Printer -IppURL '" + quoted + "'"}}.run(ctx)
		if err != nil {
			return fmt.Errorf("queue of printer %s: %w", p.Name, dormer.ErrUnsupported)
		}
	}
	return nil
}
