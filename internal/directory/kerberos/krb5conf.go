package kerberos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"

	"github.com/dormer-project/dormer"
)

const (
	defaultConf = "/etc/krb5.conf"
	// maxConf bounds the configuration of Kerberos with all that it includes,
	// in bytes; maxIncludes how many files it includes.
	maxConf     = 1 << 20
	maxIncludes = 256
)

// conf is the configuration of Kerberos, with what the library leaves out.
type conf struct {
	*config.Config
	cache string // default_ccache_name
}

// LoadConfig reads the configuration of Kerberos: files, separated by colons;
// empty: /etc/krb5.conf, which may be absent. Where it names no servers of a
// realm they are found by the domain name system.
func LoadConfig(paths string) (*config.Config, error) {
	c, err := loadConf(paths)
	return c.Config, err
}

func loadConf(paths string) (conf, error) {
	r := &confReader{sections: map[string]*strings.Builder{}}
	if paths == "" {
		if err := r.file(defaultConf); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return conf{}, err
		}
	}
	for path := range strings.SplitSeq(paths, ":") {
		if path == "" {
			continue
		}
		if err := r.file(path); err != nil {
			return conf{}, err
		}
	}
	return parseConf(r.text())
}

// parseConf reads what confReader has put together.
func parseConf(text string) (c conf, err error) {
	defer func() {
		if recover() != nil {
			c, err = conf{}, errConf
		}
	}()
	parsed, err := config.NewFromString(text)
	if _, ok := errors.AsType[config.UnsupportedDirective](err); ok {
		err = nil // of Kerberos 4
	}
	if err != nil || parsed == nil {
		return conf{}, errConf
	}
	c = conf{Config: parsed}
	section, said := "", false
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxConf+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[libdefaults]" {
			continue
		}
		switch strings.TrimSpace(key) {
		case "default_ccache_name":
			c.cache = strings.TrimSpace(value)
		case "dns_lookup_kdc":
			said = true
		}
	}
	if !said {
		c.LibDefaults.DNSLookupKDC = true // as of other implementations
	}
	return c, nil
}

var errConf = fmt.Errorf("the configuration of Kerberos (krb5.conf) cannot be read: %w", dormer.ErrInvalid)

// confReader puts a configuration and what it includes together, each section
// once: the library follows no includes, and of a section that stands there
// twice it takes the last.
type confReader struct {
	sections map[string]*strings.Builder
	order    []string
	size     int // of what was read, in bytes
	files    int
}

func (r *confReader) add(section, line string) {
	b, ok := r.sections[section]
	if !ok {
		b = &strings.Builder{}
		r.sections[section] = b
		r.order = append(r.order, section)
	}
	b.WriteString(line + "\n")
}

func (r *confReader) text() string {
	var all strings.Builder
	for _, section := range r.order {
		all.WriteString(section + "\n" + r.sections[section].String())
	}
	return all.String()
}

// includedName is what files of a folder that is included are called.
var includedName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.conf)?$`)

func (r *confReader) file(path string) error {
	if r.files++; r.files > maxIncludes {
		return fmt.Errorf("configuration of Kerberos: %w: more than %d files", dormer.ErrTooLarge, maxIncludes)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the configuration of Kerberos: %w", err)
	}
	defer f.Close()
	b, err := readAll(f, path, maxConf-r.size)
	if err != nil {
		return err
	}
	r.size += len(b)
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		directive, what, _ := strings.Cut(line, " ")
		what = strings.TrimSpace(what)
		if name, _, ok := strings.Cut(line, "]"); ok && strings.HasPrefix(name, "[") {
			section = name + "]"
			continue
		}
		switch directive {
		case "include":
			err = r.file(what)
		case "includedir":
			err = r.folder(what)
		case "module":
		default:
			if section != "" && line != "" {
				r.add(section, line)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *confReader) folder(path string) error {
	all, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the configuration of Kerberos: %w", err)
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range all {
		if includedName.MatchString(e.Name()) && !e.IsDir() {
			if err := r.file(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAll reads a file of at most so many bytes.
func readAll(f *os.File, path string, most int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("%s: %w (at most %d bytes)", path, dormer.ErrTooLarge, most)
	}
	return b, nil
}
