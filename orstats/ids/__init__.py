"""Where ids come from: what they look like, and how they are found in files, tables, logs and lists."""
