package guest

import (
	"strings"
	"unicode"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const (
	maxDrives = 26
	// maxSharePath bounds the path of a network drive, in bytes.
	maxSharePath = 1024
)

// sharePath is a parsed \\server\share\folder.
type sharePath struct {
	server, share string
	folders       []string
}

// parseShare parses the path of a network drive strictly: nothing in it can be
// an option or lead out of the share.
func parseShare(path string) (sharePath, error) {
	invalid := dormer.Invalidf("path", `must be \\server\share or \\server\share\folder`)
	if len(path) > maxSharePath || strings.ContainsFunc(path, unicode.IsControl) || strings.ContainsAny(path, "/:*?\"<>|,%") {
		return sharePath{}, invalid
	}
	rest, ok := strings.CutPrefix(path, `\\`)
	if !ok {
		return sharePath{}, invalid
	}
	parts := strings.Split(strings.TrimSuffix(rest, `\`), `\`)
	if len(parts) < 2 || !isDomain(strings.TrimSuffix(parts[0], ".")) {
		return sharePath{}, invalid
	}
	for _, p := range parts[1:] {
		if p == "" || p == "." || p == ".." || strings.TrimSpace(p) != p {
			return sharePath{}, invalid
		}
	}
	return sharePath{server: parts[0], share: parts[1], folders: parts[2:]}, nil
}

// slashes is the path as mount writes it.
func (s sharePath) slashes() string {
	return "//" + strings.Join(append([]string{s.server, s.share}, s.folders...), "/")
}

func checkDrives(r guestwire.DrivesRequest) error {
	if len(r.Drives) > maxDrives {
		return dormer.Invalidf("drives", "are more than %d", maxDrives)
	}
	letters := map[string]bool{}
	for _, d := range r.Drives {
		l := strings.ToUpper(d.Letter)
		if len(l) != 1 || l < "A" || l > "Z" || letters[l] {
			return dormer.Invalidf("letter", "must be a letter of its own")
		}
		letters[l] = true
		if len(d.Label) > 64 {
			return dormer.Invalidf("label", "must have at most 64 bytes")
		}
	}
	if r.User != "" {
		if err := checkUser("user", r.User); err != nil {
			return err
		}
	}
	if r.Domain != "" && !isDomain(r.Domain) {
		return dormer.Invalidf("domain", "must be the name of a domain")
	}
	return checkPassword("password", r.Password)
}

// driveFolder is the name of a drive's folder where there are no letters.
func driveFolder(d guestwire.Drive) string {
	label := strings.Trim(strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) {
			return '_'
		}
		return r
	}, d.Label), "._")
	name := strings.ToUpper(d.Letter)
	if label != "" {
		name += "-" + label
	}
	return name
}
