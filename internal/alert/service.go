package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/name"
)

// positionName is that of the position, and of the turn.
const positionName = "alerts"

// Times of the service.
const (
	observeInterval = 15 * time.Second
	// followInterval is when events are looked for that another server stored.
	followInterval = 3 * time.Second
	// saveInterval is how much of the counting is done again after a crash.
	saveInterval = 10 * time.Second
	// gatherTime lets the events of some commits come together.
	gatherTime = 200 * time.Millisecond
	page       = 1000 // events that are read at once
	// maxListed bounds the open alerts that are read at the start.
	maxListed = 100_000
)

// Config is what alerts are made from. All fields are needed unless they say
// otherwise.
type Config struct {
	Instance dormer.InstanceID
	Store    Store
	Events   event.Follower
	Rules    RuleStore
	// Turns lets one server of the instance at a time look after alerts; nil where
	// there is one only.
	Turns event.Turns
	// Holder names this server among them.
	Holder string
	// Observe says how everything is now. What it does not name any more is over.
	Observe func(context.Context) ([]Observation, error)
	// Tell reports an event of the server.
	Tell   func(code event.Code, detail string)
	Now    func() time.Time
	Logger *slog.Logger
}

// Service looks after alerts. It is safe for concurrent use.
type Service struct {
	cfg  Config
	wake chan struct{}
	// changed has room for one: the rules were changed.
	changed chan struct{}
}

// New returns the service; nothing is looked at before Run.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, wake: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
}

// Wake says that events were stored. It does not block.
func (s *Service) Wake() { poke(s.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run looks after alerts until ctx ends, while it is this server's turn.
func (s *Service) Run(ctx context.Context) error {
	if s.cfg.Turns == nil {
		return s.run(ctx)
	}
	return event.InTurn(ctx, s.cfg.Turns, s.cfg.Instance, positionName, s.cfg.Holder, s.run)
}

// pass is one run of the service.
type pass struct {
	*Service
	engine   *engine
	position int64
	// unsaved are changes that were told and are not in the database.
	unsaved []Change
	saved   time.Time
	moved   bool
	away    bool // the database, as was logged
}

func (s *Service) run(ctx context.Context) error {
	p := &pass{Service: s, engine: newEngine()}
	if err := p.load(ctx); err != nil {
		return err
	}
	observe := time.NewTicker(observeInterval)
	defer observe.Stop()
	follow := time.NewTicker(followInterval)
	defer follow.Stop()
	gather := time.NewTimer(0)
	defer gather.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return p.stop(ctx)
		case <-s.wake:
			gather.Reset(gatherTime)
			continue
		case <-gather.C:
			err = p.follow(ctx)
		case <-follow.C:
			err = p.follow(ctx)
		case <-observe.C:
			err = p.observe(ctx)
		case <-s.changed:
			err = p.observe(ctx) // who set a rule sees at once what comes of it
		}
		if ctx.Err() != nil {
			return p.stop(ctx)
		}
		// While the database is away the rest goes on, in memory: one alert tells
		// of just that.
		away := err != nil
		if away && !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if away && !p.away {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "alerts wait for the database", slog.String("error", err.Error()))
		}
		p.away = away
	}
}

// stop saves what is known when the server stops.
func (p *pass) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), observeInterval)
	defer cancel()
	if err := p.save(ctx, true); err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "what alerts counted last is counted again at the next start", slog.String("reason", err.Error()))
	}
	return nil
}

// load begins where the last run ended, or with what is stored from now on.
func (p *pass) load(ctx context.Context) error {
	rules, err := p.compiled(ctx)
	if err != nil {
		return err
	}
	now := p.cfg.Now()
	p.engine.setRules(rules, now)
	opened, err := p.cfg.Store.Alerts(ctx, p.cfg.Instance, Query{Open: true, Limit: maxListed})
	if err != nil {
		return fmt.Errorf("list open alerts: %w", err)
	}
	position, state, err := p.cfg.Events.Position(ctx, p.cfg.Instance, positionName)
	if errors.Is(err, dormer.ErrNotFound) {
		position, err = p.cfg.Events.End(ctx)
	}
	if err != nil {
		return fmt.Errorf("find where alerts go on: %w", err)
	}
	if err := p.engine.decode(state, opened, now); err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "alerts count anew", slog.String("reason", err.Error()))
		p.engine = newEngine()
		p.engine.setRules(rules, now)
		if err := p.engine.decode(nil, opened, now); err != nil {
			return err
		}
	}
	p.position, p.saved, p.moved = position, now, true
	return p.save(ctx, true)
}

