"""Sample data for the demo: a site with its readers, five weeks of their visits, and some who are here right now.

`world.py` says who they are and when they come, `scripts.py` what they do; both are pure. `filling.py` has the past lived, by the same
rules as every beat, and `lively.py` goes on with it.
"""
