"""stillhere knows who is still here: sessions that end when a person stops, and stay while they work."""

from stillhere.core.policy import BeatsExtend, Policy, RequestsExtend, SessionLimitBy, build_policy, days, hours, minutes, seconds
from stillhere.core.records import EndedBy, Session
from stillhere.errors import PolicyError, SettingsError, SignInRefused, StillhereError, StoreError
from stillhere.manager import SessionManager, Started, Verdict

__version__ = "0.1.0"

__all__ = [
    "BeatsExtend",
    "EndedBy",
    "Policy",
    "PolicyError",
    "RequestsExtend",
    "Session",
    "SessionLimitBy",
    "SessionManager",
    "SettingsError",
    "SignInRefused",
    "Started",
    "StillhereError",
    "StoreError",
    "Verdict",
    "build_policy",
    "days",
    "hours",
    "minutes",
    "seconds",
]
