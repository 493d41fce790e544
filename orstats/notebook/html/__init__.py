"""HTML for the widgets, made of untrusted text that is sanitized first."""
