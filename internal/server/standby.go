package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/standby"
)

// Times of telling how the standby does.
const (
	standbyLook = 5 * time.Second
	// unreachableAfter is for how long nothing may reach the target before it
	// is told.
	unreachableAfter = 30 * time.Second
	// behindAfter is how far a follower may be behind before it is told.
	behindAfter = 5 * time.Minute
)

// standbyOwner is which copy of the instance a data folder is.
type standbyOwner struct {
	Owner string `json:"owner"`
	// Target is where this copy has shipped to.
	Target string `json:"target"`
}

// readOwner reads it; a new one where there is none.
func readOwner(path string) (standbyOwner, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return standbyOwner{Owner: standby.NewOwner()}, nil
	}
	var o standbyOwner
	if err != nil {
		return o, fmt.Errorf("setting data: %w", err)
	}
	if json.Unmarshal(b, &o) != nil || o.Owner == "" {
		return o, fmt.Errorf("setting data: %s is damaged: %w", path, dormer.ErrCorrupt)
	}
	return o, nil
}

func (o standbyOwner) write(path string) error {
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return durable.WriteFile(path, b)
}

// openStandby makes this server the one that rules at its target, or refuses to
// start: another may have taken over meanwhile.
func (s *Server) openStandby(ctx context.Context) error {
	if s.cfg.Standby.Target == "" {
		return nil
	}
	target, lock, err := s.cfg.openTarget(s.deps)
	if err != nil {
		return err
	}
	s.onClose(target.Close)
	path := s.data.file(fileOwner)
	owner, err := readOwner(path)
	if err != nil {
		return err
	}
	known := owner.Target == target.String()
	if owner.Target == "" { // durable before anything at the target names it
		if err := owner.write(path); err != nil {
			return err
		}
	}
	s.shipper = standby.NewShipper(standby.ShipConfig{
		Target: target, Lock: lock, Instance: s.instance, Epoch: s.epoch, Owner: owner.Owner, Host: s.deps.Hostname, Known: known,
		Databases: s.cfg.shippedDatabases(), Keys: s.data.file(dirKeys), Config: s.deps.ConfigFile, Repository: s.cfg.shippedRepository(),
		Interval: time.Duration(s.cfg.Standby.Interval), Fenced: s.fence, Now: s.deps.Now, Logger: s.deps.Logger,
	})
	s.onClose(s.shipper.Close)
	s.standbyState = s.observeStandby
	err = s.shipper.Rule(ctx, s.deps.AcceptSplitBrain)
	switch {
	case err == nil && !known:
		owner.Target = target.String()
		return owner.write(path)
	case errors.Is(err, dormer.ErrUnavailable) && s.deps.AcceptSplitBrain:
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "started without the standby's target: another server may have taken over", slog.String("error", err.Error()))
		return nil
	case errors.Is(err, dormer.ErrUnavailable):
		return fmt.Errorf("setting standby.target: whether a standby has taken over cannot be known, so this server does not start. Make the target reachable, or, if you are sure that none has, start it with --accept-split-brain: %w", err)
	case err != nil:
		return fmt.Errorf("setting standby.target: %w", err)
	}
	return nil
}

// replicate is what makes events safe beyond this computer; nil: nothing.
func (s *Server) replicate() func(context.Context) error {
	if s.shipper == nil {
		return nil
	}
	return s.shipper.Sync
}

func (s *Server) observeStandby() ObservedStandby {
	st := s.shipper.Status()
	o := ObservedStandby{Configured: true, Problem: st.Error}
	if !st.Safe.IsZero() {
		o.Lag = max(s.deps.Now().Sub(st.Safe)-time.Duration(s.cfg.Standby.Interval), 0)
	}
	o.Lag = max(o.Lag, st.FollowerBehind)
	return o
}

// watchStandby reports when the target cannot be reached, when who follows is
// behind, and when all is well again, until ctx ends.
func (s *Server) watchStandby(ctx context.Context) error {
	tick := time.NewTicker(standbyLook)
	defer tick.Stop()
	failing, told := time.Time{}, event.Code(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, st := s.deps.Now(), s.shipper.Status()
		if st.Error == "" {
			failing = time.Time{}
		} else if failing.IsZero() {
			failing = now
		}
		code, detail := event.Code(0), ""
		switch {
		case s.fenced.Load():
			code = told // that it was superseded is all that counts now
		case !failing.IsZero() && now.Sub(failing) >= unreachableAfter:
			code, detail = event.ReplicaUnreachable, st.Error
		case !failing.IsZero():
			code = told // it is too early to say
		case st.FollowerBehind > behindAfter:
			code, detail = event.StandbyBehind, "by "+st.FollowerBehind.Round(time.Second).String()
		}
		if code == told {
			continue
		}
		told = code
		if code == 0 {
			code = event.StandbyInStep
		}
		s.tell(code, detail)
	}
}

// standbyTasks are the background work of shipping.
func (s *Server) standbyTasks() []task {
	if s.shipper == nil {
		return nil
	}
	return []task{{name: "standby", run: s.shipper.Run}, {name: "watch of the standby", run: s.watchStandby}}
}

// tellPromoted reports the promotion that made this server, once.
func (s *Server) tellPromoted() error {
	b, err := os.ReadFile(s.data.file(filePromoted))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("setting data: %w", err)
	}
	s.tell(event.ServerPromoted, string(b))
	if err := os.Remove(s.data.file(filePromoted)); err != nil {
		return fmt.Errorf("setting data: %w", err)
	}
	return nil
}
