// Package privatestate keeps what a resource remembers for itself in Terraform's private state, as JSON. It is part of the state
// file: nothing in it may be a secret.
package privatestate

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"
)

// Reader and Writer are the framework's private state, whose type cannot be named outside it.
type Reader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

// Writer is described at Reader.
type Writer interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// Load leaves into as it is where nothing is kept under the key. Its error says that what is kept cannot be read.
func Load(ctx context.Context, from Reader, key string, into any, diags *diag.Diagnostics) error {
	text, problems := from.GetKey(ctx, key)
	diags.Append(problems...)
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, into)
}

// Save keeps a value under a key. summary is the error's, should the value be none that JSON knows.
func Save(ctx context.Context, to Writer, key string, value any, summary string, diags *diag.Diagnostics) {
	text, err := json.Marshal(value)
	if err != nil {
		diags.AddError(summary, err.Error())
		return
	}
	diags.Append(to.SetKey(ctx, key, text)...)
}
