package rest

import "time"

// NoticeEvents are the data of the events of GET /notices, by their names: each
// event has one of them.
type NoticeEvents struct {
	Change  *Notice   `json:"change,omitempty" doc:"what somebody changed"`
	Present []Present `json:"present,omitempty" doc:"who is where, whenever that has changed: all of them"`
	Missed  *None     `json:"missed,omitempty" doc:"more changed than is told: what is shown has to be asked for again"`
}

// Notice is a change that somebody made, as the event change of GET /notices
// tells it.
type Notice struct {
	ID        int64     `json:"id" doc:"of the record in the audit log, and of the event"`
	Time      time.Time `json:"time"`
	Who       string    `json:"who"`
	Principal string    `json:"principal,omitempty"`
	Action    string    `json:"action" doc:"OBJECT.VERB, as workspace.commit"`
	Kind      string    `json:"kind" doc:"of what was changed: the part of action before the dot"`
	Object    string    `json:"object,omitempty" doc:"identity of what was changed, where it has one"`
	Name      string    `json:"name,omitempty" doc:"name of what was changed"`
	Detail    string    `json:"detail,omitempty"`
	Request   string    `json:"request,omitempty" doc:"identity of the request that changed it"`
}

// Present is somebody whose console shows a page; the event present has a list
// of all.
type Present struct {
	Who       string    `json:"who"`
	Principal string    `json:"principal"`
	Where     string    `json:"where" doc:"path of the page"`
	Editing   bool      `json:"editing" doc:"something was entered there that is not committed"`
	Since     time.Time `json:"since"`
	Own       bool      `json:"own" doc:"it is the console that listens"`
}

// SetPresence says where a console is.
type SetPresence struct {
	Console string `json:"console" doc:"what the console calls itself, as in GET /notices"`
	Where   string `json:"where,omitempty" doc:"path of the page that it shows; empty: none"`
	Editing bool   `json:"editing,omitempty"`
}
