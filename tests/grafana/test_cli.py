"""The command line: what is printed, and when a command fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector import grafanacli
from detector.grafana import work
from detector.options import Failed
from tests.grafana.test_work import SECRETS, Town, town

__all__ = ["town"]


@pytest.fixture
def config(town: Town, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A town whose first push is done, and its secrets in the environment."""
    work.push(town.site(), "stadt")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return town.folder / "tuermer.toml"


def test_a_second_push_says_that_there_is_nothing_to_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grafanacli.push(tenant="stadt", config=config)
    assert capsys.readouterr().out == "stadt: nothing to do\n"


def test_the_difference_is_there_for_programs_too(town: Town, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stadt = next(o for o in town.fake.world.organisations.values() if o.name == "Stadt")
    stadt.templates["tuermer"]["template"] = "changed"
    grafanacli.diff(tenant="stadt", config=config, as_json=True)
    ((row,),) = [json.loads(capsys.readouterr().out)]
    assert [(change["object"], change["action"], change["by_hand"]) for change in row["changes"]] == [("template tuermer", "update", True)]


def test_what_is_not_as_it_should_be_fails_the_command_after_all_is_done(
    town: Town, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town.fake.world.broken_sql = True
    with pytest.raises(Failed, match="stadt: Grafana does not reach the database"):
        grafanacli.push(tenant="stadt", config=config)
    assert capsys.readouterr().out == "stadt: nothing to do\n"


def test_an_unknown_tenant_is_said(config: Path) -> None:
    with pytest.raises(Exception, match="statd is none of the tenants stadt, kreis"):
        grafanacli.push(tenant="statd", config=config)
