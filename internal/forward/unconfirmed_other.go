//go:build !linux

package forward

import "net"

// unconfirmed is not known here.
func unconfirmed(net.Conn) (int, error) { return 0, nil }
