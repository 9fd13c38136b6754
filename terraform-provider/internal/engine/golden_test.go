// This file plays the golden conversations of tests/data/engine with the real engine, which the variable RECOUP names. Their
// README says what they mean. What no client of this kind sends (lines that are no requests) is left to the engine's own
// tests.
package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

const goldenDirectory = "../../../tests/data/engine"

type goldenLine struct {
	About   string
	Request *struct {
		Version json.Number     `json:"v"`
		ID      any             `json:"id"`
		Method  any             `json:"method"`
		Params  json.RawMessage `json:"params"`
	}
	Answer map[string]any
}

func TestGoldenConversations(t *testing.T) {
	recoup := os.Getenv("RECOUP")
	if recoup == "" {
		if os.Getenv("TF_ACC") != "" {
			t.Fatal("RECOUP must name the recoup executable")
		}
		t.Skip("RECOUP names no recoup executable")
	}
	files, err := filepath.Glob(filepath.Join(goldenDirectory, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no conversations in %s: %v", goldenDirectory, err)
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // restored afterwards
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("HOME", t.TempDir())
	client := engine.New(settings.Settings{EnginePath: recoup})
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { playGolden(t, client, file) })
	}
}

func playGolden(t *testing.T, client *engine.Client, file string) {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	saved := map[string]string{"directory": t.TempDir()}
	played := 0
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		text := lines.Text()
		for name, value := range saved {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		var line goldenLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("line %d: %v", number, err)
		}
		method, isText := "", false
		if line.Request != nil {
			method, isText = line.Request.Method.(string)
		}
		if !isText || line.Request.Version != "1" || len(line.Request.Params) > 0 && line.Request.Params[0] != '{' {
			continue
		}
		var result json.RawMessage
		var params any
		if len(line.Request.Params) > 0 {
			params = line.Request.Params
		}
		err := client.Call(context.Background(), method, params, &result, nil)
		if engine.HasCode(err, engine.CodeProtocol) && strings.Contains(err.Error(), "does not know "+method) {
			continue // the client refuses by itself what the hello does not list
		}
		played++
		if problem := matchAnswer(line.Answer, result, err, saved); problem != "" {
			t.Errorf("line %d (%s): %s\nresult %s, error %v", number, line.About, problem, result, err)
		}
	}
	if played == 0 {
		t.Errorf("nothing was played")
	}
}

func matchAnswer(wanted map[string]any, result json.RawMessage, err error, saved map[string]string) string {
	answer := map[string]any{}
	var failed *engine.Error
	switch {
	case errors.As(err, &failed):
		answer["type"] = "error"
		members := map[string]any{"code": failed.Code, "message": failed.Message, "exit_code": float64(failed.ExitCode)}
		if failed.Attribute != "" {
			members["attribute"] = failed.Attribute
		}
		answer["error"] = members
	case err != nil:
		return err.Error()
	default:
		var decoded any
		if err := json.Unmarshal(result, &decoded); err != nil {
			return err.Error()
		}
		answer["type"], answer["result"] = "result", decoded
	}
	for _, member := range []string{"v", "id"} { // the client has judged them, and has an id of its own
		delete(wanted, member)
	}
	return match(wanted, answer, "answer", saved)
}

var placeholder = regexp.MustCompile(`(?s)^<(any|text|number|absent|contains|save)(?::(.*))?>$`)

// match gives "" where found is what the conversation wants.
func match(wanted, found any, where string, saved map[string]string) string {
	switch typed := wanted.(type) {
	case map[string]any:
		object, ok := found.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is no object: %v", where, found)
		}
		for name, member := range typed {
			value, has := object[name]
			if member == "<absent>" {
				if has {
					return where + "." + name + " should not be there"
				}
				continue
			}
			if !has {
				return where + "." + name + " is missing"
			}
			if problem := match(member, value, where+"."+name, saved); problem != "" {
				return problem
			}
		}
		return ""
	case []any:
		list, ok := found.([]any)
		if !ok || len(list) != len(typed) {
			return fmt.Sprintf("%s is no list of %d: %v", where, len(typed), found)
		}
		for index := range typed {
			if problem := match(typed[index], list[index], fmt.Sprintf("%s[%d]", where, index), saved); problem != "" {
				return problem
			}
		}
		return ""
	case string:
		if parts := placeholder.FindStringSubmatch(typed); parts != nil {
			return matchPlaceholder(parts[1], parts[2], found, where, saved)
		}
	}
	if !reflect.DeepEqual(wanted, found) {
		return fmt.Sprintf("%s is %v, not %v", where, found, wanted)
	}
	return ""
}

func matchPlaceholder(kind, argument string, found any, where string, saved map[string]string) string {
	text, isText := found.(string)
	_, isNumber := found.(float64)
	ok := true
	switch kind {
	case "text":
		ok = isText && text != ""
	case "number":
		ok = isNumber
	case "contains":
		ok = isText && strings.Contains(text, argument)
	case "save":
		ok = isText
		saved[argument] = text
	}
	if !ok {
		return fmt.Sprintf("%s is %v, not <%s:%s>", where, found, kind, argument)
	}
	return ""
}
