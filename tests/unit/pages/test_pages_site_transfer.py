"""What goes over when a site is taken over, what stays behind and is named, and that writing it back loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from forecourt.kernel.errors import DefinitionErrors
from forecourt.pages.site import load_site
from forecourt.pages.site.kinds import SETTING, DataModel
from forecourt.pages.site.layout import dump
from forecourt.pages.site.survey import survey
from forecourt.pages.site.transfer import transfer
from support.sites import ENHANCED, STANDARD, filled, guid, plain, write

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

SECRET = "x9d-8Q~this-is-the-secret-of-a-provider-1234567"

#: What a standard download may hold besides, and what is said of each.
UNSUPPORTED = {
    "shortcut.yml": ("- adx_name: A\n- adx_name: Jobs\n", "site/shortcut.yml:2: 'Jobs': shortcuts are not supported."),
    "polls/lunch/Lunch.poll.yml": ("adx_name: Lunch\n", "Lunch.poll.yml:1: 'Lunch': polls are not supported."),
    "cloud-flow-consumer/Flow.cloudflowconsumer.yml": ("adx_name: Flow\n", "'Flow': cloud flows are not supported."),
    "botconsumer.yml": ("- adx_name: Bot\n", "botconsumer.yml:1: 'Bot': bots are not supported."),
    "server-logic/sum/sum.js": ("x", "server-logic/sum/sum.js:1: server logic are not supported."),
    "README.md": ("# Mine", "site/README.md:1: the file belongs to no row that is known."),
}


@pytest.fixture
def standard(tmp_path: Path) -> Path:
    return write(tmp_path / "site", STANDARD)


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    write(tmp_path / "code" / ".powerpages-site", ENHANCED)
    return tmp_path / "code"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_in_its_own_data_model_a_site_goes_over_byte_for_byte(standard: Path, tmp_path: Path) -> None:
    transfer(survey(standard), tmp_path / "taken", DataModel.STANDARD)
    before = contents(standard)
    del before[".portalconfig/org.example-manifest.yml"]
    assert contents(tmp_path / "taken") == before


def test_a_step_that_is_not_finished_is_named_and_its_site_is_taken(standard: Path) -> None:
    step = standard / "advanced-forms" / "half" / "Half.advancedform.yml"
    form = guid("half a wizard")
    step.parent.mkdir(parents=True)
    step.write_text(f"adx_webformid: {form}\nadx_name: Half\nadx_startstep: {guid('half a step')}\n")
    write(
        standard,
        {
            "advanced-forms/half/advanced-form-steps/one/One.advancedformstep.yml": (
                f"adx_webformstepid: {guid('half a step')}\nadx_webform: {form}\nadx_name: One\n"
                "adx_type: 100000001\nadx_mode: 100000000\n"
            )
        },
    )
    found = survey(standard)
    [half] = (item for item in found.site.multistep_forms.values() if item.name == "Half")
    assert half.start is None
    assert "'One' is not finished (adx_targetentitylogicalname, adx_formname)" in "\n".join(found.notes)


def test_a_file_without_rows_leaves_nothing_out(standard: Path) -> None:
    write(standard, {"ad.yml": "[]\n", "tag.yml": ""})
    assert survey(standard).left_out == ()


@pytest.mark.parametrize("model", ["standard", "enhanced"])
@pytest.mark.parametrize("other", list(DataModel))
def test_taking_a_site_over_and_back_and_over_again_gives_the_same_site(
    model: str, other: DataModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(model)
    wanted = plain(load_site(source))
    transfer(survey(source), tmp_path / "taken", other, nested=True)
    assert plain(load_site(tmp_path / "taken")) == wanted
    transfer(survey(tmp_path / "taken"), tmp_path / "back", DataModel(model))
    assert plain(load_site(tmp_path / "back")) == wanted


@pytest.mark.parametrize("example", ["contoso", "adventureworks"])
def test_the_sample_sites_are_the_same_in_the_other_data_model(example: str, tmp_path: Path) -> None:
    source = EXAMPLES / example / "site"
    transfer(survey(source), tmp_path / "enhanced", DataModel.ENHANCED)
    transfer(survey(tmp_path / "enhanced"), tmp_path / "standard", DataModel.STANDARD)
    for model in DataModel:
        assert plain(load_site(tmp_path / model)) == plain(load_site(source))


def test_the_other_data_models_files_are_those_that_its_downloads_have(standard: Path, tmp_path: Path) -> None:
    transfer(survey(standard), tmp_path / "taken", DataModel.ENHANCED)
    names = set(contents(tmp_path / "taken"))
    for name in ENHANCED:
        if name.startswith(("web-files", ".portalconfig/manifest", "web-pages/details_", "basic-forms")):
            continue
        assert name in names
    row = yaml.safe_load((tmp_path / "taken/web-pages/orders/Orders.webpage.yml").read_text("utf-8"))
    assert row["id"] == guid("orders") and row["cr5af_note"] == "keep me" and "adx_name" not in row


def test_a_secret_stays_behind_and_is_told_of_without_its_value(tmp_path: Path) -> None:
    settings = STANDARD["sitesetting.yml"]
    assert isinstance(settings, str)
    more = f"""- adx_name: Authentication/OpenIdConnect/Entra/ClientSecret
  adx_sitesettingid: <the secret>
  adx_value: {SECRET}
