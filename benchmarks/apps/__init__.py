"""The small applications that are measured."""
