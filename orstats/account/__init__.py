"""What the account itself knows: which ids there are, what they add up to, and a recorder for new ones."""
