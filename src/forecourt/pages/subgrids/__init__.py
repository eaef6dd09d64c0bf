"""Subgrids of forms: what they and their rows offer, and the forms and questions that open for them.

:mod:`~forecourt.pages.subgrids.offering` says what there is, :mod:`~forecourt.pages.subgrids.pages` answers.
"""

from forecourt.pages.subgrids.associating import Associating
from forecourt.pages.subgrids.offering import At, Subgrids, asked, without
from forecourt.pages.subgrids.pages import SubgridPages

__all__ = ["Associating", "At", "SubgridPages", "Subgrids", "asked", "without"]
