package imagepack

import (
	"sync"

	"github.com/dormer-project/dormer/internal/preparation"
)

// prepared collects the preparation records among the blocks that are read.
type prepared struct {
	mu     sync.Mutex // guards newest while blocks are read
	newest *preparation.Record
}

// look looks whether a block is a preparation record. One that is damaged is
// a block like others: a free one may hold anything.
func (p *prepared) look(block []byte) {
	if !preparation.Is(block) {
		return
	}
	r, err := preparation.Decode(block)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newest == nil || r.Newer(*p.newest) {
		p.newest = &r
	}
}
