"""The rows, by what they ask. Each group starts what it needs, measures in turn, and tells its rows."""
