"""From ids to typed data: id sources, fetch, archive, frame, one generation whole, and what the account lists."""
