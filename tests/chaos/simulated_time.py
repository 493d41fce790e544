"""Threads in simulated time: one runs at a time, sleeping costs nothing, and a seed decides who is next.

A fetch under test runs with its real code and real threads, through a client whose clock is a :class:`World`. So
minutes of waiting take milliseconds, and the same seed gives the same run.
"""

import heapq
import itertools
import random
import threading
from collections import deque

from orstats.api.clock import Clock


class WorldIsOverError(BaseException):
    """Raised in threads that are left when a run has ended."""


class _Runner:
    """One thread: waits for its turn; ``blocks`` numbers its waits, so that outdated wake-ups are told."""

    def __init__(self):
        self.turn = threading.Semaphore(0)
        self.blocks = 0


class World(Clock):
    """Simulated clocks and threads. The thread that makes it is its first one."""

    def __init__(self, seed=0, wall=1_790_000_000.0):
        self.now = 0.0
        self.wall_ahead = wall
        self._random = random.Random(seed)
        self._number = itertools.count()
        self._running = self._main = _Runner()
        self._ready, self._asleep = [], []
        self._over = False

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + self.wall_ahead

    def lock(self):
        return _Lock(self)

    def condition(self):
        return _Condition(self)

    def thread(self, **options):
        return _Thread(self, **options)

    def sleep(self, seconds):
        self.block(seconds)

    def block(self, seconds=None):
        """Let others run until ``seconds`` have passed, or for ever, unless :meth:`wake` comes first."""
        me = self._running
        me.blocks += 1
        if seconds is not None:
            heapq.heappush(self._asleep, (self.now + max(0.0, seconds), next(self._number), me, me.blocks))
        self._next(me)
        if self._over:
            raise WorldIsOverError

    def wake(self, runner):
        runner.blocks += 1
        self._ready.append(runner)

    def run(self, work):
        """Start a thread."""
        runner = _Runner()

        def whole():
            runner.turn.acquire()
            try:
                if not self._over:
                    work()
            except WorldIsOverError:
                pass
            finally:
                if not self._over:
                    self._next(None)

        real = threading.Thread(target=whole, daemon=True)
        real.start()
        self._ready.append(runner)
        self._real.append(real)
        self._runners.append(runner)

    def _next(self, me):
        if self._ready:
            runner = self._ready.pop(self._random.randrange(len(self._ready)))
        else:
            while True:
                assert self._asleep, "everybody waits for ever"
                at, _, runner, block = heapq.heappop(self._asleep)
                if runner.blocks == block:
                    break
            self.now = max(self.now, at)
            runner.blocks += 1
        self._running = runner
        if runner is not me:
            runner.turn.release()
            if me is not None:
                me.turn.acquire()

    def __enter__(self):
        self._real, self._runners = [], []
        return self

    def __exit__(self, *_):
        """End what still runs: each is woken once, to find that the world is over."""
        self._over = True
        for runner, real in zip(self._runners, self._real, strict=True):
            runner.turn.release()
            real.join(10)
            assert not real.is_alive()


class _Lock:
    def __init__(self, world):
        self._world = world
        self._held = False
        self._waiting = deque()

    def __enter__(self):
        while self._held:
            self._waiting.append(self._world._running)
            self._world.block()
        self._held = True

    def __exit__(self, *_):
        self._held = False
        if self._waiting:
            self._world.wake(self._waiting.popleft())


class _Condition(_Lock):
    def __init__(self, world):
        super().__init__(world)
        self._sleepers = []

    def wait(self, seconds):
        me = self._world._running
        self._sleepers.append(me)
        super().__exit__()
        self._world.block(seconds)
        if me in self._sleepers:
            self._sleepers.remove(me)
        super().__enter__()

    def notify(self, number=1):
        for runner in self._sleepers[:number]:
            self._sleepers.remove(runner)
            self._world.wake(runner)

    def notify_all(self):
        self.notify(len(self._sleepers))


class _Thread:
    def __init__(self, world, target, args, **_):
        self._world = world
        self._work = lambda: target(*args)
        self._done = False

    def start(self):
        def work():
            self._work()
            self._done = True

        self._world.run(work)

    def join(self):
        while not self._done:
            self._world.sleep(0.01)
