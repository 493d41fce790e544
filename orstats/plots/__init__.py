"""Matplotlib figures of a frame."""
