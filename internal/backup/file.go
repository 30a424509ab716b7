package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// WriteFile makes a new file, for its owner alone, and returns when it is
// durable. When fill fails or no space is left there is nothing. ErrExists when
// the file is there.
func WriteFile(path string, fill func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, errors.Join(dormer.ErrExists, err))
	}
	return durable.Write(path, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if err := fill(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	})
}

// The names that are made for backups in a folder.
const (
	namePrefix = "dormer-"
	nameSuffix = ".backup"
	nameTime   = "20060102T150405Z"
)

// FileName is the name of a backup in a folder of backups: it sorts by time.
func FileName(i dormer.InstanceID, made time.Time) string {
	return namePrefix + string(i) + "-" + made.UTC().Format(nameTime) + nameSuffix
}

// Prune removes the oldest backups of an instance from a folder but for the
// newest keep, and returns their names. It touches only files that are called
// as FileName calls them.
func Prune(dir string, i dormer.InstanceID, keep int) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for older backups: %w", err)
	}
	var names []string
	for _, e := range entries {
		middle, ok := strings.CutPrefix(e.Name(), namePrefix+string(i)+"-")
		middle, end := strings.CutSuffix(middle, nameSuffix)
		if _, err := time.Parse(nameTime, middle); ok && end && err == nil && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	names = names[:max(0, len(names)-keep)]
	for n, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return names[:n], fmt.Errorf("remove an older backup: %w", err)
		}
	}
	return names, nil
}
