"""Matplotlib figures of a DataFrame.

Internal: import public names from :mod:`orstats`.
"""
