"""Backups, forgets and prunes of both programs at the same time, chosen at random: nothing that a snapshot needs is deleted, ever.

RECOUP_ROUNDS says how many rounds (40; a thousand take some 25 minutes), RECOUP_SEED which ones.
"""

import os
import random
import re

import pytest

from support import format, trees
from support.commands import check_clean
from support.programs import HOST
from support.trees import noise, write

ROUNDS = int(os.environ.get("RECOUP_ROUNDS", "40"))
SEED = int(os.environ.get("RECOUP_SEED", "1"))
CASES = 4  # of which each has its share of the rounds, and can run beside the others
LOCKED = 11


#: restic wants an index file to stay that it has listed, and does not look into packs that are marked for deletion: what a
#: backup relied on that was under way at the marking is missing to it until recoup prunes again. Then it refuses to prune.
EXCUSES = re.compile(r"unable to load index|failed to load index|index/[0-9a-f]+.* (does not exist|no such file)|data seems to be missing"
                     r"|<index/[0-9a-f]+> does not exist|not found in the index")


def is_excused(result):
    return result.code == 1 and bool(EXCUSES.search(result.everything)) and "restic" in str(result.args[0])


class Everybody:
    """Several owners of one repository, each with a tree and a host name of its own."""

    def __init__(self, programs, repo, home, seed):
        self.programs, self.repo, self.home, self.rng = programs, repo, home, random.Random(repr(seed))
        self.trees = [trees.small_tree(home / f"tree{number}", (seed, number), files=12, bytes_each=30_000) for number in range(3)]
        self.kept: set[str] = set()
        self.marks = False  # a prune in two phases has been there

    def change(self, tree):
        for _ in range(self.rng.randint(1, 5)):
            number = self.rng.randrange(12)
            write(os.fsencode(tree / f"d{number % 4}/f{number}"), noise(self.rng.randrange(60_000), self.rng.random()))

    def action(self, is_first):
        """One command line, and the exit codes that are right beside others. Each round begins with a backup."""
        what = "backup" if is_first else self.rng.choice(["backup", "backup", "forget", "prune", "forget and prune", "tag", "prune in two phases"])
        wait = [f"--retry-lock={self.rng.choice(['0s', '2m'])}"]
        unused = [f"--max-unused={self.rng.choice(['0', '5%', 'unlimited'])}"]
        if what == "backup":
            tree = self.rng.choice(self.trees)
            self.change(tree)
            return ["backup", tree.name, "--host", HOST, "--json", *wait], (0, 3, LOCKED)
        if what == "forget":
            return ["forget", "--keep-last", str(self.rng.randint(1, 4)), "--group-by=paths", *wait], (0, LOCKED)
        if what == "prune":
            return ["prune", *unused, *wait], (0, LOCKED)
        if what == "prune in two phases":
            return ["prune", "--two-phase", "--delete-after=0s", *unused, *wait], (0, LOCKED)
        if what == "tag":
            return ["tag", "--add", f"t{self.rng.randrange(4)}", *wait], (0, LOCKED)
        return ["forget", "--keep-last", str(self.rng.randint(1, 3)), "--group-by=paths", "--prune", *unused, *wait], (0, LOCKED)

    def round(self, number):
        running = []
        for turn in range(self.rng.randint(2, 4)):
            program = self.rng.choice(self.programs)
            command, codes = self.action(turn == 0)
            if "--two-phase" in command:
                program = self.programs[0]
            running.append((program.start(*command, "--no-cache", repo=self.repo, cwd=self.home), codes, command))
        made = set()
        self.marks = self.marks or any("--two-phase" in command for _, _, command in running)
        for each, codes, command in running:
            result = each.finish()
            assert result.code in codes or (self.marks and is_excused(result)), result
            if command[0] == "backup" and result.code in (0, 3):
                made.add(result.summary["snapshot_id"])
        stored = format.Repo(self.repo.path)
        stored.reads_marked = True
        assert stored.problems() == [], f"round {number}: {[command for _, _, command in running]}"
        self.kept = set(stored.snapshots())
        return made


@pytest.mark.parametrize("case", range(CASES))
def test_nothing_that_is_needed_goes(recoup, restic, repo, tmp_path, case):
    everybody = Everybody([recoup, restic], repo, tmp_path, (SEED, case))
    made = 0
    for number in range(-(-ROUNDS // CASES)):
        made += len(everybody.round(number))
    print(f"{made} backups")
    assert made > ROUNDS // CASES // 2
    restic.run("unlock", repo=repo)
    check_clean(recoup, repo)
    recoup.run("prune", "--max-unused=0", repo=repo)
    check_clean(restic, repo)
    check_clean(recoup, repo)
    assert format.Repo(repo.path).problems() == []
    for program in (restic, recoup):
        for name in everybody.kept:
            program.run("restore", name, "--target", tmp_path / "out", "--delete", repo=repo)
