"""Reads what `go test -json` writes, several runs one after the other, and says what pytest would: the output of what failed, a line
for each test that failed or was skipped, and counts at the end. Lines that are no JSON pass through; one that begins with "== " names
the run that follows, and "== failed" says that go test ended with an error, whatever it wrote. Ends with 1 if something failed, or if no test ran.

A test with subtests is not counted beside them. What a package prints before it fails without a test of its own having failed (it
does not build, or panics, or is ended) counts as one failure.
"""

from __future__ import annotations

import collections
import json
import sys
import time


def print_failed() -> int:
    """With --failed: a line for each package with the tests that failed in it, joined by "|". Ends with 1 if a package failed without one."""
    packages: set[str] = set()
    tests: dict[str, set[str]] = collections.defaultdict(set)
    for line in sys.stdin:
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event.get("Action") == "fail" and event.get("Package"):
            packages.add(event["Package"])
            if event.get("Test"):
                tests[event["Package"]].add(event["Test"].split("/")[0])
    if not packages or packages - set(tests):
        return 1
    for package in sorted(packages):
        print(package, "|".join(sorted(tests[package])))
    return 0


def main() -> int:
    if sys.argv[1:] == ["--failed"]:
        return print_failed()
    start, run = time.monotonic(), ""
    results: dict[tuple[str, str, str], str] = {}
    seconds: dict[tuple[str, str, str], float] = {}
    outputs: dict[tuple[str, str, str], list[str]] = collections.defaultdict(list)
    builds: dict[str, list[str]] = collections.defaultdict(list)
    for line in sys.stdin:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "Action" not in event:
            if line.strip() == "== failed":
                results.setdefault((run, "go test", ""), "fail")
            elif line.startswith("== "):
                run = line[3:].strip()
            print(line, end="", flush=True)
            continue
        key = (run, event.get("Package", ""), event.get("Test", ""))
        match event["Action"]:
            case "start":
                results[key] = "fail"  # until it says something else
            case "output":
                outputs[key].append(event["Output"])
            case "build-output":
                builds[event.get("ImportPath", "")].append(event["Output"])
            case "pass" | "fail" | "skip" as result:
                results[key], seconds[key] = result, event.get("Elapsed", 0)
                if not key[2]:
                    print(f"{run}: {key[1]}: {result}, {seconds[key]:.0f} s", flush=True)

    tests = {key for key in results if key[2]}
    parents = {(r, p, "/".join(name.split("/")[:depth])) for r, p, name in tests for depth in range(1, name.count("/") + 1)}
    failed_packages = {key[:2] for key in tests if results[key] == "fail"}
    explained = {run for (run, package, _), result in results.items() if result == "fail" and package != "go test"}
    for run in explained:
        results.pop((run, "go test", ""), None)
    counts = collections.Counter()
    for key in sorted(results):
        result, (_, package, test) = results[key], key
        if test and key in parents:
            continue
        if not test and not (result == "fail" and key[:2] not in failed_packages):
            continue
        counts[result] += 1
        name = f"{run_name(key)}{package}{'.' if test else ''}{test}"
        if result == "fail":
            print(f"----- {name}\n{''.join(outputs[key])}")
            print(f"FAILED {name}")
        elif result == "skip":
            why = [each.strip() for each in outputs[key] if not each.startswith(("===", "---", "    ---"))]
            print(f"SKIPPED {name}: {' '.join(why)}")
    for package, said in builds.items():
        print(f"----- {package}\n{''.join(said)}")
    slowest = sorted((key for key in tests if key not in parents), key=lambda key: -seconds[key])[:10]
    print("slowest: " + ", ".join(f"{key[2]} {seconds[key]:.1f} s" for key in slowest))
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped in {time.monotonic() - start:.1f}s")
    return 1 if counts["fail"] or not counts["pass"] else 0


def run_name(key: tuple[str, str, str]) -> str:
    return f"{key[0]}: " if key[0] else ""


sys.exit(main())
