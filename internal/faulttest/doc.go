// Package faulttest kills, stops and starves a real dormerd and its databases
// while clients send events over HTTPS, and then counts: every event that was
// acknowledged is there exactly once. It has tests only.
package faulttest