- adx_name: Odd/Name
  adx_sitesettingid: <odd secret>
  adx_value: DefaultEndpointsProtocol=https;AccountKey={SECRET}
- adx_name: Authentication/Registration/ResetPasswordEnabled
  adx_sitesettingid: <no secret>
  adx_value: true
"""
    source = write(tmp_path / "site", {**STANDARD, "sitesetting.yml": settings + more})
    for model in DataModel:
        found = survey(source)
        assert [remark.text for remark in found.redacted] == [
            "the value of the setting Authentication/OpenIdConnect/Entra/ClientSecret is a secret.",
            "the value of the setting Odd/Name is a secret.",
        ]
        assert [str(remark).partition(": ")[0] for remark in found.redacted] == [
            "site/sitesetting.yml:16", "site/sitesetting.yml:19",
        ]  # fmt: skip
        transfer(found, tmp_path / model, model)
        assert not [name for name, data in contents(tmp_path / model).items() if SECRET.encode() in data]
        taken = load_site(tmp_path / model)
        assert taken.setting("Authentication/OpenIdConnect/Entra/ClientSecret") == ""
        assert taken.setting("Authentication/Registration/ResetPasswordEnabled") == "true"
        assert taken.setting("Authentication/ApplicationCookie/ExpireTimeSpan") == "24:00:00"


def test_what_is_not_supported_is_named_with_file_and_line_and_left_out(tmp_path: Path) -> None:
    source = write(tmp_path / "site", {**STANDARD, **{name: text for name, (text, _) in UNSUPPORTED.items()}})
    found = survey(source)
    told = "\n".join(map(str, found.left_out))
    for _, words in UNSUPPORTED.values():
        assert words in told
    assert not found.complete
    transfer(found, tmp_path / "taken", found.model)
    assert not set(UNSUPPORTED) & set(contents(tmp_path / "taken"))


def test_what_is_kept_without_effect_is_named(standard: Path) -> None:
    beside = "web-pages/orders/Orders.webpage.custom"
    write(standard, {f"{beside}_javascript.js": "say('{{ user.id }}')", f"{beside}_css.css": "h1 {}"})
    told = "\n".join(map(str, survey(standard).without_effect))
    for words in (
        "Order.basicform.basicformmetadata.yml:1: ",
        "Orders.webpage.custom_javascript.js:1: a script or style with Liquid in it is kept, and not sent.",
    ):
        assert words in told
    assert "custom_css" not in told


def test_what_subgrids_and_notes_offer_goes_there_and_back_in_both_data_models(standard: Path, tmp_path: Path) -> None:
    subgrid = {
        "ViewActions": [{"Type": "CreateAction", "EntityForm": {"Id": guid("order form")}}],
        "ItemActions": [{"Type": "DeleteAction", "Confirmation": "Sure?"}, {"Type": "WorkflowAction"}],
    }
    rows = [
        {"adx_entityformmetadataid": guid("lines"), "adx_type": 100000003, "adx_subgrid_name": "Lines",
         "adx_subgrid_settings": json.dumps(subgrid)},
        {"adx_entityformmetadataid": guid("noted"), "adx_type": 100000005,
         "adx_notes_settings": json.dumps({"CreateEnabled": True, "DeleteEnabled": True})},
    ]  # fmt: skip
    text = yaml.safe_dump([{**row, "adx_entityform": guid("order form")} for row in rows])
    form = filled(
        "adx_entityformid: <order form>\nadx_entityname: salesorder\nadx_formname: Order\nadx_mode: 100000001\n"
        'adx_name: Order\nadx_settings: \'{"Actions": [{"Type": "WorkflowAction"}]}\'\n'
    )
    folder = "basic-forms/order/Order.basicform"
    write(standard, {f"{folder}.basicformmetadata.yml": text, f"{folder}.yml": form})
    offered = []
    here, models = standard, (DataModel.STANDARD, DataModel.ENHANCED, DataModel.STANDARD)
    for place, model in enumerate(models):
        found = survey(here)
        [order] = [item for item in found.site.forms.values() if item.name == "Order"]
        offered.append((order.subgrids, order.notes))
        notes = [note for note in found.notes if "WorkflowAction" in note]
        assert ["the subgrid" in note for note in notes].count(True) == 1 and len(notes) == 2, notes
        assert all(".yml:" in note for note in notes)
        assert not [remark for remark in found.without_effect if "metadata" in remark.text]
        here = tmp_path / f"there {place}"
        transfer(found, here, model)
    assert offered[0] == offered[1] == offered[2]
    grids, rule = offered[0]
    assert grids["lines"].create is not None and rule is not None and rule.create and rule.delete and not rule.edit


def test_a_choice_that_was_never_made_is_no_unknown_value_and_asks_for_nothing(standard: Path) -> None:
    """Makers' tools write 0 for a choice that is left alone, and a key without a value."""
    row = (
        "- adx_attributelogicalname: name\n  adx_entityform: <order form>\n  adx_entityformmetadataid: <metadata>\n"
        "  adx_controlstyle: 0\n  adx_descriptionposition: 0\n  adx_prepopulatetype: 0\n  adx_prepopulatevalue:\n"
        "  adx_type: 100000000\n"
    )
    write(standard, {"basic-forms/order/Order.basicform.basicformmetadata.yml": row})
    assert not [remark for remark in survey(standard).without_effect if "metadata" in remark.text]


