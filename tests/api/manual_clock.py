"""A clock that stands still until a test moves it."""

from orstats.api.clock import Clock


class ManualClock(Clock):
    def __init__(self, now=0.0, wall=0.0):
        self.now, self.wall = now, wall

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall
