"""Row ids of virtual tables."""

from __future__ import annotations

from uuid import UUID

import pytest

from forecourt.odata.record_id import NO_RECORD, decode, encode, writer


@pytest.mark.parametrize("record", [0, 1, -1, 5637144589, 2**63 - 1])
def test_a_row_id_gives_its_record_back(record: int) -> None:
    row = encode(0xA6C, record)
    assert decode(0xA6C, row) == record
    assert writer(0xA6C)(record) == str(row)


def test_the_layout_is_that_of_real_virtual_tables() -> None:
    assert str(encode(0x0A6C, 0x15000000D)) == "00000a6c-0000-0000-0d00-005001000000"


def test_an_id_of_another_table_finds_no_record() -> None:
    assert decode(0xA6D, encode(0xA6C, 5)) == NO_RECORD
    assert decode(0xA6C, UUID("00000a6c-0000-0001-0d00-005001000000")) == NO_RECORD
