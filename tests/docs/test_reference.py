"""The reference says what the code says, and every example in the documentation is well-formed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import msgspec
import pytest

from forecourt.cli import forecourt
from forecourt.cli.schema import FIELDS, KINDS, render, schema_of
from forecourt.kernel.document import compose, convert
from forecourt.kernel.errors import CODES
from forecourt.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if ".forecourt" not in path.parts
)

#: Fenced blocks: what stands in a comment above, the language, the text.
FENCE = re.compile(r"(?:<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S)
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)
GENERATED = re.compile(r"<!-- generated: .*?<!-- end generated -->", re.S)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", path.read_text("utf-8"))


def anchor(heading: str) -> str:
    """The fragment by which Markdown viewers know a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def commands(command: click.Command = forecourt, path: str = "forecourt") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, f"{path} {name}")


# ------------------------------------------------------------------------------------------------------ reference


def test_generated_parts_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "docs.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_error_code_is_documented() -> None:
    text = (DOCS / "reference" / "errors.md").read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in text] == []


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=name_of)
def test_every_code_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bFC\d{4}\b", path.read_text("utf-8")))
    assert named - set(CODES) == set()


def test_every_setting_is_documented_and_says_what_it_does() -> None:
    text = (DOCS / "reference" / "settings.md").read_text("utf-8")
    for item in fields(Settings):
        assert item.metadata.get("help"), item.name
        assert f"`FORECOURT_{item.name.upper()}`" in text


def test_every_variable_in_the_documentation_is_a_setting() -> None:
    known = {f"FORECOURT_{item.name.upper()}" for item in fields(Settings)} | {"FORECOURT_CHROMIUM"}
    for path in PAGES:
        assert set(re.findall(r"\bFORECOURT_[A-Z_]+\b", path.read_text("utf-8"))) <= known, path


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda item: item if isinstance(item, str) else "")
def test_every_command_shows_an_example(path: str, command: click.Command) -> None:
    context = click.Context(command, info_name=path, max_content_width=110, terminal_width=110)
    text = command.get_help(context)
    assert "Examples:" in text
    assert path in text.split("Examples:")[1]


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda item: item if isinstance(item, str) else "")
def test_every_option_has_help(path: str, command: click.Command) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts}"


# --------------------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_a_definition_file_has_a_description(kind: object) -> None:
    for name, definition in schema_of(kind)["$defs"].items():  # type: ignore[arg-type]
        for field, shown in definition["properties"].items():
            assert shown.get("description"), f"{name}.{field} needs a sentence in FIELDS"


def test_descriptions_are_of_fields_that_exist() -> None:
    for shape, texts in FIELDS.items():
        assert set(texts) == {field.name for field in msgspec.structs.fields(shape)}, shape.__name__


def test_schemas_forbid_what_the_loader_forbids() -> None:
    for kind in KINDS:
        for name, definition in schema_of(kind)["$defs"].items():
            assert definition["additionalProperties"] is False, name


def test_schema_command_prints_and_writes_the_same(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from forecourt.cli.schema import schema

    runner = CliRunner()
    listed = runner.invoke(schema, [])
    assert listed.exit_code == 0
    written = runner.invoke(schema, ["--write", str(tmp_path)])
    assert written.exit_code == 0
    for kind in KINDS:
        assert f"{kind.name} " in listed.output
        printed = runner.invoke(schema, [kind.name]).output
        assert (tmp_path / f"{kind.name}.schema.json").read_text("utf-8") == printed == render(kind)
    assert runner.invoke(schema, ["policy", "--write", str(tmp_path)]).exit_code == 2
    assert runner.invoke(schema, ["nonsense"]).exit_code == 2


# -------------------------------------------------------------------------------------------------------- examples


def yaml_examples() -> Iterator[tuple[str, str, str]]:
    for path in PAGES:
        for position, found in enumerate(FENCE.finditer(path.read_text("utf-8"))):
            if found.group("language") == "yaml" and DOCS in path.parents:
                yield f"{name_of(path)}:{position}", found.group("mark") or "", found.group("text")


@pytest.mark.parametrize(("place", "mark", "text"), list(yaml_examples()), ids=lambda item: item[:60])
def test_every_yaml_example_has_the_shape_of_its_file(place: str, mark: str, text: str) -> None:
    kinds = {f"kind: {kind.name}": kind.shape for kind in KINDS}
    assert mark in kinds, f"{place}: write <!-- kind: ... --> above the block (or use ```yml for a file of the site)"
    convert(compose(text, place), kinds[mark])


# ----------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for found in LINK.finditer(prose(path)):
        target, _, fragment = found.group("target").partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name_of(path)}: {found.group('target')}"
        if fragment and file.suffix == ".md":
            anchors = {anchor(heading) for heading in HEADING.findall(FENCE.sub("", file.read_text("utf-8")))}
            assert fragment in anchors, f"{name_of(path)}: {found.group('target')}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, pending = set(), [ROOT / "README.md"]
    while pending:
        path = pending.pop()
        if path in reached or path.suffix != ".md" or not path.is_file():
            continue
        reached.add(path)
        for found in LINK.finditer(prose(path)):
            target = found.group("target").partition("#")[0]
            if target and "://" not in target:
                pending.append((path.parent / target).resolve())
    assert [name_of(path) for path in PAGES if DOCS in path.parents and path not in reached] == []


def test_every_image_is_small_and_shown() -> None:
    shown = "".join(path.read_text("utf-8") for path in PAGES)
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < 250_000, path.name
        assert path.name in shown, path.name


# ----------------------------------------------------------------------------------------------------------- words


def test_no_page_names_what_is_no_part_of_the_product() -> None:
    # Written with breaks, so that this file passes its own test. Registries: scripts/no_registry_hosts.sh.
    words = re.compile("/" + "work/|/tmp/" + "venv|\\b(?:TO" + "DO|FIX" + "ME|XX" + "X)\\b|https?://local" + "host")
    for path in PAGES:
        assert words.findall(path.read_text("utf-8")) == [], path


def test_no_file_names_a_registry_host() -> None:
    done = subprocess.run(["sh", ROOT / "scripts" / "no_registry_hosts.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lines_of_prose_fit_a_terminal() -> None:
    for path in (*DOCS.rglob("*.md"), ROOT / "README.md"):
        text = GENERATED.sub("", prose(path))
        long = [line for line in text.splitlines() if len(line) > 130 and not line.startswith("|")]
        assert long == [], path
