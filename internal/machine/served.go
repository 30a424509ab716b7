package machine

import (
	"context"
	"reflect"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// served is the machine as the agent knows it: made of an image, where the
// driver below has the sockets and files that serve the image's disks.
type served struct {
	hypervisor.Machine
	asked hypervisor.Spec // as the agent gave it
	given hypervisor.Spec // as the driver got it
}

// Apply implements hypervisor.Machine.
func (s served) Apply(ctx context.Context, spec hypervisor.Spec) ([]hypervisor.Part, error) {
	if reflect.DeepEqual(spec.Base, s.asked.Base) {
		spec.Base = s.given.Base
	}
	return s.Machine.Apply(ctx, spec)
}
