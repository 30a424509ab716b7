package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

// TestDatabaseAway: who asked for something is told that the database does not
// answer, and nothing of where it is.
func TestDatabaseAway(t *testing.T) {
	err := kind(fmt.Errorf("connect to db.example.test: %w", driver.ErrBadConn))
	if !errors.Is(err, dormer.ErrUnavailable) || !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("kind: %v", err)
	}
	if p := problem.Of(err); p.Detail != "the server's database does not answer now; try again later" {
		t.Errorf("the document is %+v", p)
	}
}
