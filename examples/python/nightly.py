"""Backs up directories with a line of progress, then checks a tenth of the repository's data.

    RESTIC_PASSWORD=… python nightly.py /srv/backup /home /etc

The exit code is that of the command: 0, 3 if something could not be read, 10 to 12 for the repository, or 1.
"""

import os
import sys

import recoup


def show(now: recoup.BackupProgress) -> None:
    part = f"{now.bytes_done / now.total_bytes:4.0%}" if now.total_bytes else "    "
    print(f"\r{part} {now.files_done} files, {now.bytes_done / 1e6:.0f} MB", end="", file=sys.stderr)


def main(location: str, *directories: str) -> int:
    try:
        repository = recoup.open(location, os.environ["RESTIC_PASSWORD"], retry_lock=600)
        result = repository.backup(directories, tags=["nightly"], exclude_caches=True, progress=show)
        print(file=sys.stderr)
        for path, message in result.errors:
            print(f"{path}: {message}", file=sys.stderr)
        print(f"snapshot {result.snapshot_id}: {result.files_new} new, {result.files_changed} changed files, "
              f"{result.data_added_packed / 1e6:.1f} MB stored")
        repository.check(read_data=0.1).raise_for_errors()
        result.raise_for_errors()
    except recoup.Error as problem:
        print(f"nightly.py: {problem}", file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
