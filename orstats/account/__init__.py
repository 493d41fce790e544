"""What the account itself knows: list ids, usage, daily totals, reconciliation.

Internal: import public names from :mod:`orstats`.
"""
