"""`recoup velero restore-pvc` into claims and running containers of a real API server, with what stands for a kubelet."""

from __future__ import annotations

import pytest
from kubelet import claim_in, pod_in
from velero_volumes import expected_entries, on_disk

pytest_plugins = ["command_fixture", "kubernetes_server", "kubelet"]

DATA = "db/data-postgres-0"
GOOD = "backup-20260102-000000"


@pytest.fixture
def restore(server, namespace, kubelet, quick, command):
    def run(*options: object, as_json: bool = True):
        front = ["--bucket", quick.path, *(["--json"] if as_json else [])]
        return command(*front, "restore-pvc", DATA, "--backup", GOOD, *options, "--kubeconfig", server.kubeconfig)

    return run


@pytest.fixture
def expected(quick):
    backup = next(each for each in quick.expected["backups"] if each["name"] == GOOD)
    return expected_entries(quick.expected, next(each for each in backup["volumes"] if each["pvc"] == "data-postgres-0"))


def test_into_a_claim_and_again(restore, server, namespace, kubelet, expected):
    claim_in(server, namespace, "data")
    said = restore("--claim", f"{namespace}/data", "--verify")
    assert said.code == 0, said.errors
    document = said.json()
    assert on_disk(kubelet.volume(namespace, "data")) == expected
    assert (document["backup"], document["target"], document["was_filled_before"]) == (GOOD, f"claim {namespace}/data", False)
    assert document["files"] + document["directories"] + document["symlinks"] + document["others"] == len(expected)
    again = restore("--claim", f"{namespace}/data")
    assert again.code == 0 and again.json()["was_filled_before"] is True
    in_words = restore("--claim", f"{namespace}/data", as_json=False)
    assert in_words.code == 0 and "note: " in in_words.errors and "was filled with it before" in in_words.errors


@pytest.mark.parametrize("where", ["{pod}", "{pod}:main", "{pod}:/data", "{pod}:main:/data"])
def test_into_a_running_container(restore, server, namespace, kubelet, expected, where):
    claim_in(server, namespace, "data-postgres-0")
    pod_in(server, namespace, "psql", {"/data": "data-postgres-0"})
    said = restore("--pod", where.format(pod=f"{namespace}/psql"), as_json=False)
    assert said.code == 0, said.errors
    assert on_disk(kubelet.volume(namespace, "data-postgres-0")) == expected
    assert f" {len(expected)} entries, " in said.output


def test_a_claim_in_use_and_one_that_is_not_empty(restore, server, namespace, kubelet, expected):
    claim_in(server, namespace, "data")
    (kubelet.volume(namespace, "data") / "mine").write_text("mine")
    said = restore("--claim", f"{namespace}/data")
    assert said.code not in (0, 3) and "is not empty" in said.errors and "nothing was written" in said.errors
    assert on_disk(kubelet.volume(namespace, "data")).keys() == {b"mine"}
    assert restore("--claim", f"{namespace}/data", "--overwrite", "always").code == 0
    assert on_disk(kubelet.volume(namespace, "data")).items() >= expected.items()
    claim_in(server, namespace, "used")
    pod_in(server, namespace, "psql", {"/data": "used"})
    said = restore("--claim", f"{namespace}/used")
    assert said.code not in (0, 3) and "is used by pod psql" in said.errors


@pytest.mark.parametrize(("options", "words"), [
    ((), "where to? Give one of --target DIR, --claim NAMESPACE/NAME, --pod"),
    (("--target", "x", "--claim", "a/b"), "where to?"),
    (("--claim", "data"), "NAMESPACE/NAME"),
    (("--pod", "a/b:c:d:e"), "--pod a/b:c:d:e: it has the form"),
    (("--pod", "a/b:c:relative"), "PATH begins with a slash"),
    (("--claim", "a/b", "--include", "x"), "into a cluster a volume goes whole"),
    (("--claim", "a/b", "--overwrite", "if-newer"), "only --overwrite always"),
    (("--claim", "a/b", "--node-selector", "x"), "KEY=VALUE"),
    (("--claim", "nowhere/data"), "there is no claim nowhere/data"),
])  # fmt: skip
def test_mistakes(restore, options, words):
    said = restore(*options)
    assert said.code not in (0, 3) and words in said.errors, said
