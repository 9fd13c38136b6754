//go:build generate

// Package tools makes the provider's documentation.
package tools

//go:generate terraform fmt -recursive ../examples
//go:generate go tool tfplugindocs generate --provider-dir .. --provider-name recoup --rendered-provider-name recoup
