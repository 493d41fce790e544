"""Files for people: CSV, workbooks, HTML pages; and reading them back.

Internal: import public names from :mod:`orstats`.
"""
