"""Ctrl-C at a chosen instruction of the fetch."""

import contextlib
import sys

from orstats.fetching import batch, fetch, workers


@contextlib.contextmanager
def interrupted(function, opcode):
    """Press Ctrl-C in this thread, at an instruction of a function of the fetch. None presses nothing."""
    left, before = [opcode], sys.gettrace()

    def at_instruction(_frame, event, _):
        if event == "opcode":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return at_instruction

    def at_call(frame, _event, _):
        code = frame.f_code
        files = (batch.__file__, fetch.__file__, workers.__file__)
        if code.co_filename not in files or function not in ("*", code.co_name):
            return None
        frame.f_trace = at_instruction  # Python 3.13 heeds the next line only where this is set
        frame.f_trace_opcodes = True
        return at_instruction

    if function is not None:
        sys._getframe().f_trace_opcodes = True  # Python 3.12 traces instructions from the first only if set before
        sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(before)
