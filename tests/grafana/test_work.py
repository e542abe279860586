"""The verbs, from a configuration file to the stand-in: several tenants, tokens, rights, differences in words, doctor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.config import ConfigError
from detector.configload import load
from detector.grafana import examine, tokens, work
from detector.grafana.model import VERDICTS
from detector.grafana.plan import Refusal
from detector.grafana.push import Stopped
from detector.grafana.work import Elsewhere, Site
from tests.grafana.openapi import checker
from tests.grafana.server import Fake, serving
from tests.grafana.world import World

CONFIG = """
[[topics]]
name = "firewall"
tenant = "stadt"
[[topics]]
name = "kreis"
tenant = "kreis"
timezone = "Europe/Vienna"
[database]
url = "postgresql://tuermer@db.example:5432/tuermer"
[grafana]
url = "{url}"
admin_password_env = "ADMIN"
[[grafana.organisations]]
tenant = "stadt"
name = "Stadt"
verdict_team = "SOC"
database_user = "tuermer_grafana_1"
database_password_env = "DB1"
[[grafana.organisations]]
tenant = "kreis"
database_login_file = "kreis.grafana.login"
[[grafana.contact_points]]
name = "soc"
settings = {{url = "http://127.0.0.1:9/hook"}}
secrets_env = {{"hmacConfig.secret" = "HMAC"}}
[[grafana.contact_points]]
name = "mail"
type = "email"
tenant = "stadt"
told = ["urgent"]
settings = {{addresses = "soc@stadt.example"}}
"""
SECRETS = {"ADMIN": "admin-password", "DB1": "db-one", "HMAC": "hmac-key"}


class Town:
    """A folder with a configuration, and the stand-in."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.folder, self.fake, self.told = folder, fake, list[str]()
        (folder / "privacy.key").touch(0o600)
        (folder / "kreis.grafana.login").write_text("tuermer_grafana_ab12\npass-two\n")
        (folder / "tuermer.toml").write_text(CONFIG.format(url=fake.url), "utf-8")

    def site(self, **environ: str | None) -> Site:
        """`environ`: variables to change; None takes one away."""
        given = {key: value for key, value in {**SECRETS, **environ}.items() if value is not None}
        config = load(self.folder / "tuermer.toml", given, "score")
        return Site(config, given, self.fake.world.sleep, lambda: 1_795_000_000 + self.fake.world.now, self.told.append)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    world = World()
    world.login("admin", "admin-password", "Admin", server_admin=True)
    with serving(world, checker()) as fake:
        world.root_url = fake.url
        yield Town(tmp_path, fake)
        assert fake.violations == []


def test_one_command_sets_up_every_tenant_and_again_changes_nothing(town: Town) -> None:
    done = work.push(town.site())
    assert [(tenant, outcome.warnings) for tenant, outcome in done] == [("stadt", []), ("kreis", [])]
    town.fake.forget()
    assert [outcome.written for _, outcome in work.push(town.site())] == [[], []]
    assert town.fake.writes == []


def test_each_tenant_has_its_own_organisation_login_and_tokens(town: Town) -> None:
    work.push(town.site())
    stadt, kreis = (next(o for o in town.fake.world.organisations.values() if o.name == name) for name in ("Stadt", "kreis"))
    assert [o.datasources["tuermer-pg"]["user"] for o in (stadt, kreis)] == ["tuermer_grafana_1", "tuermer_grafana_ab12"]
    assert [o.secrets["tuermer-pg"]["password"] for o in (stadt, kreis)] == ["db-one", "pass-two"]
    assert sorted(stadt.contact_points) == [
        "tuermer-budget-soc",
        "tuermer-health-soc",
        "tuermer-rest-soc",
        "tuermer-urgent-mail",
        "tuermer-urgent-soc",
    ]
    assert "tuermer-urgent-mail" not in kreis.contact_points
    assert [a["role"] for a in stadt.accounts.values()] == ["Editor", "None"]
    assert next(iter(kreis.dashboards)) == VERDICTS
    assert stadt.misrouted + kreis.misrouted == []


def test_tokens_are_ours_alone_and_of_least_right(town: Town) -> None:
    site = town.site()
    work.push(site)
    for account in ("content", "runtime"):
        path = tokens.token_file(site.config.grafana, "stadt", "content" if account == "content" else "runtime")
        assert path.stat().st_mode & 0o077 == 0
    assert not tokens.token_file(site.config.grafana, "stadt", "bootstrap").exists()  # the server admin acted himself
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"holds a token and every user of this machine may open it"):
        work.diff(town.site(), "stadt")


