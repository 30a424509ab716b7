package clientapi_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

// collected sends an archive for an order.
func (c *client) collected(order string, archive []byte) error {
	_, err := c.s.call(http.MethodPut, wire.PathCollected+order, c.token, nil, archive)
	return err
}

// TestCollected: a client leaves the one archive that it was asked for.
func TestCollected(t *testing.T) {
	s, c, _ := ready(t)
	archive := append([]byte{0x1f, 0x8b}, "the rest of it"...)
	asked := func(kind lease.OrderKind) string {
		return must(s.issuer.Order(t.Context(), lease.OrderRequest{Client: c.id, Kind: kind, Reason: "slow", By: "admin"}))(t).ID
	}
	order, refresh := asked(lease.OrderDiagnostics), asked(lease.OrderRefresh)
	other := s.client(true)
	for name, try := range map[string]struct {
		err  error
		kind error
	}{
		"unasked":             {c.collected(strings.Repeat("a", 26), archive), dormer.ErrNotFound},
		"no order":            {c.collected("x", archive), dormer.ErrNotFound},
		"another kind":        {c.collected(refresh, archive), dormer.ErrNotFound},
		"of another client":   {other.collected(order, archive), dormer.ErrNotFound},
		"not compressed":      {c.collected(order, []byte("ustar")), dormer.ErrInvalid},
		"empty":               {c.collected(order, nil), dormer.ErrInvalid},
		"larger than allowed": {c.collected(order, append(archive, make([]byte, wire.MaxDiagnostics)...)), dormer.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, try.err, try.kind) })
	}
	if list := must(s.state.Diagnostics(t.Context(), ""))(t); len(list) > 0 {
		t.Fatalf("kept what was refused: %+v", list)
	}

	full := append(slices.Clone(archive), make([]byte, wire.MaxDiagnostics-len(archive))...)
	if err := c.collected(order, full); err != nil {
		t.Fatalf("the largest that is allowed: %v", err)
	}
	// Its answer was lost: it is sent again, and kept once.
	if err := c.collected(order, archive); err != nil {
		t.Errorf("again: %v", err)
	}
	list := must(s.state.Diagnostics(t.Context(), c.id))(t)
	if len(list) != 1 || list[0].Order != order || list[0].Size != wire.MaxDiagnostics || !list[0].Received.Equal(s.clock.Now()) {
		t.Fatalf("kept are %+v", list)
	}
	if _, b, err := s.state.DiagnosticsArchive(t.Context(), list[0].ID); err != nil || !bytes.Equal(b, full) {
		t.Errorf("the archive is %d bytes, %v", len(b), err)
	}
	told := slices.DeleteFunc(must(s.state.Records(t.Context(), 0, 100))(t), func(r audit.Record) bool { return r.Action != "client.diagnostics" })
	if len(told) != 1 || told[0].Who != "client "+string(c.id) || !strings.Contains(told[0].Detail, order) {
		t.Errorf("the audit log says %+v", told)
	}

	// Reported, the order asks for nothing any more.
	c.report(wire.OrderResult{Order: order})
	wantKind(t, c.collected(order, archive), dormer.ErrNotFound)
}