def test_what_a_list_asks_for_beside_its_own_actions_is_taken_or_named(standard: Path) -> None:
    path = next((standard / "lists").glob("*.list.yml"))
    kept = "".join(
        line for line in path.read_text("utf-8").splitlines(True) if not line.startswith(("adx_settings", " "))
    )
    settings = {
        "ViewActions": [{"Type": "CrmEntityFormView-DownloadAction"}, {"Type": "CrmEntityFormView-CreateAction"}],
        "ExtendedViewActions": [{"Type": "FlowAction"}],
        "ExtendedItemActions": [{"Type": "DeactivateAction", "ButtonLabel": "Withdraw"}, {"Type": "WorkflowAction"}],
        "ColumnOverrides": [{"AttributeLogicalName": "name", "DisplayName": "NAME"}],
    }
    path.write_text(f"{kept.rstrip()}\nadx_settings: {json.dumps(json.dumps(settings))}\n", "utf-8")
    site = load_site(standard)
    [listed] = [item for item in site.lists.values() if path.name == Path(item.where.file).name]
    assert [(action.kind, action.label) for action in listed.actions] == [("deactivate", "Withdraw")]
    told = [notice.partition(": ")[2] for notice in site.notices if path.name in notice and "adx_" not in notice]
    assert told[-3:] == [
        "the action 'WorkflowAction' is not supported; rows do not offer it.",
        "the action 'FlowAction' is not supported; the list does not offer it.",
        "'ColumnOverrides' has no effect; columns are called as the view calls them.",
    ]


