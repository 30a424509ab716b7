package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// enrolAtOnce is how many clients enrol side by side.
const enrolAtOnce = 16

// Clients enrols n clients and lets each poll once, so that all have tokens and
// TLS sessions to resume.
func (s *Server) Clients(ctx context.Context, n int) ([]*Client, error) {
	token, err := s.JoinToken(ctx, n)
	if err != nil {
		return nil, err
	}
	clients := make([]*Client, n)
	return clients, Each(n, enrolAtOnce, func(i int) error {
		c, err := Enrol(ctx, token, i)
		if err != nil {
			return err
		}
		clients[i] = c
		_, err = c.Poll(ctx, 0)
		return err
	})
}

// Each calls f with every number below n, so many at once, until one fails.
func Each(n, atOnce int, f func(int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		errs   = make([]error, atOnce)
		wg     sync.WaitGroup
	)
	for w := range atOnce {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
				if errs[w] = f(i); errs[w] != nil {
					failed.Store(true)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
