// Package guest reaches into the machines that backups run on: containers through their host's API, any host over SSH, and
// the machine that Terraform itself runs on.
package guest

import (
	"context"
	"io/fs"
)

// Guest is one machine, reached as root. Its methods may be called one at a time.
type Guest interface {
	// Run executes a program with its arguments, without a shell. A program that ends with another code than 0 is no error.
	Run(ctx context.Context, argv []string, stdin []byte) (Result, error)

	// ReadFile gives a regular file with what is known of it. The error is fs.ErrNotExist (errors.Is) where there is none.
	ReadFile(ctx context.Context, path string) (File, error)

	// WriteFile puts the file there whole or not at all, and makes the directories above it (0755). A secret must never
	// be readable by others in between: mode and owner are set before the file has its name.
	WriteFile(ctx context.Context, file File) error

	// RemoveFile is content if there is no such file.
	RemoveFile(ctx context.Context, path string) error

	Close() error
}

// Result is what a program left.
type Result struct {
	ExitCode       int
	Stdout, Stderr []byte
}

// File is a regular file in a guest.
type File struct {
	Path     string
	Content  []byte
	Mode     fs.FileMode // permission bits only
	UID, GID int
}
