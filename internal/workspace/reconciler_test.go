package workspace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// body is a machine in memory whose actions take a second each.
type body struct {
	mu      sync.Mutex
	fetched bool
	running bool
	gone    bool
	saved   bool
	held    bool
	fail    map[Action]error // the next time
	done    []Action
}

func (b *body) Fetched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fetched
}

func (b *body) act(ctx context.Context, a Action, effect func()) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = append(b.done, a)
	if err := b.fail[a]; err != nil {
		delete(b.fail, a)
		return err
	}
	effect()
	return nil
}

func (b *body) Fetch(ctx context.Context, progress func(string)) error {
	progress("half")
	return b.act(ctx, Fetch, func() { b.fetched = true })
}

func (b *body) Saved() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saved
}

func (b *body) Start(ctx context.Context) error {
	return b.act(ctx, Start, func() { b.running, b.saved = true, false })
}

func (b *body) Save(ctx context.Context) error {
	return b.act(ctx, Save, func() { b.running, b.saved = false, true })
}

func (b *body) Suspend(ctx context.Context) error {
	return b.act(ctx, Suspend, func() { b.held = true })
}

func (b *body) Resume(ctx context.Context) error {
	return b.act(ctx, Resume, func() { b.held = false })
}

func (b *body) Stop(ctx context.Context) error { return b.act(ctx, Stop, func() { b.running = false }) }

func (b *body) Kill(ctx context.Context) error { return b.act(ctx, Kill, func() { b.running = false }) }

func (b *body) Remove(ctx context.Context) error {
	return b.act(ctx, Remove, func() { b.fetched, b.gone = false, true })
}

func (b *body) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetched = false
}

