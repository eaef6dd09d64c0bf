"""Labels in several languages: texts of their own, else the words of the solution, else the base language."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from forecourt.app import load_definitions
from forecourt.dataverse.definitions import TableFile
from forecourt.kernel.document import compose, convert
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.label import Label
from forecourt.store.folder import Faults, read_words
from support import contoso

WORDS = {"de": {"Order": "Auftrag"}, "fr": {"Order": "Commande"}}


def table(label: str) -> TableFile:
    return convert(compose(f"table: x\nlabel: {label}\n", "x.yaml"), TableFile, WORDS)


def test_a_label_is_its_text_and_knows_its_translations() -> None:
    label = table("Order").label
    assert (label, label.of("de-AT"), label.of("fr"), label.of("it")) == ("Order", "Auftrag", "Commande", "Order")
    own = table("{en: Order, de: Bestellung, de-AT: Auftrag}").label
    assert (own, own.base, own.of("de-CH"), own.of("de-at"), own.of("fr")) == (
        "Order",
        "en",
        "Bestellung",
        "Auftrag",
        "Order",
    )
    again = pickle.loads(pickle.dumps(own))  # noqa: S301 -- our own bytes
    assert isinstance(again, Label) and again.of("de-CH") == "Bestellung"


@pytest.mark.parametrize("wrong", ["7", "[a]", "{}", "{German: Auftrag}", "{de: ''}", "{de: 7}"])
def test_what_is_no_label_is_a_fault_at_its_line(wrong: str) -> None:
    with pytest.raises(DefinitionError) as found:
        table(wrong)
    assert found.value.line == 2


def test_words_are_read_by_language_and_faults_are_noted(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "de.yaml").write_text("labels: {Order: Auftrag}\n")
    (tmp_path / "labels" / "fr-CA.yaml").write_text("labels: {Order: 7}\n")
    (tmp_path / "labels" / "German.yaml").write_text("labels: {Order: Auftrag}\n")
    faults = Faults()
    assert read_words(tmp_path, faults) == {"de": {"Order": "Auftrag"}}
    assert len(faults.errors) == 2


def test_tables_that_are_built_in_and_those_of_the_sample_are_called_in_german_and_french() -> None:
    tables = load_definitions(contoso.ROOT).tables.by_name
    first, order = tables["contact"].column("firstname"), tables["mserp_purchpurchaseorderheaderv2entity"]
    assert first is not None and isinstance(first.label, Label) and isinstance(order.label, Label)
    assert (first.label.of("de-DE"), first.label.of("fr-FR")) == ("Vorname", "Prénom")
    assert (order.label.of("de-DE"), order.label.of("fr-FR")) == ("Bestellung", "Commande d’achat")
