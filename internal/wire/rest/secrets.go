package rest

import "time"

// Secret is a secret that an administrator left with the server. The secret
// itself is in no answer.
type Secret struct {
	Name string    `json:"name"`
	Set  time.Time `json:"set"`
	By   string    `json:"by"`
}

// NewSecret is a secret to keep.
type NewSecret struct {
	Value string `json:"value" doc:"one line of text; never shown again"`
}
