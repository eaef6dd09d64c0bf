"""Audit: what every identity from outside reaches at each door, compared set by set.

identities    who is asked about, in classes of one rule shape
surroundings  what has to be known beside the rules
algebra       differences of predicates, as conjunctive queries
questions     how the database is asked about all people of a class at once
asking        questions put to the databases
binding       rows that lookups hold and name
doors         rows at one door and not at another
direct        direct doors against one another, and Dataverse's own tables
plain_sql     what the database shows to mapped roles
copies        dual-written copies and their sources
columns       columns at one door and not at another
web_api       columns that only /_api shows
reach         what visitors and newcomers reach
grants        grants that no policy restrains
roles         roles and values that undo other rules
idle          rules without effect
rights        who may do what in short, to be compared with a baseline
findings      what is found, its severity and its fingerprint
auditor       all of it in turn
changes       two solutions compared over the same data
"""

from __future__ import annotations

from forecourt.security.audit.asking import Limits, Memory
from forecourt.security.audit.auditor import Auditor
from forecourt.security.audit.changes import Differ
from forecourt.security.audit.findings import Finding, Report, Severity
from forecourt.security.audit.identities import Identity
from forecourt.security.audit.planes import Planes

__all__ = ["Auditor", "Differ", "Finding", "Identity", "Limits", "Memory", "Planes", "Report", "Severity"]
