// This file is what is remembered of the files that were written: in the private state, which is a part of the state file. Units and
// definitions, which everybody on the machine can read, are there as they are, so that an edited line can be shown. Of what
// holds secrets there is only a slow hash with a salt of its own.
package schedule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"golang.org/x/crypto/scrypt"

	"github.com/recoup/terraform-provider-recoup/internal/privatestate"
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
	Mode    string `json:"mode"` // octal
	Content string `json:"content,omitempty"`
	// Plain is the SHA-256 of what the engine makes of the file when it is not told the secrets, as while planning: where a repository
	// is a directory, the unit names it. Another engine may make another one.
	Plain []byte `json:"plain,omitempty"`

	Salt   []byte `json:"salt,omitempty"`   // of a file with secrets
	Scrypt []byte `json:"scrypt,omitempty"` // of its salt and content
}

// secretPath gives the environment file that was written, "" if there was none.
func (r record) secretPath() string {
	for path, print := range r.Files {
		if print.Scrypt != nil {
			return path
		}
	}
	return ""
}

func secretFingerprint(content []byte, mode string) (fingerprint, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return fingerprint{}, fmt.Errorf("make a salt: %w", err)
	}
	hash, err := slowHash(content, salt)
	return fingerprint{Salt: salt, Scrypt: hash, Mode: mode}, err
}

func slowHash(content, salt []byte) ([]byte, error) {
	hash, err := scrypt.Key(content, salt, scryptN, scryptR, scryptP, hashBytes)
	if err != nil {
		return nil, fmt.Errorf("hash the environment file: %w", err)
	}
	return hash, nil
}

func (f fingerprint) matches(content []byte) (bool, error) {
	if f.Scrypt == nil {
		return f.Content == string(content), nil
	}
	hash, err := slowHash(content, f.Salt)
	return err == nil && subtle.ConstantTimeCompare(hash, f.Scrypt) == 1, err
}

// recordOf is about files that were made with the secrets; plain are the same without.
func recordOf(files []renderedFile, plain *rendered) (record, error) {
	written := record{Files: map[string]fingerprint{}}
	for _, file := range files {
		if !file.Secret {
			written.Files[file.Path] = fingerprint{Content: file.Content, Mode: file.Mode}
			continue
		}
		print, err := secretFingerprint([]byte(file.Content), file.Mode)
		if err != nil {
			return record{}, err
		}
		written.Files[file.Path] = print
	}
	for _, file := range plain.Files {
		if print, there := written.Files[file.Path]; there {
			print.Plain = plainHash(file)
			written.Files[file.Path] = print
		}
	}
	return written, nil
}

func plainHash(file renderedFile) []byte {
	hash := sha256.Sum256([]byte(file.Mode + "\n" + file.Content))
	return hash[:]
}

// loadRecord gives an empty record where there is none.
func loadRecord(ctx context.Context, private privatestate.Reader, diags *diag.Diagnostics) record {
	var written record
	if err := privatestate.Load(ctx, private, recordKey, &written, diags); err != nil {
		diags.AddError("Unable to Read Schedule", fmt.Sprintf("What the state remembers of the written files cannot be read: %v. "+
			"Remove the schedule from the state (terraform state rm) and import it.", err))
	}
	return written
}

func saveRecord(ctx context.Context, private privatestate.Writer, written record, diags *diag.Diagnostics) {
	privatestate.Save(ctx, private, recordKey, written, "Unable to Save Schedule", diags)
}
