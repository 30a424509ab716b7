package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// recordPath is where the preparation record lies, below the drive of Windows.
var recordPath = filepath.Join(dataFolder(), "preparation")

// conditions are what an image needs of a Windows system.
var conditions = []condition{
	{id: "agent", look: lookAgent},
	{id: "user", look: lookUser},
	{id: "virtio", look: lookDrivers},
	{id: "power-saving", look: lookPower, set: setPower},
	{id: "sounds", look: lookSounds, set: setPower},
	{id: "services", look: lookServices, set: setServices},
	{id: "domain", look: lookDomain},
	{id: "temporary-files", look: lookTemporary, set: setTemporary, last: true},
	{id: "identity", look: lookIdentity},
}

// value reads a value of the registry below HKEY_LOCAL_MACHINE as text; empty
// when there is none.
func value(path, name string) (string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer key.Close()
	if s, _, err := key.GetStringValue(name); err == nil {
		return s, nil
	}
	n, _, err := key.GetIntegerValue(name)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strconv.FormatUint(n, 10), nil
}

const servicesKey = `SYSTEM\CurrentControlSet\Services\`

func lookAgent(context.Context, *Guest) (bool, string, string, error) {
	start, err := value(servicesKey+serviceName, "Start")
	if err != nil {
		return false, "", "", err
	}
	if start != "2" {
		return false, "The guest agent is not started with the system.", "Run 'dormer-guest install'.", nil
	}
	return true, "The guest agent is installed and starts with the system.", "", nil
}

func lookUser(context.Context, *Guest) (bool, string, string, error) {
	on, err := value(winlogonKey, "AutoAdminLogon")
	if err != nil {
		return false, "", "", err
	}
	name, err := value(winlogonKey, "DefaultUserName")
	if err != nil {
		return false, "", "", err
	}
	if on != "1" || name == "" {
		return false, "Windows asks who signs on: applications cannot show windows before somebody did.",
			"Set automatic sign-on for the first start; first-time setup can end that.", nil
	}
	return true, "Windows signs " + name + " on.", "", nil
}

func lookDrivers(context.Context, *Guest) (bool, string, string, error) {
	var missing []string
	for _, d := range []struct{ service, what string }{{"viostor", "disks"}, {"netkvm", "network"}, {"VirtioSerial", "channels"}} {
		start, err := value(servicesKey+d.service, "Start")
		if err != nil {
			return false, "", "", err
		}
		if start == "" {
			missing = append(missing, d.service+" ("+d.what+")")
		}
	}
	if len(missing) > 0 {
		return false, "Drivers for virtual machines are missing: " + strings.Join(missing, ", ") + ".", "Install the virtio-win drivers.", nil
	}
	return true, "The drivers for virtual machines are installed.", "", nil
}

func lookPower(context.Context, *Guest) (bool, string, string, error) {
	on, err := value(`SYSTEM\CurrentControlSet\Control\Power`, "HibernateEnabled")
	if err != nil {
		return false, "", "", err
	}
	if on != "0" {
		return false, "The guest may go to sleep by itself.", "", nil
	}
	return true, "The guest does not go to sleep by itself.", "", nil
}

func setPower(ctx context.Context, _ *Guest) error {
	if _, err := scriptPower.run(ctx, nil, struct{}{}, ""); err != nil {
		return fmt.Errorf("power saving and sounds: %w", err)
	}
	return nil
}

func lookSounds(context.Context, *Guest) (bool, string, string, error) {
	off, err := value(`SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`, "DisableStartupSound")
	if err != nil {
		return false, "", "", err
	}
	if off != "1" {
		return false, "Windows plays a sound when it starts.", "", nil
	}
	return true, "The sound of the start is off.", "", nil
}

// unneeded are services that only cost in a machine whose system is delivered
// anew with each version, and whose hardware and clock are the host's.
var unneeded = []string{"defragsvc", "SysMain", "WSearch", "DiagTrack", "W32Time", "Fax", "bthserv"}

const startDisabled = 4

func lookServices(context.Context, *Guest) (bool, string, string, error) {
	var found []string
	for _, s := range unneeded {
		start, err := value(servicesKey+s, "Start")
		if err != nil {
			return false, "", "", err
		}
		if start == "2" {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		return false, "Services start that a virtual machine does not need: " + strings.Join(found, ", ") + ".", "", nil
	}
	return true, "No service starts that a virtual machine does not need.", "", nil
}

func setServices(context.Context, *Guest) error {
	for _, s := range unneeded {
		key, err := registry.OpenKey(registry.LOCAL_MACHINE, servicesKey+s, registry.SET_VALUE)
		if errors.Is(err, registry.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("service %s: %w", s, err)
		}
		if err := errors.Join(key.SetDWordValue("Start", startDisabled), key.Close()); err != nil {
			return fmt.Errorf("service %s: %w", s, err)
		}
	}
	return nil
}

func lookDomain(context.Context, *Guest) (bool, string, string, error) {
	name, err := joinedDomain()
	if err != nil {
		return false, "", "", err
	}
	if name != "" {
		return false, "The guest is in the domain " + name + ": every machine made from it would be the same computer there.", "Leave the domain; first-time setup joins each machine for itself.", nil
	}
	return true, "The guest is in no domain.", "", nil
}

func temporary() ([]string, error) {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(root, "Temp", "*"))
}

func lookTemporary(context.Context, *Guest) (bool, string, string, error) {
	files, err := temporary()
	if err != nil {
		return false, "", "", err
	}
	if len(files) > 0 {
		return false, fmt.Sprintf("There are %d temporary files.", len(files)), "", nil
	}
	return true, "There are no temporary files.", "", nil
}

// setTemporary removes what is not in use.
func setTemporary(context.Context, *Guest) error {
	files, err := temporary()
	if err != nil {
		return err
	}
	for _, f := range files {
		_ = os.RemoveAll(f) // what is in use stays
	}
	return nil
}

// lookIdentity asks whether Sysprep has generalized the system.
func lookIdentity(context.Context, *Guest) (bool, string, string, error) {
	state, err := value(`SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State`, "ImageState")
	if err != nil {
		return false, "", "", err
	}
	return identityFinding(state)
}

// bootID names the start of the system, to the minute.
func bootID() string {
	return time.Now().Add(-windows.DurationSinceBoot()).UTC().Round(time.Minute).Format(time.RFC3339)
}

// firstStart: Windows makes anew what Sysprep has taken.
func firstStart(context.Context, *Guest) error { return nil }
