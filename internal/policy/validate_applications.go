package policy

import (
	"regexp"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

func (c *checker) applications(s *Spec) {
	const at = "spec.applications"
	a := &s.Applications
	c.line(at+".menuFolder", a.MenuFolder, maxApplication)
	if strings.ContainsAny(a.MenuFolder, `/\`) {
		c.add(at+".menuFolder", "must not contain / or \\")
	}
	c.published(at+".published", a.Published)
	c.menus(at+".menus", a.Menus)
	c.length(at+".publishInstalled.exclude", len(a.PublishInstalled.Exclude), a.PublishInstalled.Exclude != nil)
	c.lines(at+".publishInstalled.exclude", a.PublishInstalled.Exclude)
	if a.PublishInstalled.Exclude != nil && !is(a.PublishInstalled.Enabled) {
		c.add(at+".publishInstalled.exclude", "contradicts spec.applications.publishInstalled.enabled, which is not true")
	}
	c.drives(at+".networkDrives", s)
}

func (c *checker) published(at string, list []Application) {
	c.length(at, len(list), false)
	names := map[string]int{}
	types := map[string]int{}
	for i := range list {
		app := &list[i]
		p := document.Index(at, i)
		if c.required(p+".name", app.Name) {
			c.line(p+".name", app.Name, maxApplication)
			if first, ok := names[name.Fold(app.Name)]; ok {
				c.add(p+".name", "is the name of %s[%d] too; names differ by more than case", at, first)
			} else {
				names[name.Fold(app.Name)] = i
			}
			if strings.ContainsAny(app.Name, `/\`) {
				c.add(p+".name", "must not contain / or \\")
			}
		}
		c.text(p+".description", app.Description)
		if c.required(p+".command", app.Command) {
			c.command(p+".command", app.Command)
		}
		c.guestFolder(p+".startIn", app.StartIn)
		c.extensions(p+".fileTypes", app.FileTypes)
		for j, e := range app.FileTypes {
			if first, ok := types[name.Fold(e)]; ok && first != i {
				c.add(document.Index(p+".fileTypes", j), "is opened by %s[%d] already", at, first)
			}
			types[name.Fold(e)] = i
		}
		if is(app.StartWithWorkspace) && off(app.Enabled) {
			c.add(p+".startWithWorkspace", "contradicts %s.enabled, which is false", p)
		}
	}
}

// guestFolder checks an absolute folder of a Linux or Windows guest.
func (c *checker) guestFolder(at, s string) {
	if s == "" {
		return
	}
	c.line(at, s, 1024)
	if !strings.HasPrefix(s, "/") && !windowsPath.MatchString(s) && !strings.HasPrefix(s, `\\`) && !strings.HasPrefix(s, "%") {
		c.add(at, `expected an absolute folder of the guest, such as /srv or C:\Work`)
	}
}

func (c *checker) menus(at string, list []Menu) {
	c.length(at, len(list), false)
	names := map[string]int{}
	for i := range list {
		m := &list[i]
		p := document.Index(at, i)
		if c.required(p+".name", m.Name) {
			c.line(p+".name", m.Name, maxApplication)
			if first, ok := names[name.Fold(m.Name)]; ok {
				c.add(p+".name", "is the name of %s[%d] too; names differ by more than case", at, first)
			} else {
				names[name.Fold(m.Name)] = i
			}
		}
		c.text(p+".description", m.Description)
		c.line(p+".folder", m.Folder, 1024)
		if strings.Contains(m.Folder, "..") {
			c.add(p+".folder", "must not contain '..'")
		}
	}
}

var (
	letterForm = regexp.MustCompile(`^[D-Zd-z]$`)
	uncForm    = regexp.MustCompile(`^\\\\[A-Za-z0-9][A-Za-z0-9._-]{0,252}\\[^\\/:*?"<>|]{1,80}(\\[^\\/:*?"<>|]{1,255})*$`)
)

func (c *checker) drives(at string, s *Spec) {
	list := s.Applications.NetworkDrives
	c.length(at, len(list), false)
	if len(list) > 0 && off(s.Machine.Revertible) {
		c.add(at, "network drives contradict spec.machine.revertible, which is false: a persistent guest keeps its own")
	}
	letters := map[string]int{}
	for i, d := range list {
		p := document.Index(at, i)
		if !letterForm.MatchString(d.Letter) {
			c.add(p+".letter", "expected one letter from D to Z, without a colon")
		} else if first, ok := letters[strings.ToUpper(d.Letter)]; ok {
			c.add(p+".letter", "is the letter of %s[%d] too", at, first)
		}
		letters[strings.ToUpper(d.Letter)] = i
		c.line(p+".path", d.Path, 1024)
		// The user's own folder is the usual target, so {user} may stand in it.
		if !uncForm.MatchString(strings.ReplaceAll(d.Path, "{user}", "user")) {
			c.add(p+".path", `expected \\server\share, optionally with folders after it`)
		}
		c.line(p+".label", d.Label, 32)
	}
}
