"""The field table and the DataFrame built from it: types, derived columns, views.

Internal: import public names from :mod:`orstats`.
"""
