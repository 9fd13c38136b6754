// Package password finds the password of a repository where a configuration says that it is. Terraform's state never holds
// one: it comes from a write-only attribute, a file, a command, or the provider's configuration.
package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
)

// Source is where a password comes from; at most one member is set.
type Source struct {
	Text     string // the password itself
	File     string // its first and only line; white space at both ends does not count, as in restic
	Command  string // its output likewise; split into words as restic does, and run without a shell
	Variable string // the environment variable that holds it
}

// IsZero says that there is no password.
func (s Source) IsZero() bool { return s == Source{} }

// From makes a Source of a resource's attributes.
func From(text, file, command types.String) Source {
	return Source{Text: text.ValueString(), File: file.ValueString(), Command: command.ValueString()}
}

// Parameters adds what opens a repository to the parameter "repository" of docs/engine.md. Files and commands are left to
// the engine, so that passwords pass through as few hands as possible.
func (s Source) Parameters(repository map[string]any) map[string]any {
	switch {
	case s.Text != "":
		repository["password"] = s.Text
	case s.File != "":
		repository["password_file"] = s.File
	case s.Command != "":
		repository["password_command"] = s.Command
	}
	return repository
}

const longest = 64 << 10

// Read gives the password. Its errors do not contain it. environment is what a command inherits (engine.Environment).
func (s Source) Read(ctx context.Context, environment []string) (string, error) {
	var text, where string
	switch {
	case s.Text != "":
		return s.Text, nil
	case s.File != "":
		where = "the password file " + s.File
		content, err := os.ReadFile(s.File)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		text = strings.TrimPrefix(string(content), "\ufeff")
	case s.Command != "":
		where = "the output of the password command"
		output, err := s.run(ctx, environment)
		if err != nil {
			return "", err
		}
		text = output
	case s.Variable != "":
		where = "the environment variable " + s.Variable
		text = os.Getenv(s.Variable)
	default:
		return "", errors.New("no password is given")
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fmt.Errorf("%s is empty: a password has to stand there", where)
	}
	if len(text) > longest {
		return "", fmt.Errorf("%s is longer than 64 KiB: this is not a password", where)
	}
	return text, nil
}

func (s Source) run(ctx context.Context, environment []string) (string, error) {
	words, err := Split(s.Command)
	if err != nil {
		return "", fmt.Errorf("the password command cannot be split into words: %w", err)
	}
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Env = environment
	command.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	command.Stderr = &said
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("the password command %q failed: %w: %s", s.Command, err, strings.TrimSpace(said.String()))
	}
	return string(output), nil
}

// Split cuts a command into words at white space; quotes of either kind keep words together.
func Split(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	started := false
	for _, character := range command {
		switch {
		case quote != 0 && character == quote:
			quote = 0
		case quote == 0 && (character == '"' || character == '\''):
			quote, started = character, true
		case quote == 0 && strings.ContainsRune(" \t\r\n\v\f", character):
			if started {
				words = append(words, word.String())
				word.Reset()
			}
			started = false
		default:
			word.WriteRune(character)
			started = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quotation mark %c is not closed", quote)
	}
	if started {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("it is empty")
	}
	return words, nil
}

// ReadWith reads the password with the environment that the engine would have.
func (s Source) ReadWith(ctx context.Context, extra []string) (string, error) {
	return s.Read(ctx, engine.Environment(extra))
}
