package guest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where automatic sign-on is configured, with how it is taken out.
var autologinFiles = []struct {
	pattern string
	without func(string) (string, bool)
}{
	{"/etc/systemd/system/*getty@*.service.d/*.conf", withoutAutologin},
	{"/etc/systemd/system/*getty@*.service", withoutAutologin},
	{"/etc/systemd/system/console-getty.service.d/*.conf", withoutAutologin},
	{"/etc/inittab", withoutAutologin},
	{"/etc/gdm3/*.conf", withoutDesktopAutologin},
	{"/etc/gdm/*.conf", withoutDesktopAutologin},
	{"/etc/lightdm/lightdm.conf", withoutDesktopAutologin},
	{"/etc/lightdm/lightdm.conf.d/*.conf", withoutDesktopAutologin},
	{"/etc/sddm.conf", withoutDesktopAutologin},
	{"/etc/sddm.conf.d/*.conf", withoutDesktopAutologin},
}

// noAutoSignOn makes the guest ask who signs on, from its next start on.
func (g *Guest) noAutoSignOn(context.Context) error {
	return g.eachAutologin(func(path, without string) error {
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		return replaceFile(path, []byte(without), st.Mode().Perm(), "")
	})
}

// signsOn lists the files by which somebody is signed on without being asked.
func (g *Guest) signsOn() ([]string, error) {
	var out []string
	err := g.eachAutologin(func(path, _ string) error {
		out = append(out, path)
		return nil
	})
	return out, err
}

// eachAutologin calls do with every file that signs somebody on, and with what
// it is without that.
func (g *Guest) eachAutologin(do func(path, without string) error) error {
	for _, f := range autologinFiles {
		paths, err := filepath.Glob(g.path(f.pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, "/dev/") {
				continue // a service that is masked
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return fileError("read", path, err)
			}
			if without, changed := f.without(string(text)); changed {
				if err := do(path, without); err != nil {
					return fmt.Errorf("automatic sign-on: %w", err)
				}
			}
		}
	}
	return nil
}
