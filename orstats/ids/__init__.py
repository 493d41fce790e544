"""Find generation ids in lists, logs, tables, archives and databases.

Internal: import public names from :mod:`orstats`.
"""
