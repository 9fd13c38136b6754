// What tests of the package may do that others may not.
package engine

import "time"

// SetStopGrace shortens what a cancelled engine is given to end.
func (c *Client) SetStopGrace(grace time.Duration) { c.grace = grace }
