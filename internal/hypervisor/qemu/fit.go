package qemu

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// The part of a host's memory that no machine gets: a quarter of it, and no more
// than memoryReserve, in MiB.
const memoryReserve = 1024

// fit takes out of a machine what the host cannot give, and says so in a
// sentence each. With Strict that is an error which names all of it.
func (d *Driver) fit(spec hypervisor.Spec) (hypervisor.Spec, []string, error) {
	var missing []string
	if room := d.memoryRoom(); room > 0 && spec.Memory > room {
		if room < hypervisor.MinMemory {
			return spec, nil, fmt.Errorf("this computer has too little memory for any machine: %w", dormer.ErrUnsupported)
		}
		missing = append(missing, fmt.Sprintf("This computer can give a machine %d MiB of memory, and not the %d MiB that it should have.", room, spec.Memory))
		spec.Memory = room
	}
	if spec.Network == hypervisor.NetworkNAT {
		if _, err := exec.LookPath(d.cfg.Passt); err != nil {
			missing = append(missing, "The program passt is not installed on this computer: the machine has no network.")
			spec.Network = hypervisor.NetworkNone
		}
	}
	switch spec.Sound {
	case hypervisor.SoundOutput:
		if !spec.Display {
			missing = append(missing, "The machine has no display, with which its sound would be heard: it plays to nobody.")
		}
	case hypervisor.SoundDuplex, hypervisor.SoundInput:
		missing = append(missing, "Machines are not connected with a microphone on this computer: the machine's is silent.")
	}
	if spec.Optical != "" {
		if f, err := openMedium(spec.Optical); err != nil {
			missing = append(missing, opticalMissing(spec.Optical, err))
			spec.Optical = ""
		} else {
			_ = f.Close() // nothing was written
		}
	}
	if spec.Strict && len(missing) > 0 {
		return spec, missing, fmt.Errorf("this computer cannot give the machine all that its policy wants: %s: %w", strings.Join(missing, " "), dormer.ErrUnsupported)
	}
	return spec, missing, nil
}

func opticalMissing(path string, err error) string {
	switch {
	case isDrive(path) && errors.Is(err, fs.ErrNotExist):
		return "This computer has no CD/DVD drive " + path + ": the machine has none."
	case errors.Is(err, fs.ErrNotExist):
		return "The disc image " + path + " is not there: the machine has no CD/DVD drive."
	default:
		return "The CD/DVD drive or disc image " + path + " cannot be opened: the machine has no CD/DVD drive."
	}
}

// memoryRoom is how much memory a machine can have, in MiB; 0 when that is not known.
func (d *Driver) memoryRoom() int {
	total := d.cfg.HostMemory
	if total == 0 {
		total = hostMemory()
	}
	return total - min(total/4, memoryReserve)
}

// hostMemory is the memory of this computer in MiB; 0 when that is not known.
func hostMemory() int {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, "kB")))
			if err != nil {
				return 0
			}
			return kib >> 10
		}
	}
	return 0
}
