"""The archive of a package: nothing of it is unpacked that the directory does not vouch for."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.operations.packages import archive
from forecourt.operations.packages.archive import Limits, Manifest, Package, Part
from support.packages import package

CSV = ("Thing", "things.csv", b"Id\n1\n")


def refused(data: bytes, limits: Limits = archive.LIMITS) -> str:
    with pytest.raises(Refusal) as caught:
        Package(io.BytesIO(data), limits)
    assert caught.value.code == "FC4801"
    return caught.value.text


def appended(info: zipfile.ZipInfo, data: bytes = b"x") -> bytes:
    """A good package with one member more."""
    stream = io.BytesIO(package(CSV))
    with zipfile.ZipFile(stream, "a") as target:
        target.writestr(info, data)
    return stream.getvalue()


def test_a_package_says_what_it_holds() -> None:
    found = Package(io.BytesIO(package(CSV, ("Other", "b.xml", b"<Document/>"), project="orders")))
    assert found.manifest == Manifest(
        "orders", (Part("Thing", "things.csv", "csv", 1), Part("Other", "b.xml", "xml", 2))
    )
    with found.open("things.csv") as stream:
        assert stream.read() == CSV[2]


@pytest.mark.parametrize(
    "name",
    ["../x.csv", "/etc/x.csv", "folder/x.csv", "folder/", "..\\x.csv", "C:x.csv", "..", ".", " x.csv", "a\nb.csv"],
)
def test_a_name_that_is_a_path_is_refused(name: str) -> None:
    assert "leads out of the package" in refused(appended(zipfile.ZipInfo(name)))


def test_a_link_is_refused() -> None:
    info = zipfile.ZipInfo("link.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "Links are not allowed" in refused(appended(info, b"/etc/passwd"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["things.csv", "THINGS.csv"])
def test_a_name_that_is_there_twice_is_refused(name: str) -> None:
    assert "two files of this name" in refused(appended(zipfile.ZipInfo(name)))


def test_a_file_that_the_manifest_does_not_name_is_refused() -> None:
    assert "not named in the manifest" in refused(package(CSV, extra={"more.csv": b"Id\n"}))


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    assert "zip bomb" in refused(package(("Thing", "things.csv", b"0" * 20_000_000)))


def test_too_many_files_or_bytes_are_refused() -> None:
    many = package(*[("Thing", f"{n}.csv", b"Id\n") for n in range(20)])
    assert "files; 10 are allowed" in refused(many, Limits(files=10))
    assert "larger than 0 MB" in refused(many, Limits(unpacked=30, small=10**9))


def test_a_file_that_claims_to_be_smaller_than_it_is_gives_no_more_than_it_claims() -> None:
    data = bytearray(package(("Thing", "things.csv", b"Id\n" + b"1\n" * 5_000)))
    size = (3 + 10_000).to_bytes(4, "little")
    assert data.count(size) == 2
    lie = bytes(data).replace(size, (100).to_bytes(4, "little"))
    found = Package(io.BytesIO(lie))
    with pytest.raises(Refusal, match="damaged"), found.open("things.csv") as stream:
        assert len(stream.read()) <= 100


@pytest.mark.parametrize("cut", [10, 200, -30])
def test_a_package_that_is_cut_off_is_refused(cut: int) -> None:
    assert "not a zip archive" in refused(package(CSV)[:cut])


def test_what_is_no_package_is_refused() -> None:
    assert "not a zip archive" in refused(b"Id\n1\n")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("things.csv", "Id\n")
    assert "no Manifest.xml" in refused(stream.getvalue())


def with_manifest(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr(archive.MANIFEST, text)
        target.writestr(archive.HEADER, archive.header_text("x"))
        target.writestr("things.csv", "Id\n")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<nonsense/>", "not the manifest of a data package"),
        ("<DataManagementPackageManifest/>", "names no data entity"),
        ("<DataManagementPackageManifest>", "not well-formed"),
        (
            '<!DOCTYPE x [<!ENTITY y "z">]><DataManagementPackageManifest>&y;</DataManagementPackageManifest>',
            "entities",
        ),
        ('<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><DataManagementPackageManifest/>', "entities"),
    ],
    ids=lambda item: item[:40],
)
def test_a_manifest_that_is_none_or_may_do_harm_is_refused(text: str, said: str) -> None:
    assert said in refused(with_manifest(text))
