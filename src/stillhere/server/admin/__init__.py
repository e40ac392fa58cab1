"""The dashboard: who may open it, what it asks, and what it records of those who do."""

from stillhere.server.admin.assembly import Admin
from stillhere.server.admin.audit import Audit
from stillhere.server.admin.embedded import Dashboard, by_session, dashboard
from stillhere.server.admin.guard import Tokens, Who
from stillhere.server.admin.query import Operator, Query, Role, operator_of

__all__ = ["Admin", "Audit", "Dashboard", "Operator", "Query", "Role", "Tokens", "Who", "by_session", "dashboard", "operator_of"]
