package rest

import (
	"time"

	"github.com/dormer-project/dormer"
)

// User is a user of the embedded directory.
type User struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	DisplayName string     `json:"display_name,omitempty"`
	MustChange  bool       `json:"must_change" doc:"the password must be changed at the next sign-in"`
	Disabled    bool       `json:"disabled"`
	Expires     *time.Time `json:"expires,omitempty"`
	Created     time.Time  `json:"created"`
}

// NewUser adds a user.
type NewUser struct {
	Name        string     `json:"name"`
	DisplayName string     `json:"display_name,omitempty"`
	Password    string     `json:"password,omitempty" doc:"at least 12 characters; one is generated when it is absent"`
	MustChange  bool       `json:"must_change,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
}

// UserCreated is a new user, with the password if one was generated.
type UserCreated struct {
	User
	Password string `json:"password,omitempty" doc:"the generated one; shown once"`
}

// ChangeUser changes what is present.
type ChangeUser struct {
	Name        *string    `json:"name,omitempty"`
	DisplayName *string    `json:"display_name,omitempty"`
	MustChange  *bool      `json:"must_change,omitempty"`
	Disabled    *bool      `json:"disabled,omitempty"`
	Expires     *time.Time `json:"expires,omitempty" doc:"0001-01-01T00:00:00Z: never"`
}

// SetPassword gives a user a password.
type SetPassword struct {
	Password   string `json:"password,omitempty" doc:"one is generated when it is absent"`
	MustChange bool   `json:"must_change,omitempty"`
}

// PasswordSet carries the password that was generated.
type PasswordSet struct {
	Password string `json:"password,omitempty" doc:"the generated one; shown once"`
}

// Group is a group of the embedded directory.
type Group struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []Member `json:"members"`
}

// Member is a direct member of a group.
type Member struct {
	Kind dormer.PrincipalKind `json:"kind"`
	ID   string               `json:"id"`
	Name string               `json:"name,omitempty"`
}

// NewGroup adds a group.
type NewGroup struct {
	Name string `json:"name"`
}

// Found is who was found in the directories.
type Found struct {
	Items      []Entry  `json:"items"`
	Unanswered []string `json:"unanswered,omitempty" doc:"directories that did not answer: whom they have is not among the items"`
}
