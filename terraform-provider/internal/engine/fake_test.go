// This file is the engine that the tests fake: the test's own executable, run again with FAKE_ENGINE set. It is for what the
// real engine does not do: crash, hang, and talk nonsense.
package engine_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if behaviour := os.Getenv("AWS_FAKE_ENGINE"); behaviour != "" && len(os.Args) == 2 && os.Args[1] == "engine" {
		fake(behaviour)
		return
	}
	os.Exit(m.Run())
}

// The variable's name begins with AWS_, because the engine's environment has few others.
func fakeEngine(t *testing.T, behaviour string) string {
	t.Helper()
	t.Setenv("AWS_FAKE_ENGINE", behaviour)
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const hello = `{"v":1,"type":"hello","engine":"recoup","version":"9.9","methods":["bucket.get","echo"]}`

func say(lines ...string) {
	for _, line := range lines {
		fmt.Println(line)
	}
}

func fake(behaviour string) {
	request := ""
	if input := bufio.NewReader(os.Stdin); behaviour != "exits without reading" {
		request, _ = input.ReadString('\n')
	}
	switch behaviour {
	case "echo": // the request itself, the arguments and the environment
		text, _ := json.Marshal(map[string]any{"request": json.RawMessage(request), "arguments": os.Args[1:], "environment": os.Environ()})
		say(hello, `{"v":1,"id":"1","type":"progress","progress":{"done":1}}`, `{"v":1,"type":"news","what":"of a later version"}`,
			`{"v":1,"id":"1","type":"progress","progress":{"done":2},"more":true}`, `{"v":1,"id":"1","type":"result","result":`+string(text)+`}`)
	case "refuses":
		say(hello, `{"v":1,"id":"1","type":"error","error":{"code":"access_denied","message":"no entry for sesame-open","attribute":"s3.access_key","exit_code":12}}`)
	case "crashes":
		say(hello, `{"v":1,"id":"1","type":"progress","progress":{}}`)
		fmt.Fprintln(os.Stderr, "about to crash with sesame-open in hand")
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
		time.Sleep(time.Minute)
	case "exits without reading", "exits":
		os.Exit(3)
	case "breaks off":
		fmt.Print(hello, "\n", `{"v":1,"id":"1","type":"result","res`)
	case "is of version 2":
		say(strings.Replace(hello, `"v":1`, `"v":2`, 1))
	case "is an old recoup":
		fmt.Fprintln(os.Stderr, `unknown command "engine" for "recoup"`)
		os.Exit(1)
	case "is another program":
		say("usage: engine [OPTION]… with sesame-open")
	case "is other JSON":
		say(`{"type":"result"}`)
	case "does not know the method":
		say(strings.Replace(hello, `"echo"`, `"other"`, 1))
	case "answers nonsense":
		say(hello, `{"v":1,"id":"1","type":"result","result":"text"}`)
	case "writes for ever after nonsense":
		say("nonsense")
		for {
			fmt.Println(strings.Repeat("x", 1<<16))
		}
	case "hangs": // and does not listen to SIGTERM; with a child that holds its output open
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("sleep", "60")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		_ = child.Start()
		note("hangs", child.Process.Pid)
		say(hello, `{"v":1,"id":"1","type":"progress","progress":{}}`)
		time.Sleep(time.Minute)
	case "stops":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		note("stops", os.Getpid())
		say(hello, `{"v":1,"id":"1","type":"progress","progress":{}}`)
		<-stop
		say(`{"v":1,"id":"1","type":"error","error":{"code":"interrupted","message":"interrupted, and the lock was given back","exit_code":130}}`)
	case "large":
		say(hello, `{"v":1,"id":"1","type":"result","result":{"text":"`+strings.Repeat("x", 8<<20)+`"}}`)
	}
}

// note tells the test the ID of a process.
func note(name string, process int) {
	_ = os.WriteFile(filepath.Join(os.Getenv("AWS_FAKE_DIRECTORY"), name), []byte(fmt.Sprint(process)), 0o600)
}
