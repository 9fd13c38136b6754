// This file is what is remembered of the files that were written: in the private state, which is a part of the state file. So there
// are only hashes in it, and of what holds secrets a slow one with a salt of its own.
package schedule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"golang.org/x/crypto/scrypt"
)

const recordKey = "written"

// environmentMode: root alone reads it.
const environmentMode = "0600"

// scrypt's parameters: some 100 ms and 32 MiB for each guess, once for each refresh.
const (
	scryptN, scryptR, scryptP = 1 << 15, 8, 1
	hashBytes                 = 32
	saltBytes                 = 16
)

// record says what was written to the machine.
type record struct {
	Files map[string]fingerprint `json:"files"` // by path
}

type fingerprint struct {
	SHA256 []byte `json:"sha256,omitempty"`
	Salt   []byte `json:"salt,omitempty"`   // of a file with secrets
	Scrypt []byte `json:"scrypt,omitempty"` // of its salt and content
	Mode   string `json:"mode"`             // octal
}

func (r record) secretPath() string {
	for path, print := range r.Files {
		if print.Scrypt != nil {
			return path
		}
	}
	return ""
}

func newFingerprint(content []byte, mode string, secret bool) (fingerprint, error) {
	if !secret {
		hash := sha256.Sum256(content)
		return fingerprint{SHA256: hash[:], Mode: mode}, nil
	}
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return fingerprint{}, fmt.Errorf("make a salt: %w", err)
	}
	hash, err := scrypt.Key(content, salt, scryptN, scryptR, scryptP, hashBytes)
	if err != nil {
		return fingerprint{}, fmt.Errorf("hash the environment file: %w", err)
	}
	return fingerprint{Salt: salt, Scrypt: hash, Mode: mode}, nil
}

func (f fingerprint) matches(content []byte) (bool, error) {
	if f.Scrypt == nil {
		hash := sha256.Sum256(content)
		return subtle.ConstantTimeCompare(hash[:], f.SHA256) == 1, nil
	}
	hash, err := scrypt.Key(content, f.Salt, scryptN, scryptR, scryptP, hashBytes)
	if err != nil {
		return false, fmt.Errorf("hash the environment file: %w", err)
	}
	return subtle.ConstantTimeCompare(hash, f.Scrypt) == 1, nil
}

func recordOf(files []renderedFile) (record, error) {
	written := record{Files: map[string]fingerprint{}}
	for _, file := range files {
		print, err := newFingerprint([]byte(file.Content), file.Mode, file.Secret)
		if err != nil {
			return record{}, err
		}
		written.Files[file.Path] = print
	}
	return written, nil
}

// privateReader and privateWriter are the framework's private state, whose type cannot be named outside it.
type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// loadRecord gives an empty record where there is none.
func loadRecord(ctx context.Context, private privateReader, diags *diag.Diagnostics) record {
	var written record
	encoded, problems := private.GetKey(ctx, recordKey)
	diags.Append(problems...)
	if len(encoded) == 0 {
		return written
	}
	if err := json.Unmarshal(encoded, &written); err != nil {
		diags.AddError("Unable to Read Schedule", fmt.Sprintf("What the state remembers of the written files cannot be read: %v. "+
			"Remove the schedule from the state (terraform state rm) and import it.", err))
	}
	return written
}

func saveRecord(ctx context.Context, private privateWriter, written record, diags *diag.Diagnostics) {
	encoded, err := json.Marshal(written)
	if err != nil {
		diags.AddError("Unable to Save Schedule", err.Error())
		return
	}
	diags.Append(private.SetKey(ctx, recordKey, encoded)...)
}
