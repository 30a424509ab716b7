package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/dormer-project/dormer"
)

// serviceName is the agent's name among the services.
const serviceName = "dormer-guest"

// servicePatience is how long the service may take to stop.
const servicePatience = 30 * time.Second

// runService runs the agent as a service, if it was started as one.
func runService(ctx context.Context, run func(context.Context) error) (bool, error) {
	is, err := svc.IsWindowsService()
	if err != nil || !is {
		return false, err
	}
	return true, svc.Run(serviceName, service{ctx: ctx, run: run})
}

// service answers the service manager.
type service struct {
	ctx context.Context //nolint:containedctx // the interface of svc has no place for it
	run func(context.Context) error
}

// Execute runs the agent until the service manager ends it.
func (s service) Execute(_ []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	states <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case err := <-ended:
			if err != nil {
				return true, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				states <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				states <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}

func installedProgram() string {
	return filepath.Join(os.Getenv("ProgramFiles"), "Dormer", "dormer-guest.exe")
}

// Install copies the running program into the system and makes it a service
// that starts with it. Repeated, or with another version, it replaces what is
// there.
func Install(root, program string) error {
	if root != "/" {
		return fmt.Errorf("install into %s: only into the running system: %w", root, dormer.ErrUnsupported)
	}
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	s, err := m.OpenService(serviceName)
	if err == nil {
		if err := stop(s); err != nil {
			return errors.Join(err, s.Close())
		}
	} else if !errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return fmt.Errorf("install service: %w", err)
	}
	target := installedProgram()
	if err := copyFile(program, target); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	if s == nil {
		s, err = m.CreateService(serviceName, target, mgr.Config{
			DisplayName: "Dormer guest agent", Description: "Lets the host of this virtual machine arrange it.", StartType: mgr.StartAutomatic,
		}, "run")
		if err != nil {
			return fmt.Errorf("install service: %w", err)
		}
	}
	defer s.Close()
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: time.Second}
	if err := s.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, uint32((24 * time.Hour).Seconds())); err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	if err := s.Start(); err != nil {
		return fmt.Errorf("start service: %w", err)
	}
	return nil
}

// Uninstall ends the service and removes it and its program.
func Uninstall(string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	s, err := m.OpenService(serviceName)
	if err == nil {
		if err = stop(s); err == nil {
			err = s.Delete()
		}
		err = errors.Join(err, s.Close())
	}
	if err != nil && !errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return fmt.Errorf("uninstall: %w", err)
	}
	for _, path := range []string{installedProgram(), dataFolder()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	return nil
}

// stop stops a service and waits until it has ended.
func stop(s *mgr.Service) error {
	st, err := s.Query()
	if err != nil {
		return fmt.Errorf("stop service: %w", err)
	}
	if st.State == svc.Stopped {
		return nil
	}
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop service: %w", err)
	}
	tick := time.NewTicker(reopen)
	defer tick.Stop()
	deadline := time.After(servicePatience)
	for {
		if st, err = s.Query(); err != nil {
			return fmt.Errorf("stop service: %w", err)
		}
		if st.State == svc.Stopped {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("stop service: it does not end: %w", dormer.ErrUnavailable)
		}
	}
}

func copyFile(from, to string) (err error) {
	if same, err := filepath.Abs(from); err == nil && same == to {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
