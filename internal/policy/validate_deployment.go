package policy

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

var directoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// grantKey is what makes two grants grants of the same principal.
func grantKey(p Principal) string {
	return name.Fold(p.DirectoryName()) + "/" + string(p.Kind) + "/" + name.Fold(p.Name)
}

func (c *checker) grants(grants []Grant) {
	if len(grants) > maxGrants {
		c.add("grants", "has more than %d entries; grant to groups", maxGrants)
		return
	}
	names, keys := map[string]int{}, map[string]int{}
	for i := range grants {
		g := &grants[i]
		at := document.Index("grants", i)
		c.principal(at+".principal", g.Principal)
		if first, ok := names[grantKey(g.Principal)]; ok {
			c.add(at+".principal", "has a grant already: grants[%d]", first)
		} else if key := g.Principal.DirectoryName() + "/" + g.Principal.Key; g.Principal.Key != "" {
			if first, ok := keys[key]; ok {
				c.add(at+".principal.key", "is the key of grants[%d] too", first)
			}
			keys[key] = i
		}
		names[grantKey(g.Principal)] = i
		c.grant(at, g)
	}
}

func (c *checker) principal(at string, p Principal) {
	if p.Directory != "" && !directoryForm.MatchString(p.Directory) {
		c.add(at+".directory", "expected the name of a directory of the server, such as local")
	}
	if p.Kind != dormer.KindUser && p.Kind != dormer.KindGroup {
		c.add(at+".kind", "expected user or group")
	}
	if c.required(at+".name", p.Name) {
		c.line(at+".name", p.Name, 256)
	}
	c.line(at+".key", p.Key, 512)
}

func (c *checker) grant(at string, g *Grant) {
	if g.Expires != nil {
		if _, err := ParseDate(g.Expires.String()); err != nil {
			c.add(at+".expires", "expected %s", g.Expires.Form())
		}
	}
	c.offline(at, g)
	one(c, at+".clipboard", g.Clipboard)
	c.length(at+".usb", len(g.USB), false)
	seen := map[USBClass]bool{}
	for i, class := range g.USB {
		one(c, document.Index(at+".usb", i), class)
		c.required(document.Index(at+".usb", i), string(class))
		if seen[class] {
			c.add(document.Index(at+".usb", i), "is given twice")
		}
		seen[class] = true
	}
	c.transfer(at+".fileTransfer", &g.FileTransfer)
	c.sharedFolders(at+".sharedFolders", g.SharedFolders)
}

func (c *checker) offline(at string, g *Grant) {
	o := g.Offline
	one(c, at+".offline.allow", o.Allow)
	c.duration(at+".offline.limit", o.Limit, 10*minute, 365*day)
	if o.Limit != nil && (o.Allow == OfflineUnrestricted || o.Allow == OfflineNone) {
		c.add(at+".offline.limit", "contradicts %s.offline.allow, which is %s: a limit goes with limited", at, o.Allow)
	}
	one(c, at+".atLimit.action", g.AtLimit.Action)
	c.duration(at+".atLimit.grace", g.AtLimit.Grace, 0, day)
	if g.AtLimit.Grace != nil && (g.AtLimit.Action == LimitRefuseStart || g.AtLimit.Action == LimitLock) {
		c.add(at+".atLimit.grace", "contradicts %s.atLimit.action, which is %s: a period of grace goes with stop or delete", at, g.AtLimit.Action)
	}
	if is(g.DeleteWhen.Offline) && o.Allow == OfflineUnrestricted {
		c.add(at+".deleteWhen.offline", "contradicts %s.offline.allow, which is unrestricted: it is never off-line too long", at)
	}
	if is(g.DeleteWhen.Offline) && o.Allow == OfflineNone {
		c.add(at+".deleteWhen.offline", "contradicts %s.offline.allow, which is none: every loss of the server would delete the machine", at)
	}
	if g.AtLimit.Action == LimitDelete && o.Allow == OfflineNone {
		c.add(at+".atLimit.action", "delete contradicts %s.offline.allow, which is none: every loss of the server would delete the machine", at)
	}
	if is(g.DeleteWhen.Expired) && g.Expires == nil {
		c.add(at+".deleteWhen.expired", "is given without %s.expires", at)
	}
}

func (c *checker) transfer(at string, f *FileTransfer) {
	one(c, at+".direction", f.Direction)
	for _, way := range []struct {
		name    string
		rules   *TransferRules
		allowed bool
	}{
		{"hostToGuest", &f.HostToGuest, f.Direction.ToGuest()},
		{"guestToHost", &f.GuestToHost, f.Direction.ToHost()},
	} {
		path := at + "." + way.name
		c.extensions(path+".extensions", way.rules.Extensions)
		c.command(path+".command", way.rules.Command)
		if way.rules.Command != "" && !strings.Contains(way.rules.Command, "{file}") {
			c.add(path+".command", "must name the received file as {file}")
		}
		if !way.allowed && (way.rules.Extensions != nil || way.rules.Command != "") {
			c.add(path, "contradicts %s.direction, which does not lead this way", at)
		}
	}
	if is(f.MayOverride) && (f.Direction == "" || f.Direction == DirectionNone) {
		c.add(at+".mayOverride", "contradicts %s.direction, which is none", at)
	}
}

var extensionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+-]{0,15}(\.[A-Za-z0-9][A-Za-z0-9_+-]{0,15})?$`)

// extensions checks a list of file name extensions.
func (c *checker) extensions(at string, list []string) {
	c.length(at, len(list), list != nil)
	for i, e := range list {
		switch {
		case strings.HasPrefix(e, ".") || strings.HasPrefix(e, "*"):
			c.add(document.Index(at, i), "expected an extension without a dot or * before it, such as docx")
		case !extensionForm.MatchString(e):
			c.add(document.Index(at, i), "expected an extension such as docx or tar.gz")
		}
	}
	c.distinct(at, list)
}

func (c *checker) sharedFolders(at string, folders []SharedFolder) {
	c.length(at, len(folders), false)
	names := make([]string, len(folders))
	paths := map[string]int{}
	for i, f := range folders {
		p := document.Index(at, i)
		if c.required(p+".name", f.Name) {
			c.line(p+".name", f.Name, 100)
			if strings.ContainsAny(f.Name, `"<>|\/:*?`) {
				c.add(p+".name", `must not contain any of " < > | \ / : * ?`)
			}
		}
		one(c, p+".access", f.Access)
		names[i] = f.Name
		if c.required(p+".path", f.Path) {
			c.hostFolder(p+".path", f.Path)
		}
		if first, ok := paths[f.Path]; ok {
			c.add(p+".path", "is shared already: %s[%d]", at, first)
		}
		paths[f.Path] = i
	}
	c.distinct(at, names)
}

var windowsPath = regexp.MustCompile(`^[A-Za-z]:\\`)

// hostFolder checks the path of a folder of the host.
func (c *checker) hostFolder(at, s string) {
	c.line(at, s, 1024)
	rest, home := strings.CutPrefix(s, "{home}")
	switch {
	case home && (rest == "" || rest[0] == '/' || rest[0] == '\\'):
	case strings.HasPrefix(s, "/") || windowsPath.MatchString(s):
	default:
		c.add(at, "expected an absolute path, or one that begins with {home}")
		return
	}
	if slices.Contains(strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' }), "..") {
		c.add(at, "must not contain '..'")
		return
	}
	if !home && path.Clean(s) == "/" {
		c.add(at, "must not be the whole file system")
	}
}
