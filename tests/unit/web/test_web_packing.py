"""Pages are packed where the browser unpacks them, and their length gives nothing away."""

import gzip

from forecourt.web import packing


def test_what_is_packed_is_unpacked_as_it_was() -> None:
    for text in (b"", b"a", b"<td>" * 50_000):
        assert gzip.decompress(packing.pack(text)) == text


def test_the_same_page_has_another_length_each_time() -> None:
    """Who sees lengths and chooses what is searched for must not find out what else is on the page."""
    lengths = {len(packing.pack(b"secret" * 500)) for _ in range(200)}
    assert len(lengths) > 30
    assert max(lengths) - min(lengths) <= packing.NOISE