// readRules takes over what operators changed.
func (p *pass) readRules(ctx context.Context) error {
	rules, err := p.compiled(ctx)
	if err != nil {
		return err
	}
	p.engine.setRules(rules, p.cfg.Now())
	return p.save(ctx, false)
}

// observe looks at the state of things; rules that another server changed count
// from here on too.
func (p *pass) observe(ctx context.Context) error {
	wrong := p.readRules(ctx)
	list, err := p.cfg.Observe(ctx)
	if err != nil {
		return errors.Join(wrong, fmt.Errorf("observe for alerts: %w", err))
	}
	p.engine.observe(list, p.cfg.Now())
	return errors.Join(wrong, p.save(ctx, false))
}

// follow looks at all events that were stored since.
func (p *pass) follow(ctx context.Context) error {
	for {
		rows, next, err := p.cfg.Events.Follow(ctx, p.cfg.Instance, p.position, page)
		if err != nil {
			return fmt.Errorf("follow events for alerts: %w", err)
		}
		for _, r := range rows {
			p.engine.event(r)
		}
		p.moved = p.moved || next != p.position
		p.position = next
		if len(rows) < page {
			p.engine.advance(p.cfg.Now())
			return p.save(ctx, false)
		}
		if err := p.save(ctx, false); err != nil {
			return err
		}
	}
}

// save tells what was raised and cleared, and stores it with how far events were
// followed: at once where it was anything, else now and then, or when asked to.
func (p *pass) save(ctx context.Context, now bool) error {
	at := p.cfg.Now()
	elapsed := at.Sub(p.saved)
	due := now || elapsed >= saveInterval || elapsed < 0
	if len(p.engine.changes) == 0 && len(p.unsaved) == 0 && (!due || !p.moved && len(p.engine.dirty) == 0) {
		return nil
	}
	for _, c := range p.engine.take() {
		p.tell(c)
		// While nothing can be stored only the last repetition is worth keeping.
		p.unsaved = append(slices.DeleteFunc(p.unsaved, func(o Change) bool {
			return o.Kind == Repeats && c.Kind == Repeats && o.Rule == c.Rule && o.Key == c.Key
		}), c)
	}
	state, err := p.engine.encode()
	if err != nil {
		return err
	}
	saved := Saved{Name: positionName, Position: p.position, State: state, Changes: p.unsaved}
	if p.cfg.Turns != nil {
		saved.Holder = p.cfg.Holder
	}
	if err := p.cfg.Store.SaveAlerts(ctx, p.cfg.Instance, saved); err != nil {
		return fmt.Errorf("store alerts: %w", err)
	}
	p.unsaved, p.saved, p.moved = nil, at, false
	return nil
}

// tell reports what was raised or cleared. It comes before it is stored: better
// told twice, after a crash, than never.
func (p *pass) tell(c Change) {
	detail := c.Rule + ": " + c.Text
	switch {
	case c.Kind == Clears:
		p.cfg.Tell(event.AlertCleared, detail)
	case c.Kind == Raises && c.Severity == dormer.Error:
		p.cfg.Tell(event.SeriousAlertRaised, detail)
	case c.Kind == Raises:
		p.cfg.Tell(event.AlertRaised, detail)
	}
}

// Origin says where a rule is from.
type Origin string

// The origins of rules.
const (
	FromProgram Origin = "default" // as it comes with the program
	Changed     Origin = "changed" // the program's, changed by an operator
	Own         Origin = "own"
)

