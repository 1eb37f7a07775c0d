"""Templates of settings: what `megabar init VERB` writes is what the verb would do without a file."""

import re

import pytest

from megabar.campaign.files import read_yaml
from megabar.campaign.settings import load_settings
from megabar.cli.main import main, verbs
from megabar.errors import InputError

MODELS = {name: module.SETTINGS for name, module in verbs().items() if hasattr(module, "SETTINGS")}
START = {"generator": "prototype", "kind": "CaH2", "names": ["MH2-Pnma"], "count": 1}
REQUIRED = {
    "analyse": {"trajectory": "dump.lammpstrj"}, "enthalpy": {"reaction": "CaH2 + H2 -> CaH4"},
    "learn": {"metal": "Ca", "data": ["labels.extxyz"], "explore": [{"start": START, "temperatures_K": [300.0]}]},
    "map": {"reaction": "CaH2 + H2 -> CaH4"}, "melt": {"formula": "CaH4", "pressure": "40 GPa"},
    "react": {"formula": "CaH2", "pressure": "40 GPa", "temperature": "1200 C", "time": "20 ps"},
    "scan": {"grid": {"neurons": [10, 20]}}, "xrd": {"phases": ["W"], "wavelength_A": 0.3344}}


@pytest.mark.parametrize("verb", sorted(MODELS))
def test_template_uncommented_is_the_defaults(verb, tmp_path):
    """Every line of a setting, its "#" taken away, goes back through YAML and pydantic to the default."""
    model, file = MODELS[verb], tmp_path / "template.yaml"
    assert main(["init", verb, "--out", str(file)]) == 0
    text = file.read_text()
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert required == set(re.findall(r"^(\w+):  # required$", text, re.MULTILINE)) <= set(REQUIRED.get(verb, {}))
    file.write_text(re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE))
    values = read_yaml(file)
    assert set(values) == set(model.model_fields)
    found = model.model_validate({**values, **REQUIRED.get(verb, {})})
    for name, field in model.model_fields.items():
        if name not in REQUIRED.get(verb, {}):
            assert getattr(found, name) == field.get_default(call_default_factory=True), name


def test_a_mesh_is_a_list_that_can_be_edited(capsys, tmp_path):
    assert main(["init", "elph"]) == 0
    text = capsys.readouterr().out
    assert "#k_mesh: [8, 8, 8]" in text
    file = tmp_path / "elph.yaml"
    file.write_text(text.replace("#k_mesh: [8, 8, 8]", "k_mesh: [12, 12, 12]"))
    assert load_settings(MODELS["elph"], file).k_mesh == (12, 12, 12)


def test_verb_without_settings(capsys):
    assert main(["init", "gauge"]) == 2
    error = capsys.readouterr().err
    assert "no settings file" in error and "enthalpy" in error and error.count("\n") == 1


def test_file_that_is_there_is_kept(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    assert main(["init", "hull", "--out", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err and file.read_text() == "mine"


def test_template_is_no_settings_file_before_what_is_required_is_filled_in(tmp_path):
    file = tmp_path / "melt.yaml"
    assert main(["init", "melt", "--out", str(file)]) == 0
    with pytest.raises(InputError, match=r"melt\.yaml: formula"):
        load_settings(MODELS["melt"], file)
