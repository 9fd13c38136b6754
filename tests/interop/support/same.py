"""Both programs do the same: what they print must agree."""

import re


def same_json(recoup, restic, repo, *args, sort=None, **run):
    """The same JSON documents, line by line; returns recoup's. Without locks, for which restic waits 0.2 s each time."""
    theirs = restic.run(*args, "--json", "--no-lock", repo=repo, code=None, **run)
    ours = recoup.run(*args, "--json", "--no-lock", repo=repo, code=theirs.code, **run)
    a, b = theirs.json_lines(), ours.json_lines()
    if sort:
        a, b = ([sorted(document, key=sort) for document in side] for side in (a, b))
    assert b == a
    return b


def same_text(recoup, restic, repo, *args, edit=lambda text: text, **run):
    theirs = restic.run(*args, "--no-lock", repo=repo, code=None, **run)
    ours = recoup.run(*args, "--no-lock", repo=repo, code=theirs.code, **run)
    assert edit(ours.text) == edit(theirs.text)
    if theirs.code:
        assert ours.errors.strip()
    return ours


def without_times(text):
    return re.sub(r"\[\d+:\d\d\]|in \d+:\d\d|in [\d.]+s|[\d.]+ seconds", "<time>", text)


def without_progress(text):
    """The last counter shows whatever had been counted when the time came."""
    return [line for line in text.splitlines() if not line.startswith("[")]
