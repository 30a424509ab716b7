// Package guesttest runs the guest's agent in a real guest: what the host
// arranges there is looked at from inside. It has no code of its own, only tests.
package guesttest
