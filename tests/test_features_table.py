"""Model tables: read strictly, and their schema hash changes exactly when vectors stop being comparable."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from detector.features import authentication, firewall, logins, table
from detector.judge.families import FAMILY_OF
from detector.judge.findings import MODELS
from detector.judge.reasons import UNITS

FOLDER = Path(__file__).parent.parent / "models"
GOOD = b"""
name = "toy"
entity = "source.ip"
members = ["forest"]
threshold = 3e-4
title = { de = "Auff\xc3\xa4llig", en = "Odd" }
[[features]]
name = "a"
text = { de = "Anzahl", en = "count" }
unit = "events"
direction = "high"
technique = "T1046"
half_life = 60
"""

THEME = b'[[themes]]\nname = "t"\nmember = "tail_sum"\n'


def test_the_five_models_of_the_design_are_shipped() -> None:
    assert set(table.read_all(FOLDER)) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_table_is_complete(name: str) -> None:
    model = table.read(FOLDER / name)
    widths = {
        "firewall-source": firewall.SOURCE_FEATURES, "firewall-pair": firewall.PAIR_FEATURES, "auth-user": logins.USER_FEATURES,
        "auth-source": authentication.SOURCE_FEATURES, "auth-service": authentication.SERVICE_FEATURES,
    }  # fmt: skip
    assert len(model.features) == widths[name]
    for feature in model.features:
        assert feature.technique in FAMILY_OF
        assert feature.unit in UNITS
        assert "Vorfall" not in feature.text.de
        assert feature.text.de != feature.text.en


def test_a_good_table_is_read() -> None:
    assert table.parse(GOOD, "toy").names == ("a",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((b'name = "toy"\n', b'name = "toy"\nspeed = 1\n'), "unknown field `speed`"),
        ((b'"high"', b'"up"'), r"Invalid enum value 'up' - at `\$.features\[0\].direction`"),
        ((b"3e-4", b"0.5"), "`float` <= 0.01"),
        ((b"T1046", b"scan"), "technique"),
        ((b'["forest"]', b"[]"), "members and themes are both empty"),
        ((b'["forest"]', b'["forest", "forest"]'), "two members or themes have one name"),
        ((b"[[features]]", THEME + b'features = ["b"]\n[[features]]'), "theme t names features that there are not: b"),
        ((b"[[features]]", THEME + b'features = ["a"]\nweight = 0.0\n[[features]]'), "> 0"),
        ((b'unit = "events"\n', b""), "missing required field `unit`"),
        ((b"half_life = 60", b"half_life = -1"), ">= 0"),
        ((GOOD[GOOD.index(b"[[features]]") :], 2 * GOOD[GOOD.index(b"[[features]]") :]), "feature named twice: a"),
        ((GOOD[GOOD.index(b"[[features]]") :], 33 * GOOD[GOOD.index(b"[[features]]") :]), "length <= 32"),
        ((b'name = "toy"', b"name = "), "toy/model.toml"),
    ],
)
def test_a_bad_table_is_refused_with_file_and_key(change: tuple[bytes, bytes], sentence: str) -> None:
    with pytest.raises(table.TableError, match=sentence) as refused:
        table.parse(GOOD.replace(*change), "toy/model.toml")
    assert str(refused.value).startswith("toy/model.toml: ")


def test_only_forests_read_context() -> None:
    silent = GOOD.replace(b'"high"', b'"context"')
    assert table.parse(silent, "toy").names == ("a",)
    with pytest.raises(table.TableError, match="theme t is no forest, but reads context: a"):
        table.parse(silent + THEME + b'features = ["a"]\n', "toy")


def test_themes_speak_after_the_members_over_all_features() -> None:
    themed = table.parse(GOOD + THEME + b'features = ["a"]\nweight = 0.5\n', "toy")
    assert [(m.name, m.member, m.features, m.weight) for m in themed.speakers] == [
        ("forest", "forest", ["a"], 1.0),
        ("t", "tail_sum", ["a"], 0.5),
    ]


def test_a_folder_that_is_named_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_bytes(GOOD)
    with pytest.raises(table.TableError, match="the folder is"):
        table.read(tmp_path)


def test_the_schema_hash_follows_the_meaning_not_the_texts() -> None:
    model = table.parse(GOOD, "toy")

    def changed(**fields: object) -> str:
        return msgspec.structs.replace(model, features=[msgspec.structs.replace(model.features[0], **fields)]).schema_hash

    same = {changed(text=table.Text("x", "y")), changed(technique="T1595"), model.schema_hash}
    others = {changed(name="b"), changed(unit="ports"), changed(direction="low"), changed(scale="bits"), changed(half_life=61)}
    assert len(same) == 1
    assert len(others | same) == 6
