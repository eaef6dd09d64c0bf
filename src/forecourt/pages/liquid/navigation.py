"""Pages and links as a text has them: ``sitemap``, ``sitemarkers``, ``weblinks``, and the pages around a page.

Only pages that the person may read are there, and of those beneath a page only the ones that are not hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forecourt.pages import page_rules
from forecourt.pages.liquid.dialect import site_text
from forecourt.pages.liquid.values import Lookup, plain
from forecourt.pages.site import LinkImage, Page, Site, WebLink
from forecourt.pages.visit import Visit


@dataclass(frozen=True)
class Tree:
    """The pages of a site for one visit."""

    site: Site
    visit: Visit

    def node(self, page: Page) -> Node:
        return Node(self, page)

    def readable(self, page: Page) -> bool:
        return page_rules.may_read(self.site, page, self.visit.principal.web_roles)

    def at(self, path: str) -> Node | None:
        page = self.site.page_at(path)
        return self.node(page) if page is not None and self.readable(page) else None

    def children(self, page: Page) -> list[Node]:
        return [self.node(item) for item in self.site.children(page) if item.in_sitemap and self.readable(item)]

    def breadcrumbs(self, page: Page) -> list[Node]:
        return [self.node(item) for item in reversed(self.site.chain(page)[1:])]


class Node(Mapping[str, object]):
    """A page. ``values``: what ``page`` has besides."""

    _NAMES = ("title", "url", "name", "id", "description", "breadcrumbs", "children", "parent", "entity")

    def __init__(self, tree: Tree, page: Page, values: Mapping[str, object] | None = None) -> None:
        self._tree = tree
        self._page = page
        self._more = Lookup(values or {})

    def __getitem__(self, name: str) -> object:
        page, tree = self._page, self._tree
        content = tree.site.content(page, tree.visit.languages)
        if name in self._more:
            return self._more[name]
        match plain(name):
            case "title":
                return content.title
            case "url":
                return page.path
            case "name" | "adxname":
                return page.name
            case "id":
                return str(page.id)
            case "description" | "adxsummary":
                return site_text(content.summary)
            case "adxcopy":
                return site_text(content.copy)
            case "adxtitle":
                return content.title
            case "logicalname":
                return "adx_webpage"
            case "breadcrumbs":
                return tree.breadcrumbs(page)
            case "children":
                return tree.children(page)
            case "parent":
                above = tree.site.pages.get(page.parent) if page.parent is not None else None
                return tree.node(above) if above is not None else None
            case "entity":
                return Lookup(page.columns)
            case "isinsitemap":
                return page.in_sitemap
            case "issitemapcurrent":
                here = tree.site.page_at(tree.visit.path)
                return here is not None and here.id == page.id
            case "issitemapancestor":
                here = tree.site.page_at(tree.visit.path)
                return here is not None and page.id in {item.id for item in tree.site.chain(here)[1:]}
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._NAMES, *self._more)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __str__(self) -> str:
        return self._page.name


class SiteMap(Mapping[str, object]):
    """``sitemap``: ``root``, ``current``, and a page by its path."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __getitem__(self, name: str) -> object:
        found = {"root": "/", "current": self._tree.visit.path}.get(str(name).lower(), str(name))
        node = self._tree.at(found) if found.startswith("/") else None
        if node is None:
            raise KeyError(name)
        return node

    def __iter__(self) -> Iterator[str]:
        return iter(("root", "current"))

    def __len__(self) -> int:
        return 2


class SiteMarkers(Mapping[str, object]):
    """``sitemarkers``: the page behind a marker, where the person may read it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __getitem__(self, name: str) -> object:
        page = self._tree.site.marked(str(name))
        if page is None or not self._tree.readable(page):
            raise KeyError(name)
        return self._tree.node(page)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree.site.markers)

    def __len__(self) -> int:
        return len(self._tree.site.markers)


class LinkSets(Mapping[str, object]):
    """``weblinks``: link sets by name or id, each with ``weblinks``."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        names = dict.fromkeys(name for sets in tree.site.links.values() for name in sets)
        self._names = {name.lower(): name for name in names}
        sets = [(name, item) for sets in tree.site.links.values() for name, item in sets.items()]
        self._ids = {str(item.id): name for name, item in sets if item.id is not None}

    def __getitem__(self, name: str) -> object:
        asked = str(name).lower()
        found = self._names[self._ids.get(asked, asked).lower()]
        shown = self._tree.site.link_set(found, self._tree.visit.languages)
        about = {"id": str(shown.id or ""), "name": found, "title": shown.title or found, "copy": site_text(shown.copy)}
        return Lookup({**about, "weblinks": self._shown(shown.links)}, found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    def _shown(self, links: Sequence[WebLink]) -> list[Lookup]:
        tree, found = self._tree, []
        for link in links:
            page = tree.site.pages.get(link.page) if link.page is not None else None
            if page is not None and link.validate and not tree.readable(page):
                continue
            url = page.path if page is not None else link.url
            if page is None and not url.startswith(("/", "https://", "http://", "mailto:", "#")):
                continue
            below = tree.children(page) if page is not None else []
            found.append(
                Lookup(
                    {
                        "name": link.name,
                        "url": url,
                        "open_in_new_window": link.new_window,
                        "tooltip": link.description,
                        "description": site_text(link.description),
                        "image": _image(link.image),
                        "display_image_only": link.image is not None and link.image.only,
                        "nofollow": not link.follow,
                        "is_sitemap_current": page is not None and tree.node(page)["is_sitemap_current"],
                        "is_sitemap_ancestor": page is not None and tree.node(page)["is_sitemap_ancestor"],
                        "display_page_child_links": link.child_pages,
                        "weblinks": self._shown(link.links),
                        "children": below,
                    },
                    link.name,
                )
            )
        return found


def _image(image: LinkImage | None) -> Lookup | None:
    if image is None or not image.url.startswith(("/", "https://", "http://")):
        return None
    sizes = {"width": image.width or None, "height": image.height or None}
    return Lookup({"url": image.url, "alternate_text": image.text, **sizes}, image.url)
