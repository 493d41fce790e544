"""``python -m orstats``, for machines where the scripts directory is not on the path."""

from orstats.cli import main

main()
