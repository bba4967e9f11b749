"""The group ``rollout stats``: stats files read, checked and found; the site's own parser tried on known files."""
