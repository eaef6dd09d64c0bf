"""Liquid: the language of pages, snippets and web templates, over the rows that the person may read.

``dialect`` is the language (tags, filters, limits), ``engine`` renders a text, ``faults`` says what is wrong and where,
``objects`` and ``navigation`` are what a text may speak of, ``data`` and ``records`` its way to rows, ``tags`` the
portal's own tags, ``catalogue`` the list of all there is and is not. Source: pages-and-dataverse A4.2.
"""

from forecourt.pages.liquid.engine import Engine, Fragment
from forecourt.pages.liquid.faults import Fault
from forecourt.pages.liquid.objects import Hidden, objects

__all__ = ["Engine", "Fault", "Fragment", "Hidden", "objects"]
