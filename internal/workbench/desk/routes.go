package desk

import (
	"net/http"
	"reflect"
)

// route is one row of the route table.
type route struct {
	method, path string // path below Prefix
	summary      string
	handle       func(*Desk, *call) error
	body, answer reflect.Type // nil: none
	query        []parameter
	status       int // of success
}

// parameter is a parameter in the query.
type parameter struct{ name, doc string }

// act makes a row of a function from body to answer.
func act[In, Out any](method, path, summary string, status int, f func(*Desk, *call, In) (Out, error), query ...parameter) route {
	r := route{method: method, path: path, summary: summary, status: status, query: query}
	if t := reflect.TypeFor[In](); t != reflect.TypeFor[none]() {
		r.body = t
	}
	if t := reflect.TypeFor[Out](); t != reflect.TypeFor[none]() {
		r.answer = t
	}
	r.handle = func(d *Desk, c *call) error {
		var in In
		if r.body != nil {
			if err := c.decode(&in); err != nil {
				return err
			}
		}
		out, err := f(d, c, in)
		if err != nil {
			return err
		}
		if r.answer == nil {
			return c.empty(status)
		}
		return c.json(status, out)
	}
	return r
}

// routes is the whole local API.
func routes() []route {
	return []route{
		act("GET", "/state", "This computer, and the server that everything is asked of", http.StatusOK, (*Desk).state),
		act("PUT", "/server", "Choose the server that everything is asked of", http.StatusOK, (*Desk).chooseServer),
		act("GET", "/files", "What of a folder of this computer may be chosen as a disk", http.StatusOK, (*Desk).files,
			parameter{"path", "the folder; absent: that of the user"}),
		act("GET", "/images", "Test images and packed images of this computer", http.StatusOK, (*Desk).images),
		act("POST", "/tests", "Add a test image", http.StatusCreated, (*Desk).addTest),
		act("DELETE", "/tests/{name}", "Forget a test image; its disk stays where it is", http.StatusNoContent, (*Desk).removeTest),
		act("DELETE", "/packed/{name}", "Delete a packed image of this computer", http.StatusNoContent, (*Desk).removePacked),
		act("GET", "/runs", "Machines that run test images, newest first", http.StatusOK, (*Desk).runs),
		act("POST", "/runs", "Run a test image under a policy", http.StatusCreated, (*Desk).startRun),
		act("POST", "/runs/{id}/stop", "End a run: the guest is asked to shut down; asked twice, the machine is turned off", http.StatusOK, (*Desk).stopRun),
		{
			method: "GET", path: "/runs/{id}/screen", status: http.StatusSwitchingProtocols, handle: (*Desk).screen,
			summary: "The guest's screen as RFB (RFC 6143) in the binary messages of a websocket; subprotocol binary",
		},
		act("GET", "/jobs", "Jobs, newest first", http.StatusOK, (*Desk).jobs),
		act("POST", "/jobs", "Begin a job", http.StatusCreated, (*Desk).startJob),
		act("GET", "/jobs/{id}", "One job", http.StatusOK, (*Desk).job),
		act("DELETE", "/jobs/{id}", "Cancel a job, or forget one that has ended", http.StatusNoContent, (*Desk).removeJob),
	}
}
