package desk

import "net/http"

// Desk answers the local API.
type Desk struct{}

type call struct {
	w http.ResponseWriter
	r *http.Request
}

func (c *call) decode(any) error    { return nil }
func (c *call) json(int, any) error { return nil }
func (c *call) empty(int) error     { return nil }

func (d *Desk) state(*call, none) (state, error)                 { return state{}, nil }
func (d *Desk) chooseServer(*call, chooseServer) (state, error)  { return state{}, nil }
func (d *Desk) files(*call, none) (folder, error)                { return folder{}, nil }
func (d *Desk) images(*call, none) (images, error)               { return images{}, nil }
func (d *Desk) addTest(*call, newTest) (testImage, error)        { return testImage{}, nil }
func (d *Desk) removeTest(*call, none) (none, error)             { return none{}, nil }
func (d *Desk) removePacked(*call, none) (none, error)           { return none{}, nil }
func (d *Desk) runs(*call, none) (list[run], error)              { return list[run]{}, nil }
func (d *Desk) startRun(*call, newRun) (run, error)              { return run{}, nil }
func (d *Desk) stopRun(*call, none) (run, error)                 { return run{}, nil }
func (d *Desk) screen(*call) error                               { return nil }
func (d *Desk) jobs(*call, none) (list[job], error)              { return list[job]{}, nil }
func (d *Desk) startJob(*call, newJob) (job, error)              { return job{}, nil }
func (d *Desk) job(*call, none) (job, error)                     { return job{}, nil }
func (d *Desk) removeJob(*call, none) (none, error)              { return none{}, nil }
