"""Time, waiting and threads in one object, which a test can replace by a simulated one."""

from __future__ import annotations

import threading
import time as _time
from typing import Final


class Clock:
    """The clocks, locks and threads of this machine. Locks belong here because waiting for one takes time."""

    monotonic = staticmethod(_time.monotonic)
    time = staticmethod(_time.time)
    sleep = staticmethod(_time.sleep)
    lock = staticmethod(threading.Lock)
    condition = staticmethod(threading.Condition)
    thread = staticmethod(threading.Thread)


SYSTEM_CLOCK: Final = Clock()
