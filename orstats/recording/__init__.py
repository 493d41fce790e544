"""Record the ids of new calls: HTTP clients that report them, the file they are written to, and its labels.

Internal: import public names from :mod:`orstats`.
"""
