"""Questions about visits, as the dashboard's API and the command line ask them: the same filter, the same rows."""

from stillhere.server.querying.routes import routes

__all__ = ["routes"]
