package loopback_test

import (
	"net"
	"testing"

	"github.com/dormer-project/dormer/internal/loopback"
)

func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		address, err := loopback.Address(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[address] {
			t.Fatalf("%s was given twice", address)
		}
		seen[address] = true
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("an address that nobody listens on: %v", err)
		}
		t.Cleanup(func() { l.Close() }) // taken while the next ones are looked for
	}
}
