"""One module per command. Internal: run ``orstats --help`` instead."""
