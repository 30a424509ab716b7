package clientapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

// Diagnostics keeps what clients send of theirs.
type Diagnostics interface {
	// KeepDiagnostics stores an archive; ErrExists when the order has brought one.
	KeepDiagnostics(ctx context.Context, d lease.Diagnostics, archive []byte) error
}

// gzipMagic begins what is compressed with gzip. More of an archive is not looked
// at here: the server does not unpack it.
var gzipMagic = []byte{0x1f, 0x8b}

// collected takes the archive of diagnostics that an order asked for. Nobody
// leaves one unasked.
func (a *API) collected(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	order := r.PathValue("order")
	if !dormer.ValidID(order) || !a.cfg.Issuer.Asked(client, order) {
		return fmt.Errorf("no order asks for these diagnostics: %w", dormer.ErrNotFound)
	}
	return a.readWith(wire.MaxDiagnostics, w, r, func(b []byte) error {
		if !bytes.HasPrefix(b, gzipMagic) {
			return dormer.Invalidf("", "diagnostics come as a tar archive, compressed with gzip")
		}
		id, err := dormer.NewID(a.cfg.Random)
		if err != nil {
			return err
		}
		d := lease.Diagnostics{ID: id, Client: client, Order: order, Received: a.cfg.Now().UTC(), Size: int64(len(b))}
		err = a.cfg.Diagnostics.KeepDiagnostics(r.Context(), d, b)
		if errors.Is(err, dormer.ErrExists) {
			err = nil // the answer to it was lost
		} else if err == nil {
			a.keep(r.Context(), audit.Record{
				Who: "client " + string(client), Action: "client.diagnostics", Object: "diagnostics " + id,
				Detail: fmt.Sprintf("%d bytes, order %s", len(b), order), Remote: a.cfg.Address(r),
			})
		}
		if err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
