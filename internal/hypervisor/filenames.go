package hypervisor

import (
	"fmt"
	"path/filepath"
	"strings"
)

// The files of a machine's directory. Only the machine's own processes write
// there; the directory has mode 0700 and is the agent's, who gives QEMU files
// that are open already where QEMU is somebody else.
const (
	// FileSpec is the Spec of the machine that was started last, as JSON.
	FileSpec = "spec.json"
	// FileOwnerLock is locked by the machine process for as long as it lives,
	// FileLock by the driver whose QEMU uses the disks, FileQEMULock by QEMU itself.
	FileOwnerLock = "owner.lock"
	FileLock      = "machine.lock"
	FileQEMULock  = "qemu.lock"
	// FileOwner is the pid and start time of the machine process, as JSON. It
	// is gone when the machine has ended cleanly.
	FileOwner = "machine.pid"
	// FileControl is the Unix socket on which the machine process serves the agent.
	FileControl = "machine.sock"
	// FileLog is the log of the machine process and of QEMU, of the last start.
	FileLog = "machine.log"
	// FileEnd is the last Status of a machine that has ended, as JSON.
	FileEnd = "end.json"
	// FileProcess is the pid and start time of QEMU, as JSON.
	FileProcess = "qemu.pid"
	// FileConsole is the guest's serial console; when it is full it becomes
	// FileConsoleOld.
	FileConsole    = "console.log"
	FileConsoleOld = "console.log.1"
	// FileData is the data disk: a qcow2 file with LUKS inside.
	FileData = "data.qcow2"
	// FileKeyCheck is a value that only the machine's disk key gives.
	FileKeyCheck = "key.check"
	// FileDisplay is the Unix socket of the VNC display.
	FileDisplay = "display.sock"
	// FileSaved is the saved memory and devices, encrypted under the disk key;
	// FileSavedState the SavedState that it is bound to, as JSON. The first
	// counts only beside the second.
	FileSaved      = "saved.state"
	FileSavedState = "saved.json"
	// FileKernel and FileInitrd are copies of an image's boot files, made at
	// each start.
	FileKernel = "kernel"
	FileInitrd = "initrd"
	// DirQEMU is the directory in which a QEMU with a user id of its own runs:
	// the only one that it can reach. It is there while the machine runs.
	DirQEMU = "qemu"

	// prefixKept and prefixThrowAway begin the names of machine layers, prefixBase
	// those of the sockets that serve base disks.
	prefixKept      = "layer-"
	prefixThrowAway = "throwaway-"
	prefixBase      = "base-"
	suffixDisk      = ".qcow2"
	suffixSocket    = ".nbd"
	// SuffixTemporary ends the names of files that are not complete yet.
	SuffixTemporary = ".new"
)

// FileLayer is the name of the machine layer over one base disk.
func FileLayer(overlay Overlay, layer string, disk int) string {
	prefix := prefixKept
	if overlay == OverlayDiscard {
		prefix = prefixThrowAway
	}
	return fmt.Sprintf("%s%s-%d%s", prefix, layer, disk, suffixDisk)
}

// FileBase is the name of the socket that serves one base disk.
func FileBase(disk int) string { return fmt.Sprintf("%s%d%s", prefixBase, disk, suffixSocket) }

// Leftover reports whether a file of a machine's directory means nothing once
// no machine runs there: sockets, throw-away disks, half-made files.
func Leftover(name string) bool {
	if name != filepath.Base(name) {
		return false
	}
	switch name {
	case FileControl, FileDisplay, FileOwner, FileProcess, FileKernel, FileInitrd, DirQEMU:
		return true
	}
	return strings.HasPrefix(name, prefixThrowAway) ||
		strings.HasPrefix(name, prefixBase) && strings.HasSuffix(name, suffixSocket) ||
		strings.HasSuffix(name, SuffixTemporary)
}
