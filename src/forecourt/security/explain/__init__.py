"""Explain: which rule of which layer admits or hides a row, why, and what would turn it; and who can see a row.

``subject``: what is asked about. ``decision``: what the door says, as requests have it. ``layers``: its chain as rules
with predicates. ``conditions``: which condition failed, with which values. ``facts``: rows as they might be.
``change``: the smallest change that turns a verdict, found among ``candidates``. ``reverse``: everybody who can see a
row. ``explainer``: puts them together. The texts are for administrators.
"""

from forecourt.security.explain.answers import Answer, Change, Explanation, Failed, Seen, Sighting, Verdict
from forecourt.security.explain.explainer import Asked, Explainer
from forecourt.security.explain.reverse import Reverse
from forecourt.security.explain.subject import Question, Subject, Subjects

__all__ = [
    "Answer",
    "Asked",
    "Change",
    "Explainer",
    "Explanation",
    "Failed",
    "Question",
    "Reverse",
    "Seen",
    "Sighting",
    "Subject",
    "Subjects",
    "Verdict",
]