// Listed is a rule as it counts.
type Listed struct {
	Rule    Rule
	Origin  Origin
	By      string // of changed and own ones
	Changed time.Time
}

// RuleList returns all rules as they count, by name.
func (s *Service) RuleList(ctx context.Context) ([]Listed, error) {
	stored, err := s.cfg.Rules.AlertRules(ctx)
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	byName := map[string]Listed{}
	for _, r := range defaults {
		byName[r.Name] = Listed{Rule: r, Origin: FromProgram}
	}
	for _, r := range stored {
		key := name.Fold(r.Rule.Name)
		origin := Own
		if _, ours := byName[key]; ours {
			origin = Changed
		}
		byName[key] = Listed{Rule: r.Rule, Origin: origin, By: r.By, Changed: r.Changed}
	}
	list := make([]Listed, 0, len(byName))
	for _, l := range byName {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Listed) int { return cmp.Compare(name.Fold(a.Rule.Name), name.Fold(b.Rule.Name)) })
	return list, nil
}

// Rule returns one rule as it counts; ErrNotFound.
func (s *Service) Rule(ctx context.Context, called string) (Listed, error) {
	list, err := s.RuleList(ctx)
	if err != nil {
		return Listed{}, err
	}
	i := slices.IndexFunc(list, func(l Listed) bool { return name.Fold(l.Rule.Name) == name.Fold(called) })
	if i < 0 {
		return Listed{}, fmt.Errorf("no rule is called that: %w", dormer.ErrNotFound)
	}
	return list[i], nil
}

// SetRule checks and keeps a rule, in place of the one of its name. A rule of
// the program keeps its name.
func (s *Service) SetRule(ctx context.Context, r Rule, by string) error {
	if err := r.Check(); err != nil {
		return err
	}
	for _, d := range defaults {
		if name.Fold(d.Name) == name.Fold(r.Name) {
			r.Name = d.Name
		}
	}
	stored := StoredRule{Rule: r, By: by, Changed: s.cfg.Now().UTC().Truncate(time.Microsecond)}
	if err := s.cfg.Rules.PutAlertRule(ctx, stored, MaxRules); err != nil {
		return fmt.Errorf("store rule %s: %w", r.Name, err)
	}
	poke(s.changed)
	return nil
}

// DeleteRule deletes an operator's rule; one of the program's counts again as it
// comes. ErrConflict for one of those that was not changed.
func (s *Service) DeleteRule(ctx context.Context, called string) error {
	err := s.cfg.Rules.DeleteAlertRule(ctx, called)
	if errors.Is(err, dormer.ErrNotFound) && slices.ContainsFunc(defaults, func(d Rule) bool { return name.Fold(d.Name) == name.Fold(called) }) {
		return fmt.Errorf("rule %s comes with the program: set it with \"enabled\": false instead: %w", called, dormer.ErrConflict)
	}
	if errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("no rule is called %s: %w", called, dormer.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("delete rule %s: %w", called, err)
	}
	poke(s.changed)
	return nil
}

// compiled returns the rules. One that does not check any more, since a later
// version wrote it, is passed over.
func (s *Service) compiled(ctx context.Context) ([]*compiled, error) {
	list, err := s.RuleList(ctx)
	if err != nil {
		return nil, err
	}
	rules := make([]*compiled, 0, len(list))
	for _, l := range list {
		c, err := l.Rule.compile()
		if err != nil {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a rule of alerts is not understood", slog.String("rule", l.Rule.Name), slog.String("error", err.Error()))
			continue
		}
		rules = append(rules, c)
	}
	return rules, nil
}

// Sweep removes alerts that were cleared before t.
func (s *Service) Sweep(ctx context.Context, t time.Time) error {
	n, err := s.cfg.Store.DeleteAlertsBefore(ctx, s.cfg.Instance, t)
	if err != nil {
		return fmt.Errorf("remove old alerts: %w", err)
	}
	if n > 0 {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "old alerts removed", slog.Int64("alerts", n))
	}
	return nil
}
