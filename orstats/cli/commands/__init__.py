"""One module per command, which imports only what ``--help`` needs until the command runs. Internal."""
