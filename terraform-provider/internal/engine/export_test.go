package engine

import (
	"testing"
	"time"
)

// SetStopGrace shortens the grace for a test.
func SetStopGrace(t *testing.T, grace time.Duration) {
	before := stopGrace
	stopGrace = grace
	t.Cleanup(func() { stopGrace = before })
}
