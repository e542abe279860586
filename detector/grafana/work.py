"""What the verbs of `tuermer grafana` do: from configuration and environment to one organisation after the other."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from detector.config import Config, ConfigError
from detector.grafana import rights, tokens
from detector.grafana.api import Grafana
from detector.grafana.export import files
from detector.grafana.model import DATASOURCE, FOLDER, VERDICTS, Model
from detector.grafana.orgs import Setup, accepted
from detector.grafana.plan import Plan, plan
from detector.grafana.present import read, ready
from detector.grafana.push import Outcome, Push
from detector.grafana.record import Record
from detector.grafana.secretly import Found, Named
from detector.grafana.tokens import Account
from detector.grafana.wanted import contents, organisation_name, organisations
from detector.grafanasections import Organisation
from detector.sentence import Sentence

FIRST = (f"folder {FOLDER}", f"data source {DATASOURCE}", f"dashboard {VERDICTS}")  # what only `bootstrap` needs to make

REFERENCE = re.compile(r'"(\$__file\{[^}"]+\}|\$[A-Za-z_][A-Za-z0-9_]*)"')


class Elsewhere(Sentence):
    """A token that leads into another organisation than the one meant."""


@dataclass(frozen=True, slots=True)
class Site:
    """The machine's side of all verbs. `now`: seconds since 1970; `tell` one line to the person who waits."""

    config: Config
    environ: Mapping[str, str]
    sleep: Callable[[float], None]
    now: Callable[[], float]
    tell: Callable[[str], None]

    def chosen(self, tenant: str | None) -> list[Organisation]:
        """The organisations of all tenants or of one; ConfigError if there is none."""
        if self.config.grafana.url == "":
            raise ConfigError("grafana.url is empty: write [grafana] url = … as analysts type it")
        every = organisations(self.config)
        found = [organisation for organisation in every if tenant in (None, organisation.tenant)]
        if found == []:
            raise ConfigError(f"{tenant} is none of the tenants {', '.join(organisation.tenant for organisation in every)}")
        return found

    def record(self, organisation: Organisation) -> Record:
        return Record.load(Path(self.config.grafana.directory) / f"{organisation.tenant}.pushed.json")

    def setup(self, organisation: Organisation, accounts: tuple[Account, ...]) -> None:
        """Organisation, accounts and tokens by the server admin's login; ConfigError if there is none."""
        section = self.config.grafana
        admin = tokens.admin(section, self.environ)
        if admin is None:
            raise ConfigError("that takes a server admin: set grafana.admin_password_env or grafana.admin_password_file, for this once")

        def acting(number: int) -> Grafana:
            inside = tokens.admin(section, self.environ, number)
            assert inside is not None
            return inside

        with admin:
            Setup(
                admin,
                acting,
                lambda account: accepted(lambda: self._maybe(organisation, account)),
                lambda account, value: self._keep(organisation, account, value),
                self.tell,
            ).run(organisation_name(organisation), accounts, int(self.now()))

    def _keep(self, organisation: Organisation, account: Account, value: str) -> None:
        path = tokens.keep(self.config.grafana, organisation.tenant, account, value)
        named = getattr(organisation, f"{account}_token_env")
        self.tell(f"wrote {path}" + (f"; put its content into {named}, which is looked at instead" if named != "" else ""))

    def _maybe(self, organisation: Organisation, account: Account) -> Grafana | None:
        if tokens.token(self.config.grafana, organisation, account, self.environ) is None:
            return None
        return tokens.login(self.config.grafana, organisation, account, self.environ)

    @contextlib.contextmanager
    def content(self, organisation: Organisation, *, make: bool) -> Iterator[Grafana]:
        """The content login; with `make` and a server admin's password at hand, accounts and tokens are made first if they are missing."""
        able = tokens.admin(self.config.grafana, self.environ)
        if able is not None:
            able.close()
        if make and able is not None and not accepted(lambda: self._maybe(organisation, "content")):
            self.setup(organisation, ("content", "runtime"))
        with tokens.login(self.config.grafana, organisation, "content", self.environ) as content:
            yield content

    @contextlib.contextmanager
    def boss(self, organisation: Organisation, number: int | None = None) -> Iterator[Grafana | None]:
        """An Admin in this organisation: the bootstrap token if Grafana takes it, else the server admin; else None."""
        if accepted(lambda: self._maybe(organisation, "bootstrap")):
            with tokens.login(self.config.grafana, organisation, "bootstrap", self.environ) as boss:
                yield boss
            return
        if number is None:
            admin = tokens.admin(self.config.grafana, self.environ)
            if admin is not None:
                with admin:
                    found = admin.organisation(organisation_name(organisation))
                number = None if found is None else int(found["id"])
        inside = tokens.admin(self.config.grafana, self.environ, number) if number is not None else None
        if inside is None:
            yield None
            return
        with inside:
            yield inside

    def runtime(self, organisation: Organisation) -> int | None:
        """The number of the account that the run-time token belongs to; None if there is no token."""
        login = self._maybe(organisation, "runtime")
        if login is None:
            return None
        with login:
            kind, _, number = str(login.me().get("uid", "")).partition(":")
        return int(number) if kind == "service-account" and number.isdigit() else None

    def today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self.now(), dt.UTC).date()


