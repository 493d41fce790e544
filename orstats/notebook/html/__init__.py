"""The only place where HTML for widgets is made of untrusted text."""
