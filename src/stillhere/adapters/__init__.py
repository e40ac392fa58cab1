"""Floor 4: thin skins that carry the session routes in a web framework."""
