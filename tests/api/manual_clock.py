"""Clocks for tests: one that stands still until a test moves it, and one that skips what would be slept."""

import time

from orstats.api.clock import Clock


class ManualClock(Clock):
    def __init__(self, now=0.0, wall=0.0):
        self.now, self.wall = now, wall

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall


class SkippingClock(Clock):
    """The time of this machine, but sleeping only moves it forward."""

    def __init__(self):
        self._skipped = 0.0

    def monotonic(self):
        return time.monotonic() + self._skipped

    def time(self):
        return time.time() + self._skipped

    def sleep(self, seconds):
        self._skipped += seconds
