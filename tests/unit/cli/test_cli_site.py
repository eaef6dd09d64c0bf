"""``forecourt site`` takes over what can be taken, says what cannot, and ends with a code that says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecourt.pages.site import load_site
from support.command import called
from support.sites import ENHANCED, STANDARD, guid, plain, write

#: A part of the site of which everything works.
PLAIN = {
    name: text for name, text in STANDARD.items() if not name.startswith("advanced-forms") and "metadata" not in name
}


class Command:
    """Runs command lines; keeps what the last one said."""

    out = err = ""

    def __call__(self, *arguments: str | Path) -> int:
        said = called(*arguments)
        self.out, self.err = said.out, said.err
        return said.code


@pytest.fixture
def run() -> Command:
    return Command()


@pytest.fixture
def solution(tmp_path: Path) -> Path:
    return write(tmp_path / "solution", {"solution.yaml": "name: parts\n"})


def test_a_site_of_which_everything_works_ends_with_0(run: Command, solution: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "download", PLAIN)
    assert run("site", "import", source, solution) == 0
    assert "Parts & Orders: standard data model" in run.out and "  table permissions: 3" in run.out and run.err == ""
    assert plain(load_site(solution / "site")) == plain(load_site(source))


def test_a_dry_run_only_reports(run: Command, solution: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "download", STANDARD)
    for arguments in ((source, solution, "--dry-run"), (source,)):
        assert run("site", "import", *arguments) == 2
        assert "Nothing was written." in run.out
        assert "no effect: download/basic-forms/order/Order.basicform.basicformmetadata.yml:1: " in run.err
    assert not (solution / "site").exists()


def test_faults_end_with_1_and_nothing_is_written(run: Command, solution: Path, tmp_path: Path) -> None:
    lines = STANDARD["table-permissions/Lines.tablepermission.yml"]
    assert isinstance(lines, str)
    wrong = {"table-permissions/Lines.tablepermission.yml": lines.replace("756150003", "756150033")}
    source = write(tmp_path / "download", {**STANDARD, **wrong})
    assert run("site", "import", source, solution) == 1
    assert "Lines.tablepermission.yml:10: 'adx_scope' is '756150033', which is not known." in run.err
    assert run.err.count("tablepermission") == 1
    assert not (solution / "site").exists()


def test_a_secret_is_left_out_told_of_and_shown_nowhere(run: Command, solution: Path, tmp_path: Path) -> None:
    row = "- adx_name: Mail/SmtpPassword\n  adx_sitesettingid: <mail>\n  adx_value: opensesame\n"
    source = write(tmp_path / "download", {**PLAIN, "sitesetting.yml": row})
    assert run("site", "import", source, solution) == 2
    assert "redacted: download/sitesetting.yml:3: the value of the setting Mail/SmtpPassword is a secret." in run.err
    assert "opensesame" not in run.out + run.err
    assert "opensesame" not in (solution / "site/sitesetting.yml").read_text("utf-8")


def test_the_site_that_is_there_gives_way_only_when_asked(run: Command, solution: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "download", PLAIN)
    assert run("site", "import", source, solution) == 0
    assert run("site", "import", source, solution) == 1
    assert "is there already. --replace puts the new site in its place." in run.err
    assert run("site", "import", source, solution, "--replace", "--model", "enhanced") == 0
    assert f"id: {guid('website')}" in (solution / "site/website.yml").read_text("utf-8")


def test_an_export_is_a_folder_that_an_import_takes(run: Command, solution: Path, tmp_path: Path) -> None:
    source = tmp_path / "code"
    write(source / ".powerpages-site", ENHANCED)
    write(source, {"package.json": "{}", "src/index.js": "1"})
    assert run("site", "import", source, solution) == 2
    assert run("site", "export", solution, tmp_path / "upload") == 0
    assert (tmp_path / "upload/.powerpages-site/website.yml").is_file()
    assert run("site", "export", solution, tmp_path / "upload") == 1
    assert run("site", "export", solution, tmp_path / "other", "--model", "standard") == 0
    for folder in ("upload", "other"):
        assert plain(load_site(tmp_path / folder)) == plain(load_site(source))


def test_a_folder_that_is_no_site_or_no_solution_is_refused(run: Command, solution: Path, tmp_path: Path) -> None:
    assert run("site", "import", solution) == 1
    assert "website.yml:1: the file does not exist" in run.err
    source = write(tmp_path / "download", PLAIN)
    assert run("site", "import", source, tmp_path / "nowhere") == 1
    assert run("site", "export", solution, tmp_path / "upload") == 1
