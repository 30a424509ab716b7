package alert

import "time"

// slots is into how many parts a window is divided: it slides by one part.
const slots = 60

// window counts within the time of a rule. What falls out of it leaves by whole
// slots.
type window struct {
	// parts are ascending by slot; total is their sum.
	parts []part
	total int64
	// clients is the last slot of each client, where clients are counted.
	clients map[string]int64
	// slid is the oldest slot at the last slide.
	slid int64
}

// part is what was counted in one slot: time since 1970 by the rule's step.
type part struct {
	slot, n int64
}

func (c *compiled) slot(at time.Time) int64 { return at.UnixNano() / int64(c.step) }

// oldest is the first slot that is still in the window.
func (c *compiled) oldest(at time.Time) int64 {
	return c.slot(at) - int64((c.window+c.step-1)/c.step) + 1
}

// add counts n at a time and returns how many are in the window then.
func (w *window) add(c *compiled, at time.Time, client string, n int64) int64 {
	w.slide(c, at)
	slot := c.slot(at)
	if c.Events.Counts == CountClients {
		if w.clients == nil {
			w.clients = map[string]int64{}
		}
		// More than are needed to hold the condition tell nothing.
		if _, known := w.clients[client]; known || len(w.clients) < 2*c.Events.Threshold+100 {
			w.clients[client] = max(slot, w.clients[client])
		}
		return int64(len(w.clients))
	}
	// The time of receipt may go back a little: it counts as the newest then.
	if last := len(w.parts) - 1; last >= 0 && w.parts[last].slot >= slot {
		w.parts[last].n += n
	} else {
		w.parts = append(w.parts, part{slot: slot, n: n})
	}
	w.total += n
	return w.total
}

// slide drops what is out of the window and reports whether nothing is left.
func (w *window) slide(c *compiled, at time.Time) (empty bool) {
	oldest := c.oldest(at)
	if oldest <= w.slid {
		return len(w.parts) == 0 && len(w.clients) == 0
	}
	w.slid = oldest
	drop := 0
	for drop < len(w.parts) && w.parts[drop].slot < oldest {
		w.total -= w.parts[drop].n
		drop++
	}
	if drop > 0 {
		w.parts = append(w.parts[:0], w.parts[drop:]...)
	}
	for client, slot := range w.clients {
		if slot < oldest {
			delete(w.clients, client)
		}
	}
	return len(w.parts) == 0 && len(w.clients) == 0
}
