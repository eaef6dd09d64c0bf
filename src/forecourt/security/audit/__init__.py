"""Audit: what every identity from outside reaches at each door, compared set by set.

identities   who is asked about, in classes of one rule shape
algebra      differences of predicates, as conjunctive queries
questions    how the database is asked about all people of a class at once
doors        rows at one door and not at another
grants       grants that no policy restrains
findings     what is found, its severity and its fingerprint
auditor      all of it in turn
"""

from __future__ import annotations

from forecourt.security.audit.auditor import Auditor, Limits
from forecourt.security.audit.findings import Finding, Report, Severity
from forecourt.security.audit.identities import Identity

__all__ = ["Auditor", "Finding", "Identity", "Limits", "Report", "Severity"]
