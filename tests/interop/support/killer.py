"""Kills programs at moments spread over their runs."""

from __future__ import annotations

import random
import time

from .programs import Running


class Killer:
    """The moments are spread evenly over a run, whose length it follows as the machine's load changes."""

    def __init__(self, seconds: float, rng: random.Random, share: float = 1 / 2):
        """`seconds`: how long an undisturbed run took. `share`: of the shots, how many must hit a running program at the least."""
        self.seconds, self.rng, self.share = seconds, rng, share
        self.shots, self.killed = 0, 0

    def __call__(self, running: Running, is_whole: bool = True) -> float:
        """Waits, kills the whole process group; returns the moment. `is_whole`: this run has all the work that the measured one had."""
        self.shots += 1
        moment = self.rng.uniform(0, self.seconds)
        end = running.begin + moment
        while running.is_running() and time.monotonic() < end:
            time.sleep(max(0.0, min(0.002, end - time.monotonic())))
        alive = running.is_running()
        took = time.monotonic() - running.begin
        running.kill()
        running.finish()
        self.killed += alive
        if not alive and is_whole:  # quicker than thought
            self.seconds = min(took, moment)
        elif alive and moment > 0.8 * self.seconds:  # perhaps slower
            self.seconds *= 1.15
        return moment

    @property
    def has_hit(self) -> bool:
        return self.killed >= int(self.shots * self.share)

    def goes_on(self, shots: int) -> bool:
        """Until there were so many, and enough have hit; a load that comes and goes makes it miss, so there may be three times as many."""
        return self.shots < shots or (not self.has_hit and self.shots < 3 * shots)

    def __str__(self) -> str:
        return f"{self.killed} of {self.shots} were killed while running; at the end a run was taken to last {self.seconds:.2f} s"
