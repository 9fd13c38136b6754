// This file is the machine's systemctl and journalctl.
package guestfake

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

func (m *Machine) systemctl(verb string, arguments []string) guest.Result {
	var units []string
	now := false
	for _, argument := range arguments {
		switch {
		case argument == "--now":
			now = true
		case !strings.HasPrefix(argument, "-") && !strings.HasPrefix(argument, "ActiveState"):
			units = append(units, argument)
		}
	}
	switch verb {
	case "is-enabled":
		return m.isEnabled(units[0])
	case "is-active":
		if m.active[units[0]] {
			return guest.Result{Stdout: []byte("active\n")}
		}
		return guest.Result{ExitCode: 3, Stdout: []byte("inactive\n")}
	case "enable", "start", "restart", "disable", "stop":
		for _, unit := range units {
			if !m.hasUnit(unit) && !(verb == "stop" && m.active[unit]) { // systemd knows what runs, whatever became of its file
				return guest.Result{ExitCode: 5, Stderr: []byte(fmt.Sprintf("Failed to %s %s: Unit %s not loaded.", verb, unit, unit))}
			}
			m.change(verb, unit, now)
		}
	case "show":
		return m.show(units[0])
	}
	return guest.Result{} // daemon-reload, reset-failed, clean
}

func (m *Machine) isEnabled(unit string) guest.Result {
	switch {
	case !m.hasUnit(unit):
		return guest.Result{ExitCode: 1, Stderr: []byte("Failed to get unit file state for " + unit + ": No such file or directory")}
	case m.enabled[unit]:
		return guest.Result{Stdout: []byte("enabled\n")}
	}
	return guest.Result{ExitCode: 1, Stdout: []byte("disabled\n")}
}

func (m *Machine) change(verb, unit string, now bool) {
	switch verb {
	case "enable":
		m.enabled[unit] = true
		m.active[unit] = m.active[unit] || now
	case "disable":
		m.enabled[unit] = false
		m.active[unit] = m.active[unit] && !now
	case "stop":
		m.active[unit] = false
	default:
		if strings.HasSuffix(unit, ".service") {
			m.startService(unit)
			return
		}
		m.active[unit] = true
	}
}

func (m *Machine) startService(unit string) {
	if m.properties[unit].Polls > 0 {
		return // it runs already
	}
	run := ServiceRun{}
	if m.Service != nil {
		run = m.Service(unit)
	}
	if run.Refused {
		return
	}
	m.runs++
	run.id = fmt.Sprintf("%032x", m.runs)
	m.properties[unit] = run
}

func (m *Machine) show(unit string) guest.Result {
	run, ran := m.properties[unit]
	load, state, result := "loaded", "inactive", "success"
	if !m.hasUnit(unit) {
		load = "not-found"
	}
	switch {
	case !ran:
	case run.Polls == 0 && run.Forgets:
		run = ServiceRun{}
	case run.Polls > 0:
		state = "activating"
		run.Polls--
		m.properties[unit] = run
	case run.Result != "":
		result = run.Result
		if result != "success" {
			state = "failed"
		}
	case run.ExitCode != 0:
		state, result = "failed", "exit-code"
	}
	return guest.Result{Stdout: []byte(fmt.Sprintf("LoadState=%s\nActiveState=%s\nResult=%s\nExecMainStatus=%d\nInvocationID=%s\n",
		load, state, result, run.ExitCode, run.id))}
}

// journalctl gives JSON. The journal's last entry before a run is of the same unit: whoever reads the run has to leave it out.
func (m *Machine) journalctl(arguments []string) guest.Result {
	asked := strings.Join(arguments, " ")
	if !strings.Contains(asked, "--output=json") {
		return guest.Result{}
	}
	var text strings.Builder
	write := func(number int, message string) {
		quoted, _ := json.Marshal(message)
		fmt.Fprintf(&text, `{"__CURSOR":"s=%d","_BOOT_ID":"b","__MONOTONIC_TIMESTAMP":"%d","__REALTIME_TIMESTAMP":"%d","MESSAGE":%s}`+"\n",
			number, 1000+number/2, 2000+number, quoted)
	}
	write(0, "what an earlier run said")
	for unit, run := range m.properties {
		if run.id != "" && strings.Contains(asked, "_SYSTEMD_UNIT="+unit) {
			for number, line := range strings.Split(strings.TrimSuffix(run.Journal, "\n"), "\n") {
				write(number+1, line)
			}
		}
	}
	return guest.Result{Stdout: []byte(text.String())}
}
