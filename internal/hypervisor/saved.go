package hypervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dormer-project/dormer"
)

// SavedState is what a saved state is bound to. It is stored beside it, in
// FileSavedState; a machine that would be another does not resume.
type SavedState struct {
	Hardware   Hardware `json:"hardware"`
	Memory     int      `json:"memory"`
	Processors int      `json:"processors"`
	Layer      string   `json:"layer"`
	// Base are the images of the base disks; of one that is of no image, a digest
	// of its file's name, size and time.
	Base []dormer.ImageID `json:"base,omitempty"`
	// Devices is a digest of all other devices.
	Devices string `json:"devices"`
}

// maxSavedState is the largest FileSavedState, in bytes.
const maxSavedState = 64 << 10

// Encode returns the content of FileSavedState.
func (s SavedState) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe saved state: %w", err)
	}
	return append(b, '\n'), nil
}

// ReadSavedState returns what the saved state in dir is bound to, and the
// file's very bytes. ErrNotFound when there is no saved state, ErrCorrupt when
// its description is damaged.
func ReadSavedState(dir string) (SavedState, []byte, error) {
	f, err := os.Open(filepath.Join(dir, FileSavedState))
	if errors.Is(err, fs.ErrNotExist) {
		return SavedState{}, nil, fmt.Errorf("saved state: %w", dormer.ErrNotFound)
	}
	if err != nil {
		return SavedState{}, nil, fmt.Errorf("read saved state: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSavedState+1))
	if err != nil {
		return SavedState{}, nil, fmt.Errorf("read saved state: %w", err)
	}
	var s SavedState
	if len(b) > maxSavedState || json.Unmarshal(b, &s) != nil {
		return SavedState{}, nil, fmt.Errorf("description of saved state: %w", dormer.ErrCorrupt)
	}
	return s, b, nil
}

// RemoveSaved removes the saved state in dir, if there is one, and returns when
// it is gone for good: nothing may write to the machine's disks before.
func RemoveSaved(dir string) error {
	// In this order: the second file means nothing without the first.
	for _, name := range []string{FileSavedState, FileSaved} {
		err := os.Remove(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = SyncDir(dir)
		}
		if err != nil {
			return fmt.Errorf("remove saved state: %w", err)
		}
	}
	return nil
}

// Differs says in what a machine would be another than the one that was saved,
// in plain words for people; empty when it would be the same.
func (s SavedState) Differs(now SavedState) string {
	switch {
	case s.Hardware.Hypervisor != now.Hardware.Hypervisor:
		return fmt.Sprintf("it was made by %s and this is %s", s.Hardware.Hypervisor, now.Hardware.Hypervisor)
	case s.Hardware != now.Hardware:
		return fmt.Sprintf("it was made on other hardware (%s, %s, %s; now %s, %s, %s)",
			s.Hardware.Accelerator, s.Hardware.MachineType, s.Hardware.CPU, now.Hardware.Accelerator, now.Hardware.MachineType, now.Hardware.CPU)
	case s.Memory != now.Memory:
		return fmt.Sprintf("the machine had %d MiB of memory and has %d now", s.Memory, now.Memory)
	case s.Processors != now.Processors:
		return fmt.Sprintf("the machine had %d processors and has %d now", s.Processors, now.Processors)
	case s.Layer != now.Layer || !slices.Equal(s.Base, now.Base):
		return "the machine has another image now"
	case s.Devices != now.Devices:
		return "the machine has other devices now"
	default:
		return ""
	}
}
