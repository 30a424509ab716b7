package lease

import (
	"time"

	"github.com/dormer-project/dormer"
)

// Limits on the archives of diagnostics that a server keeps; see docs/limits.md.
const (
	DiagnosticsOfClient = 3   // of one client, the newest
	DiagnosticsInAll    = 200 // of all, the newest
	DiagnosticsAge      = 30 * 24 * time.Hour
)

// Diagnostics is an archive that a client sent because an order asked for it.
type Diagnostics struct {
	ID       string
	Client   dormer.ClientID
	Order    string
	Received time.Time
	Size     int64 // bytes
}

// Asked reports whether an order for diagnostics waits for what the client sends.
func (i *Issuer) Asked(client dormer.ClientID, order string) bool {
	o, ok := i.orders.find(client, order)
	return ok && o.Kind == OrderDiagnostics
}
