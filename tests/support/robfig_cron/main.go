// Prints when cron expressions are due, by the parser that Velero uses. Reads [["EXPRESSION", "AFTER"], …], and prints a line of JSON
// for each. tests/python/velero/cron_cases.jsonl is its output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type result struct {
	Expression string   `json:"expression"`
	Error      string   `json:"error,omitempty"`
	After      string   `json:"after,omitempty"`
	Next       []string `json:"next,omitempty"`
}

func one(expression, after string) (r result) {
	r.Expression = expression
	defer func() {
		if p := recover(); p != nil {
			r.Error = fmt.Sprint("panic: ", p)
		}
	}()
	s, err := cron.ParseStandard(expression)
	if err != nil {
		r.Error = err.Error()
		return
	}
	r.After = after
	t, _ := time.Parse(time.RFC3339, after)
	t = t.UTC()
	for i := 0; i < 5; i++ {
		t = s.Next(t)
		if t.IsZero() {
			r.Next = append(r.Next, "never")
			break
		}
		r.Next = append(r.Next, t.UTC().Format(time.RFC3339))
	}
	return
}

func main() {
	time.Local = time.UTC
	var in [][2]string
	json.NewDecoder(os.Stdin).Decode(&in)
	out := []result{}
	for _, each := range in {
		out = append(out, one(each[0], each[1]))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	for _, r := range out {
		e.Encode(r)
	}
}