def test_the_verdict_team_may_edit_one_dashboard_and_the_run_time_account_looks_into_the_folder(town: Town) -> None:
    work.push(town.site())
    stadt = next(o for o in town.fake.world.organisations.values() if o.name == "Stadt")
    (team,) = stadt.teams.values()
    assert team["name"] == "SOC"
    assert stadt.dashboard_rights == {VERDICTS: [{"teamId": team["id"], "permission": 2}]}
    runtime = next(a["id"] for a in stadt.accounts.values() if a["name"] == "tuermer-runtime")
    assert {"userId": runtime, "permission": 1} in stadt.folder_rights["tuermer"]
    assert not any(entry.get("teamId") for entry in stadt.folder_rights["tuermer"])


def test_three_people_can_share_the_work(town: Town) -> None:
    """The server admin makes accounts, an Admin bootstraps with the short-lived token, the content token does the rest."""
    first = town.site()
    first.setup(first.chosen("stadt")[0], ("bootstrap", "content", "runtime"))
    later = town.site(ADMIN=None)
    usual = tokens.token_file(later.config.grafana, "stadt", "bootstrap")
    aside = usual.rename(town.folder / "aside")
    with pytest.raises(Refusal, match="run `tuermer grafana bootstrap`"):
        work.push(later, "stadt")
    aside.rename(usual)
    ((_, outcome),) = work.bootstrap(later, "stadt")
    assert [name for name in outcome.written if not name.startswith("right")] == [
        "folder tuermer",
        "data source tuermer-pg",
        f"dashboard {VERDICTS}",
    ]
    tokens.token_file(later.config.grafana, "stadt", "bootstrap").unlink()
    ((_, outcome),) = work.push(later, "stadt")
    assert outcome.warnings == []
    assert work.diff(later, "stadt")[0].plan.changes == ()


def test_a_new_token_ends_the_old_ones(town: Town) -> None:
    site = town.site()
    site.setup(site.chosen("stadt")[0], ("content",))
    path = tokens.token_file(site.config.grafana, "stadt", "content")
    old = path.read_text().strip()
    path.unlink()
    town.fake.world.sleep(1)
    site.setup(site.chosen("stadt")[0], ("content",))
    assert old not in town.fake.world.tokens
    assert path.read_text().strip() in town.fake.world.tokens


def test_a_token_may_come_from_the_environment(town: Town) -> None:
    work.push(town.site(), "kreis")
    path = town.folder / "grafana" / "kreis.content"
    text = (
        (town.folder / "tuermer.toml")
        .read_text()
        .replace('tenant = "kreis"\ndatabase', 'tenant = "kreis"\ncontent_token_env = "TOKEN"\ndatabase')
    )
    (town.folder / "tuermer.toml").write_text(text)
    token = path.read_text().strip()
    path.unlink()
    assert work.diff(town.site(TOKEN=token, ADMIN=None), "kreis")[0].plan.changes == ()
    with pytest.raises(ConfigError, match="there is no content token of kreis in the environment variable TOKEN; make one with"):
        work.diff(town.site(ADMIN=None), "kreis")


def test_a_token_of_another_organisation_writes_nothing(town: Town) -> None:
    work.push(town.site())
    (town.folder / "grafana" / "stadt.content").write_bytes((town.folder / "grafana" / "kreis.content").read_bytes())
    town.fake.forget()
    with pytest.raises(Elsewhere, match='is of the organisation "kreis", not of "Stadt"; nothing was written'):
        work.push(town.site())
    assert town.fake.writes == []


def test_two_tenants_in_one_organisation_are_refused(town: Town) -> None:
    work.push(town.site())
    (town.folder / "grafana" / "kreis.content").write_bytes((town.folder / "grafana" / "stadt.content").read_bytes())
    with pytest.raises(Elsewhere, match='content tokens of stadt and kreis are both of the organisation "Stadt"'):
        work.push(town.site())


