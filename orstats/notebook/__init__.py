"""Widgets for notebooks: one generation as a card, many as a table. Only ``render*`` modules make HTML."""
