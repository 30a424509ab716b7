package memblobs

import (
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/blobstore/blobtest"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

func TestBlobs(t *testing.T) {
	blobtest.Run(t, func(*testing.T) imagerepo.Blobs { return New(time.Now) })
}
