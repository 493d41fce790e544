"""Format numbers, times and tables for people, and sanitize untrusted text.

Internal: import public names from :mod:`orstats`.
"""
