"""How a program must refuse what is no good: by message and exit code, and with little memory."""

import shutil

#: what an ordinary run needs and a few gigabytes more
LITTLE_MEMORY = ["sh", "-c", 'ulimit -v 4000000; exec "$@"', "sh"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def exit_error(result):
    """The one JSON message that tells why; it repeats the exit code."""
    (message,) = [m for m in result.json_errors() if m.get("message_type") == "exit_error"]
    assert message["code"] == result.code and message["message"].strip()
    return message["message"]


#: no crash, no other code than these: recoup says what is wrong
TOLERABLE = (0, 1)
READERS = [["check"], ["check", "--read-data"], ["snapshots", "--json"], ["ls", "latest"], ["stats"], ["find", "*"], ["list", "blobs"], ["list", "index"],
           ["dump", "latest", "/"], ["restore", "latest", "--target", "out"], ["stats", "--mode=raw-data"], ["diff", "latest", "latest"],
           ["snapshots"], ["ls", "--long", "--json", "--recursive", "latest"], ["backup", "/etc/hostname"], ["stats", "--mode=files-by-contents"]]


def read_everything(recoup, repo, tmp_path, codes=TOLERABLE, readers=READERS):
    """Runs all reading commands; returns what check said. None may crash, hang or write outside its target."""
    said = {}
    for command in readers:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        result = recoup.run(*command, "--no-cache", repo=repo, cwd=tmp_path, code=codes, timeout=180)
        assert result.code == 0 or result.errors.strip(), result
        said[" ".join(command)] = result
    return said
