"""Policy packs set what the configuration leaves open and refuse what goes beyond them, in German and English."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector import packs
from detector.config import Config, ConfigError
from detector.configload import load
from detector.judge.policy import Policy

BASE = '[[topics]]\nname = "auth"\ntenant = "stadt"\n'


def start(tmp_path: Path, text: str) -> Config:
    (tmp_path / "tuermer.toml").write_text(BASE + text)
    (tmp_path / "privacy.key").write_text("")
    (tmp_path / "privacy.key").chmod(0o600)
    return load(tmp_path / "tuermer.toml", {}, "score")


@pytest.mark.parametrize(
    ("name", "retention"),
    [
        ("neutral", (30, 90, 180, 30)),
        ("nds-landesdatennetz", (30, 30, 180, 30)),
        ("nrw-kommune", (30, 90, 180, 30)),
        ("provider", (30, 90, 180, 30)),
    ],
)
def test_a_pack_sets_what_is_left_open(tmp_path: Path, name: str, retention: tuple[int, ...]) -> None:
    config = start(tmp_path, f'[privacy]\npack = "{name}"\nagreement = "DV 7"\n[[tenants]]\nname = "stadt"\n')
    days, _ = packs.periods(config)
    assert (days["evidence"], days["links"], days["incidents"], days["training"]) == retention


def test_there_is_a_test_for_every_pack_that_is_shipped() -> None:
    assert packs.names() == ["nds-landesdatennetz", "neutral", "nrw-kommune", "provider"]


@pytest.mark.parametrize(
    ("text", "de", "en"),
    [
        (
            '[privacy]\npack = "neutral"\n[retention]\nlinks = 91\n',
            "verlangt retention.links höchstens 90",
            "retention.links at most 90, it is 91",
        ),
        (
            '[privacy]\npack = "nds-landesdatennetz"\nperson_memory = "first-seen"\n',
            'verlangt privacy.person_memory = "none", eingestellt ist "first-seen"',
            'demands privacy.person_memory = "none", it is "first-seen"',
        ),
        (
            '[privacy]\npack = "nrw-kommune"\n',
            "die Nummer der Dienstvereinbarung in privacy.agreement",
            "the number of the works agreement",
        ),
        ('[privacy]\npack = "provider"\n', "einen Eintrag [[tenants]] für stadt", "an entry [[tenants]] for stadt"),
        (
            '[privacy]\npack = "provider"\n[[tenants]]\nname = "stadt"\n'
            '[[keyholders]]\nname = "meier"\npublic = "x"\ngroups = ["security"]\n',
            "für meier in [[keyholders]] die eigenen Mandanten",
            "tenants of its own for meier",
        ),
        (
            '[[tenants]]\nname = "stadt"\npack = "nds-landesdatennetz"\nevidence = 60\n',
            "tenants[1].evidence höchstens 30, eingestellt ist 60",
            "tenants[1].evidence at most 30, it is 60",
        ),
        ('[[tenants]]\nname = "stadt"\npack = "nrw-kommune"\n', "die Nummer der Dienstvereinbarung", "the number of the works agreement"),
        ('[privacy]\npack = "bayern"\n', "gibt es nicht, nur nds-landesdatennetz", "does not exist, only nds-landesdatennetz"),
    ],
)
def test_what_contradicts_its_pack_does_not_start(tmp_path: Path, text: str, de: str, en: str) -> None:
    with pytest.raises(ConfigError) as raised:
        start(tmp_path, text)
    german, _, english = str(raised.value).partition(" / ")
    assert de in german
    assert en in english


def test_one_tenant_may_have_a_stricter_pack_than_the_others(tmp_path: Path) -> None:
    config = start(tmp_path, '[privacy]\npack = "neutral"\n[[tenants]]\nname = "stadt"\npack = "nds-landesdatennetz"\n')
    days, own = packs.periods(config)
    assert (days["links"], own["stadt"]["links"]) == (90, 30)


def test_a_tenant_that_nothing_is_read_of_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tenants\[1\].name statd is not a tenant of any of \[\[topics\]\]"):
        start(tmp_path, '[[tenants]]\nname = "statd"\n')


def test_incidents_are_not_kept_shorter_than_their_evidence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"retention\.incidents 20 is less than retention\.evidence 30"):
        start(tmp_path, "[retention]\nincidents = 20\n")


def test_a_tenant_may_have_a_budget_of_its_own(tmp_path: Path) -> None:
    policy = Policy.of(start(tmp_path, '[[tenants]]\nname = "stadt"\nper_day = 2\n'))
    assert (policy.of_tenant("stadt").per_day, policy.of_tenant("dorf").per_day) == (2, 5)
