"""What the account itself knows: list ids, daily totals, reconciliation, and a recorder of new ids.

Internal: import public names from :mod:`orstats`.
"""
