// Package functions has the provider's functions. They are computed by the engine, so that Terraform, the command and the
// timer agree on what an expression means; they need no credentials and no server. Terraform calls functions without the
// provider's configuration: the engine is found by RECOUP_ENGINE, beside the provider, or on PATH.
package functions

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// call asks the engine. arguments says which argument of the function each parameter of the method comes from.
func call(ctx context.Context, method string, parameters, result any, arguments map[string]int64) *function.FuncError {
	err := engine.New(settings.Settings{}).Call(ctx, method, parameters, result, nil)
	if err == nil {
		return nil
	}
	var failed *engine.Error
	if errors.As(err, &failed) {
		if argument, ok := arguments[failed.Attribute]; ok {
			return function.NewArgumentFuncError(argument, failed.Message)
		}
	}
	return function.NewFuncError(err.Error())
}