def push(site: Site, tenant: str | None = None, *, prune: bool = False, resend: bool = False) -> list[tuple[str, Outcome]]:
    """All organisations, or one. Each comes to its end before the next begins."""
    done: list[tuple[str, Outcome]] = []
    places: dict[int, str] = {}
    for organisation in site.chosen(tenant):
        with site.content(organisation, make=True) as content:
            number = _place(content, organisation, places)
            with site.boss(organisation, number) as boss:
                pushing = _pushing(site, organisation, content, boss)
                outcome = pushing.run(prune=prune, resend=resend)
                if boss is not None:
                    outcome.written += _give(site, boss, organisation, pushing.model)
        done.append((organisation.tenant, outcome))
    return done


def bootstrap(site: Site, tenant: str | None = None) -> list[tuple[str, Outcome]]:
    """Only what takes an Admin: data source and rights, with the folder and the dashboard that the rights are about."""
    done: list[tuple[str, Outcome]] = []
    for organisation in site.chosen(tenant):
        with site.boss(organisation) as boss:
            if boss is None:
                tokens.login(site.config.grafana, organisation, "bootstrap", site.environ).close()  # says what is missing
                raise ConfigError(f"Grafana does not take the bootstrap token of {organisation.tenant}; it may have expired: make another")
            pushing = _pushing(site, organisation, boss, boss)
            outcome = pushing.run(only=FIRST)
            outcome.written += _give(site, boss, organisation, pushing.model)
        done.append((organisation.tenant, outcome))
    return done


def _pushing(site: Site, organisation: Organisation, content: Grafana, boss: Grafana | None) -> Push:
    model = contents(site.config, organisation, Found(site.environ), site.today())
    locked = site.config.grafana.lock_in_ui
    return Push(content, boss, model, site.record(organisation), locked, site.sleep, site.tell)


def _give(site: Site, boss: Grafana, organisation: Organisation, model: Model) -> list[str]:
    given = []
    for right in rights.missing(boss, model, site.runtime(organisation), organisation.verdict_team):
        site.tell(f"right: {right.words}")
        right.give()
        given.append(f"right: {right.words}")
    return given


def _place(content: Grafana, organisation: Organisation, places: dict[int, str]) -> int:
    """The organisation that the token leads to. Two tenants in one would read each other's rows."""
    found = content.call("GET", "/org")
    number = int(found["id"])
    if number in places:
        raise Elsewhere(
            f'the content tokens of {places[number]} and {organisation.tenant} are both of the organisation "{found["name"]}";'
            " whoever is in it could read both: make one for each with `tuermer grafana tenant`"
        )
    if organisation.name not in ("", found["name"]):
        raise Elsewhere(
            f'the content token of {organisation.tenant} is of the organisation "{found["name"]}", not of "{organisation.name}";'
            " nothing was written"
        )
    places[number] = organisation.tenant
    return number


@dataclass(frozen=True, slots=True)
class Difference:
    """What a push of one tenant would do."""

    tenant: str
    plan: Plan
    rights: list[str]


def diff(site: Site, tenant: str | None = None) -> list[Difference]:
    """Writes nothing. Rights are compared only with an Admin's login at hand."""
    found: list[Difference] = []
    for organisation in site.chosen(tenant):
        with site.content(organisation, make=False) as content:
            number = _place(content, organisation, {})
            ready(content, site.sleep, site.tell)
            model = contents(site.config, organisation, Found(site.environ), site.today())
            todo = plan(model, read(content, model), site.record(organisation), locked=site.config.grafana.lock_in_ui)
            with site.boss(organisation, number) as boss:
                there = content.folder(FOLDER) is not None and content.dashboard(VERDICTS) is not None
                missing = (
                    rights.missing(boss, model, site.runtime(organisation), organisation.verdict_team) if boss is not None and there else []
                )
        found.append(Difference(organisation.tenant, todo, [right.words for right in missing]))
    return found


def words(difference: Difference) -> list[str]:
    """The difference for a person."""
    lines = [f"{difference.tenant}:"]
    for change in difference.plan.changes:
        lines.append(f"  {change.name} would be {'created' if change.action == 'create' else 'written again'}")
        lines += [f"      {why}" for why in change.why]
        if change.resends:
            lines.append("      ! Grafana would tell every open alert as resolved and again as new; push does it only with --resend")
    lines += [f"  {words}" for words in difference.rights]
    lines += [f"  {change.name} {change.why[0]}; push --prune removes it" for change in difference.plan.stale]
    return [*lines, "  nothing differs"] if len(lines) == 1 else lines


def export(site: Site, folder: Path, tenant: str | None, organisation_id: int, place: str) -> list[Path]:
    """Provisioning files of one tenant; secrets stand in them as $NAME or $__file{…}."""
    chosen = organisations(site.config)
    if tenant is None and len(chosen) > 1:
        raise ConfigError(f"there are several tenants ({', '.join(o.tenant for o in chosen)}); say which with --tenant")
    organisation = next((o for o in chosen if tenant in (None, o.tenant)), None)
    if organisation is None:
        raise ConfigError(f"{tenant} is none of the tenants {', '.join(o.tenant for o in chosen)}")
    written = []
    for name, text in files(contents(site.config, organisation, Named(), site.today()), organisation_id, place).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def references(written: Iterable[Path]) -> list[str]:
    """The secrets that Grafana finds itself, as the files name them."""
    found = {reference for path in written if path.suffix == ".yaml" for reference in REFERENCE.findall(path.read_text("utf-8"))}
    return sorted(found)
