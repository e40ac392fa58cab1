"""Floor 5: the standalone program. Settings, the site with its gate and dashboard, the sweeper, the command line."""