def test_every_file_is_accounted_for(standard: Path) -> None:
    write(standard, {name: text for name, (text, _) in UNSUPPORTED.items()})
    found = survey(standard)
    told = {remark.where.file for remark in found.left_out}
    for entry in found.folder.tree.entries:
        ways = [entry in found.taken, entry in found.bookkeeping, f"site/{entry.name}" in told]
        assert ways.count(True) == 1, entry.name


def test_a_web_file_without_content_is_named(standard: Path) -> None:
    (standard / "web-files/Terms & conditions (2).pdf").unlink()
    assert "the content of the web file 'Terms & conditions (2).pdf' is missing." in str(survey(standard).left_out[0])


def test_names_that_would_lead_elsewhere_make_files_within_the_folder(tmp_path: Path) -> None:
    home = STANDARD["web-pages/home/Home.webpage.yml"]
    assert isinstance(home, str)
    source = write(tmp_path / "site", {
        **STANDARD,
        "web-pages/home/Home.webpage.yml": home.replace("adx_name: Home", "adx_name: ../../../escaped"),
        "web-templates/t/T.webtemplate.yml": "adx_name: /etc/passwd\nadx_webtemplateid: <evil>\n",
        "web-templates/u/U.webtemplate.yml": "adx_name: '...'\nadx_webtemplateid: <dots>\n",
    })  # fmt: skip
    transfer(survey(source), tmp_path / "deep" / "taken", DataModel.ENHANCED)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["taken"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "site"]
    assert plain(load_site(tmp_path / "deep" / "taken")) == plain(load_site(source))


def test_a_folder_that_is_there_is_kept_unless_it_is_to_be_replaced(standard: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "taken", {"mine.txt": "mine"})
    found = survey(standard)
    with pytest.raises(FileExistsError):
        transfer(found, target, found.model)
    assert contents(target) == {"mine.txt": b"mine"}
    transfer(found, target, found.model, replace=True)
    assert "mine.txt" not in contents(target) and load_site(target).name == "Parts & Orders"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "taken"]


def test_when_writing_fails_nothing_is_left_and_the_old_site_stays(standard: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "taken", {"mine.txt": "mine"})
    found = survey(standard)
    (standard / "web-templates/layout/Layout.webtemplate.source.html").unlink()
    with pytest.raises(FileNotFoundError):
        transfer(found, target, found.model, replace=True)
    assert contents(target) == {"mine.txt": b"mine"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "taken"]


def test_metadata_of_a_form_that_does_not_exist_is_a_fault(standard: Path) -> None:
    write(standard, {"basic-forms/lost/Lost.basicform.basicformmetadata.yml": "- adx_entityform: <lost form>\n"})
    with pytest.raises(DefinitionErrors, match=f"names the form {guid('lost form')}, which does not exist"):
        survey(standard)


TEXTS = (
    *("", "null", "~", "true", "24:00:00", "2024-13-45", "a: b", "- x", "'", '"', "#x", " pad ", "a\nb\n", "=", "<<"),
    *("@x", "*a", "&a", "!t", "%", "{{ x }}", "\u2028", "é", "\x85", "0x1F", "1_000", "|", ">", "?", ":", "x #y"),
)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_as_it_was_written(text: str, tmp_path: Path) -> None:
    settings = [{"adx_name": "A", "adx_sitesettingid": guid("a"), "adx_value": text, "adx_list": [text, {"k": text}]}]
    source = write(tmp_path / "site", {**STANDARD})
    (source / "sitesetting.yml").write_text(dump(settings), "utf-8", newline="")
    (record,) = survey(source).folder.records(SETTING)
    assert record.data["adx_value"] == text
    assert record.data["adx_list"] == [text, {"k": text}]
