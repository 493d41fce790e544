"""One generation: its typed record, and its stored prompt and completion.

Internal: import public names from :mod:`orstats`.
"""
