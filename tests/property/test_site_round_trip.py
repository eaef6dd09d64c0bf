"""Whatever a site's rows are called and hold, taking it over and writing it back in either data model keeps it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.pages.site import load_site
from forecourt.pages.site.kinds import DataModel
from forecourt.pages.site.survey import survey
from forecourt.pages.site.transfer import transfer
from support.sites import guid, plain

#: Names and values as people write them, and as nobody should.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), min_size=1, max_size=12),
    st.sampled_from(
        ["../up", "a/b", "CON", ".hidden", "x.en-US", "null", "24:00", "Ünï", "a" * 90, "Home", "home", "-"]
    ),
).filter(lambda text: text.strip() != "")

ROWS = st.lists(TEXTS, max_size=4)
CUSTOM = st.dictionaries(
    st.sampled_from(["cr5af_note", "adx_mystery", "statuscode", "new_two_words"]), TEXTS, max_size=2
)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Files of a standard site as data: everything hangs on the home page, names are drawn."""
    files: dict[str, Any] = {
        "website.yml": {"adx_websiteid": guid("site"), "adx_name": draw(TEXTS), **draw(CUSTOM)},
        "web-pages/home/Home.webpage.yml": {
            "adx_webpageid": guid("home"), "adx_name": draw(TEXTS), "adx_partialurl": "/", **draw(CUSTOM),
        },
    }  # fmt: skip
    roles = [{"adx_webroleid": guid(f"role {n}"), "adx_name": name} for n, name in enumerate(draw(ROWS))]
    files["webrole.yml"] = roles
    files["sitesetting.yml"] = [
        {"adx_sitesettingid": guid(f"setting {n}"), "adx_name": f"{n} {name}", "adx_value": draw(TEXTS), **draw(CUSTOM)}
        for n, name in enumerate(draw(ROWS))
    ]
    for n, name in enumerate(draw(ROWS)):
        row = {"adx_webpageid": guid(f"page {n}"), "adx_name": name, "adx_partialurl": f"p{n}", **draw(CUSTOM)}
        files[f"web-pages/p{n}/P.webpage.yml"] = {**row, "adx_parentpageid": guid(f"page {n - 1}" if n else "home")}
        files[f"web-pages/p{n}/P.webpage.copy.html"] = draw(TEXTS)
        content = {"adx_webpageid": guid(f"content {n}"), "adx_name": name, "adx_rootwebpageid": guid(f"page {n}")}
        files[f"web-pages/p{n}/content-pages/P.de-DE.webpage.yml"] = {**content, "adx_title": draw(TEXTS)}
    for n, name in enumerate(draw(ROWS)):
        head = f"content-snippets/s{n}/S.fr-FR.contentsnippet"
        files[f"{head}.yml"] = {"adx_contentsnippetid": guid(f"snippet {n}"), "adx_name": f"{n} {name}", **draw(CUSTOM)}
        files[f"{head}.value.html"] = draw(TEXTS)
    for n, name in enumerate(draw(ROWS)):
        files[f"table-permissions/{n}.tablepermission.yml"] = {
            "adx_entitypermissionid": guid(f"permission {n}"), "adx_entityname": name, "adx_read": True,
            "adx_entitylogicalname": "account", "adx_scope": 756150000,
            "adx_entitypermission_webrole": [role["adx_webroleid"] for role in roles if draw(st.booleans())],
        }  # fmt: skip
    for n, name in enumerate(draw(ROWS)):
        files[f"web-files/{n}.bin.webfile.yml"] = {
            "adx_webfileid": guid(f"file {n}"), "adx_name": name, "adx_partialurl": f"{n}.bin",
            "adx_parentpageid": guid("home"),
        }  # fmt: skip
        files[f"web-files/{n}.bin"] = draw(st.binary(max_size=20))
    return files


def put(root: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, "utf-8", newline="")
        else:
            path.write_text(yaml.safe_dump(content, allow_unicode=False), "utf-8", newline="")
    return root


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sites())
def test_import_export_import_gives_the_same_site(files: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = survey(put(folder / "site", files))
        wanted = plain(first.site)
        hidden = {record.text("adx_name") for record in first.secrets}
        wanted[1]["settings"] = {key: "" if key in hidden else item for key, item in wanted[1]["settings"].items()}
        transfer(first, folder / "enhanced", DataModel.ENHANCED)
        transfer(survey(folder / "enhanced"), folder / "standard", DataModel.STANDARD)
        transfer(survey(folder / "standard"), folder / "again", DataModel.STANDARD)
        for step in ("enhanced", "standard", "again"):
            assert plain(load_site(folder / step)) == wanted, step
        assert sorted(path.name for path in folder.iterdir()) == ["again", "enhanced", "site", "standard"]