func TestReconciler(t *testing.T) {
	broken := errors.New("broken")
	stories := []struct {
		name string
		fail map[Action]error
		tell func(*Reconciler, *body)
		want Snapshot
		done []Action
	}{
		{"image comes by itself", nil, func(*Reconciler, *body) {}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch}},
		{"run", nil, func(r *Reconciler, _ *body) { r.Want(Run) }, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start}},
		{"run and stop", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			synctest.Wait()
			pass(5 * time.Second)
			r.Want(Stopped)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Start, Stop}},
		{"restart", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Restart)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Stop, Start}},
		{"stop while starting", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(1500 * time.Millisecond)
			r.Want(Stopped)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch}},
		{"halted while fetching", nil, func(r *Reconciler, _ *body) {
			pass(500 * time.Millisecond)
			r.Want(Halted)
		}, Snapshot{Halted, Absent, "", nil}, nil},
		{"halted while running, then allowed", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Halted)
			pass(5 * time.Second)
			r.Want(Stopped)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Start, Stop}},
		{"removed while running is final", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Removed)
			r.Want(Run)
		}, Snapshot{Removed, Gone, "", nil}, []Action{Fetch, Start, Kill, Remove}},
		{"removed while stopping", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Stopped)
			pass(500 * time.Millisecond)
			r.Want(Removed)
		}, Snapshot{Removed, Gone, "", nil}, []Action{Fetch, Start, Kill, Remove}},
		{"fetch fails and is left", map[Action]error{Fetch: broken}, func(*Reconciler, *body) {}, Snapshot{Stopped, Failed, "broken", broken}, []Action{Fetch}},
		{"fetch fails, nudged", map[Action]error{Fetch: broken}, func(r *Reconciler, _ *body) {
			pass(5 * time.Second)
			r.Nudge()
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Fetch}},
		{"start fails and is left", map[Action]error{Start: broken}, func(r *Reconciler, _ *body) { r.Want(Run) }, Snapshot{Stopped, Failed, "broken", broken}, []Action{Fetch, Start}},
		{"start fails, wanted again", map[Action]error{Start: broken}, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Run)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Start}},
		{"stop fails and is tried again", map[Action]error{Stop: broken}, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Stopped)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Start, Stop, Stop}},
		{"remove fails and is tried again", map[Action]error{Remove: broken}, func(r *Reconciler, _ *body) {
			pass(5 * time.Second)
			r.Want(Removed)
		}, Snapshot{Removed, Gone, "", nil}, []Action{Fetch, Remove, Remove}},
		{"guest restarts itself", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Ended(true, nil)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Start}},
		{"guest powers itself off", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Ended(false, nil)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Start}},
		{"guest crashes", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Ended(false, broken)
		}, Snapshot{Stopped, Failed, "broken", broken}, []Action{Fetch, Start}},
		{"paused and going on", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Paused("no space left")
			if got := r.Snapshot(); got.State != Paused || got.Detail != "no space left" {
				panic("not paused")
			}
			r.Paused("")
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start}},
		{"found running", nil, func(r *Reconciler, b *body) {
			pass(500 * time.Millisecond)
			if r.Found(func() { panic("taken during a fetch") }) {
				panic("found during a fetch")
			}
			pass(5 * time.Second)
			if !r.Found(func() { b.running = true }) {
				panic("not found")
			}
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch}},
		{"found running and not wanted", nil, func(r *Reconciler, b *body) {
			pass(5 * time.Second)
			r.Want(Halted)
			r.Found(func() { b.running = true })
		}, Snapshot{Halted, Ready, "", nil}, []Action{Fetch, Stop}},
		{"saved, and run again", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Kept)
			pass(5 * time.Second)
			if got := r.Snapshot(); got.State != Saved {
				panic("not saved")
			}
			r.Want(Run)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Save, Start}},
		{"suspended, and used again", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Held)
			pass(5 * time.Second)
			if got := r.Snapshot(); got.State != Suspended {
				panic("not suspended")
			}
			r.Paused("")
			r.Want(Run)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Suspend, Resume}},
		{"suspended, and may not run any more", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Held)
			pass(5 * time.Second)
			r.Want(Halted)
		}, Snapshot{Halted, Ready, "", nil}, []Action{Fetch, Start, Suspend, Stop}},
		{"suspending fails and is left", map[Action]error{Suspend: broken}, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Held)
		}, Snapshot{Run, Running, "broken", broken}, []Action{Fetch, Start, Suspend}},
		{"resuming fails and is tried again", map[Action]error{Resume: broken}, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Held)
			pass(5 * time.Second)
			r.Want(Run)
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Suspend, Resume, Resume}},
		{"found suspended", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Suspended(func() bool { return false })
			r.Suspended(func() bool { return true })
		}, Snapshot{Run, Running, "", nil}, []Action{Fetch, Start, Resume}},
		{"ends while suspended", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Held)
			pass(5 * time.Second)
			r.Ended(false, nil)
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Start, Suspend}},
		{"kept and deleted", nil, func(r *Reconciler, _ *body) {
			r.Want(Run)
			pass(5 * time.Second)
			r.Want(Kept)
			pass(5 * time.Second)
			r.Want(Removed)
		}, Snapshot{Removed, Gone, "", nil}, []Action{Fetch, Start, Save, Remove}},
		{"another image", nil, func(r *Reconciler, b *body) {
			pass(5 * time.Second)
			b.drop()
			r.Changed()
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch, Fetch}},
		{"another image while fetching", nil, func(r *Reconciler, _ *body) {
			pass(500 * time.Millisecond)
			r.Changed()
		}, Snapshot{Stopped, Ready, "", nil}, []Action{Fetch}},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &body{fail: s.fail}
				var last Snapshot
				r := New(b, Stopped, Absent, func(n Snapshot) { last = n })
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() {
					r.Run(ctx)
					close(ended)
				}()
				s.tell(r, b)
				pass(30 * time.Second)
				got := r.Snapshot()
				cancel()
				<-ended
				if got != s.want {
					t.Errorf("ends as %+v, want %+v", got, s.want)
				}
				if last != s.want {
					t.Errorf("last told was %+v", last)
				}
				if len(b.done) != len(s.done) {
					t.Fatalf("did %v, want %v", b.done, s.done)
				}
				for i := range b.done {
					if b.done[i] != s.done[i] {
						t.Errorf("did %v, want %v", b.done, s.done)
					}
				}
			})
		})
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := New(&body{}, Run, Absent, nil)
		ended := make(chan struct{})
		go func() {
			r.Run(ctx)
			close(ended)
		}()
		s, err := r.Await(ctx, func(s Snapshot) bool { return s.State == Running })
		if err != nil || s.Desired != Run {
			t.Errorf("%+v, %v", s, err)
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, err := r.Await(short, func(s Snapshot) bool { return s.State == Failed }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
		<-ended
	})
}

// pass lets time go by in the bubble of the test.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
