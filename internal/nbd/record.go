package nbd

import "sync"

// recordBlock is the size of what a Recorder notes, in bytes.
const recordBlock = 4096

// Run is a run of blocks of 4,096 bytes.
type Run struct {
	Block, Blocks int64
}

// Recorder is a source that notes which blocks are read, in the order of their
// first reads.
type Recorder struct {
	Source

	note func(Run)

	mu   sync.Mutex       // guards the field below
	seen map[int64]uint64 // blocks that were read, 64 to an entry; nil after Stop
}

// NewRecorder returns a recorder over source. note is told each run of blocks
// that were not read before, one call after the other; it must not block.
func NewRecorder(source Source, note func(Run)) *Recorder {
	return &Recorder{Source: source, seen: map[int64]uint64{}, note: note}
}

// ReadAt implements io.ReaderAt.
func (r *Recorder) ReadAt(p []byte, off int64) (int, error) {
	r.record(off, int64(len(p)))
	return r.Source.ReadAt(p, off)
}

// Stop ends recording; reading goes on.
func (r *Recorder) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
}

func (r *Recorder) record(off, length int64) {
	if length <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		return
	}
	first, last := off/recordBlock, (off+length-1)/recordBlock
	var run Run
	flush := func() {
		if run.Blocks > 0 {
			r.note(run)
		}
		run = Run{}
	}
	for b := first; b <= last; b++ {
		bit := uint64(1) << (b % 64)
		if r.seen[b/64]&bit != 0 {
			flush()
			continue
		}
		r.seen[b/64] |= bit
		if run.Blocks == 0 {
			run.Block = b
		}
		run.Blocks++
	}
	flush()
}
