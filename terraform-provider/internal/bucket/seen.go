// This file remembers, in private state, how the server wrote what it was given.
package bucket

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/recoup/terraform-provider-recoup/internal/privatestate"
)

const (
	seenKey     = "seen"     // seenParts after the last apply
	importedKey = "imported" // true between an import and the read that follows it
)

// seenParts are the parts that servers give back in other words than they were given.
type seenParts struct {
	Lifecycle json.RawMessage `json:"lifecycle,omitempty"`
	Policy    *string         `json:"policy,omitempty"`
}

func readSeen(ctx context.Context, from privatestate.Reader, diags *diag.Diagnostics) seenParts {
	var seen seenParts
	if err := privatestate.Load(ctx, from, seenKey, &seen, diags); err != nil {
		return seenParts{} // drift is then seen where there may be none, and mended by the next apply
	}
	return seen
}

func writeSeen(ctx context.Context, to privatestate.Writer, found described, diags *diag.Diagnostics) {
	seen := seenParts{Lifecycle: found.Lifecycle, Policy: found.Policy}
	privatestate.Save(ctx, to, seenKey, seen, "Unable to Store Private State", diags)
}

func isNull(document []byte) bool {
	trimmed := bytes.TrimSpace(document)
	return len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null"))
}

// sameJSON says whether both texts say the same. What is not JSON is never the same.
func sameJSON(a, b []byte) bool {
	if isNull(a) && isNull(b) {
		return true
	}
	var first, second any
	if json.Unmarshal(a, &first) != nil || json.Unmarshal(b, &second) != nil {
		return false
	}
	return cmp.Equal(first, second)
}

func samePolicy(a, b *string) bool {
	if a == nil || b == nil {
		return false // nothing was seen, or it is gone: both have to be looked at
	}
	return sameJSON([]byte(*a), []byte(*b))
}
