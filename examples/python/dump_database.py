"""Backs up what a program writes, without a temporary file; a program that fails halfway makes no snapshot.

    RESTIC_PASSWORD=… python dump_database.py /srv/backup database.sql pg_dump --format=custom shop
"""

import os
import subprocess
import sys

import recoup


class Output:
    """A program's output that ends only if the program did well."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def readinto(self, buffer: memoryview) -> int:
        count = self.process.stdout.readinto(buffer)
        if count == 0 and self.process.wait() != 0:
            raise RuntimeError(f"{self.process.args[0]} ended with exit code {self.process.returncode}")
        return count


def main(location: str, path: str, *command: str) -> None:
    repository = recoup.open(location, os.environ["RESTIC_PASSWORD"])
    result = repository.backup_stream(Output(list(command)), path, tags=["database"])
    result.raise_for_errors()
    print(f"snapshot {result.snapshot_id}: {result.total_bytes_processed / 1e6:.1f} MB, "
          f"{result.data_added_packed / 1e6:.1f} MB of them new")


if __name__ == "__main__":
    main(*sys.argv[1:])