def test_the_difference_is_told_in_words(town: Town) -> None:
    work.push(town.site(), "stadt")
    assert work.words(work.diff(town.site(), "stadt")[0]) == ["stadt:", "  nothing differs"]
    stadt = next(o for o in town.fake.world.organisations.values() if o.name == "Stadt")
    stadt.dashboards[VERDICTS]["dashboard"]["refresh"] = "1h"
    stadt.dashboards[VERDICTS]["by"] = "anna"
    stadt.rules["tuermer-urgent"]["notification_settings"]["group_wait"] = "10m"
    stadt.templates["tuermer-alt"] = {"name": "tuermer-alt", "template": "x", "provenance": "api"}
    told = "\n".join(work.words(work.diff(town.site(), "stadt")[0]))
    assert f"  dashboard {VERDICTS} would be written again\n      was changed in Grafana since our last push by anna\n" in told
    assert 'refresh is "1h", should be ' in told
    assert "notification_settings.group_wait is 600.0, should be 5.0" in told
    assert "! Grafana would tell every open alert as resolved and again as new; push does it only with --resend" in told
    assert "  template tuermer-alt is not in the model any more; push --prune removes it" in told


def test_a_failure_says_what_was_written_and_the_next_push_ends_the_same(town: Town) -> None:
    town.fake.faults[12] = 500
    with pytest.raises(Stopped, match=r"look into its log, then push again; 6 objects were written before \(folder tuermer, data source"):
        work.push(town.site(), "stadt")
    ((_, outcome),) = work.push(town.site(), "stadt")
    assert outcome.warnings == []
    assert work.diff(town.site(), "stadt")[0].plan.changes == ()


def test_doctor_finds_all_well(town: Town) -> None:
    work.push(town.site())
    found = list(examine.examine(town.site()))
    assert [text for _, ok, text in found if not ok] == []
    assert ("grafana buttons", True, "Grafana lets verdicts through") in found


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("root", "write below [server] in grafana.ini: root_url = "),
        ("buttons", "write below [security] in grafana.ini: actions_allow_post_url = /api/annotations"),
        (
            "right",
            "the run-time token may not annotations:read, dashboards:read, alert.rules:read in our folder; say `tuermer grafana bootstrap`",
        ),
        ("wide", "the run-time token may also"),
        ("stranger", "and so can the foreign accounts reporting; remove what does not belong to this tenant"),
        ("database", 'does not reach the database: password authentication failed for user "tuermer_grafana_1"'),
        ("revoked", "Grafana does not accept the runtime token of stadt"),
    ],
)
def test_doctor_says_what_is_wrong_and_what_to_do(town: Town, harm: str, said: str) -> None:
    work.push(town.site(), "stadt")
    world = town.fake.world
    stadt = next(o for o in world.organisations.values() if o.name == "Stadt")
    runtime = next(login for login, _ in world.tokens.values() if login.name == "tuermer-runtime")
    match harm:
        case "root":
            world.root_url = "http://localhost:3000/"
        case "buttons":
            world.buttons = False
        case "right":
            stadt.folder_rights["tuermer"] = [e for e in stadt.folder_rights["tuermer"] if e.get("userId") != runtime.number]
        case "wide":
            runtime.role = "Viewer"
        case "stranger":
            stadt.accounts[99] = {"id": 99, "name": "reporting", "role": "Viewer"}
        case "database":
            stadt.secrets["tuermer-pg"]["password"] = "wrong"
        case "revoked":
            for key, (login, _) in list(world.tokens.items()):
                if login is runtime:
                    del world.tokens[key]
    wrong = [text for _, ok, text in examine.examine(town.site()) if not ok and "kreis" not in text]
    assert any(said in text for text in wrong), wrong


def test_doctor_counts_who_else_can_query(town: Town) -> None:
    work.push(town.site(), "stadt")
    number = next(n for n, o in town.fake.world.organisations.items() if o.name == "Stadt")
    for name, role in (("anna", "Viewer"), ("bert", "Viewer"), ("cem", "Editor"), ("dora", "None")):
        town.fake.world.login(name, "x", role, number)
    readers = next(text for check, _, text in examine.examine(town.site()) if check == "grafana stadt readers")
    assert readers == "3 people (1 Editor, 2 Viewer) can send any SQL to this organisation's data source"
    blind = next(text for check, _, text in examine.examine(town.site(ADMIN=None)) if check == "grafana stadt readers")
    assert "was not counted: Grafana tells that only to an Admin's token" in blind


def test_without_a_grafana_doctor_asks_none(town: Town) -> None:
    (town.folder / "tuermer.toml").write_text('[[topics]]\nname = "firewall"\ntenant = "stadt"\n')
    assert list(examine.examine(town.site())) == []
