"""Fetch many ids concurrently into one DataFrame: scheduling, worker threads, progress.

Internal: import public names from :mod:`orstats`.
"""
