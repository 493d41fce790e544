"""Widgets for notebooks: one generation as a card, many as a table.

Internal: import public names from :mod:`orstats`. HTML is made in :mod:`orstats.notebook.html` only.
"""
