"""Floor 0: the rules, pure. No clock, no randomness, no I/O and no async in this room; every rule is told the time."""
