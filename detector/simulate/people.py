"""Everyone who works in the city: invented names, their machines, accounts and habits, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.sentence import Sentence
from detector.simulate import places, roles
from detector.simulate.roles import ROLES
from detector.simulate.wire import IPV6, Int64, Press

_FIRST_TEXT = (
    "ahmet aleksandra andreas anja annika anton barbara bastian beate bernd birgit carla carsten claudia daniel derya dieter doris "
    "elena elif emil erika falk fatma felix frank franziska gabriele georg gerda hannah hanno heike helga henning ida ines ingo irina "
    "jan jana jasmin jens joana jochen judith jule karin karl katja kerstin kilian kira klara lars laura lena leonie linus lukas maike "
    "manfred mara marek maria marlene mehmet mia milan nadine nele nico nina olaf paula pavel petra philipp rainer ralf rebecca rolf "
    "rosa sabine selma silke simone sonja stefan svenja tanja theo thomas tim tobias uli ursula uwe vera viktor walter yasmin"
)
_LAST_TEXT = (
    "ahlbeck altenrath amselgrund bachtaler bergkamp birkental brandhorst buchfeld dachsberg dornbusch eichhagen elsenau erlenhof "
    "eschenroth falkenau feldkirch finkenwald forsting fuchstal gartenau ginsterberg grauheim gruenau habichtsthal haselhorst "
    "heidekamp hirschau holderbach igelsbach immental kastanien kiebitz kleefeld kornau kranichau krautheim langenau laubach "
    "lerchenthal lindenau luchsberg margarethen marderau meisenbach mohnfeld moosbach nebelung nussdorfer ostertal otterbach "
    "pappelau quellental rebstock rehwinkel rosental rotkehl sandmann schilfau schlehdorn silbersee sommerau sperlich steinau "
    "tannhof thymian uhlenhorst ulmenau vogelsang wacholder walnussau weidental wiesengrund winterau zaunkoenig zeisigau ziegelhof"
)
FIRST, LAST = _FIRST_TEXT.split(), _LAST_TEXT.split()


class CityError(Sentence):
    """A city that cannot be, with the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """One entry per person in every array; texts as codes of the press."""

    site: Int64
    role: Int64  # index into roles.ROLES
    admin: NDArray[np.bool_]
    account: Int64  # anna.berger
    mistyped: Int64  # ana.berger, which is nobody's
    principal: Int64  # anna.berger@STADT.EXAMPLE
    mailbox: Int64  # anna.berger@stadt.example
    operator: Int64  # the second account of an administrator, adm.anna.berger
    sid: Int64
    uid: Int64
    subject: Int64  # her number at Keycloak and Entra
    machine: Int64  # PC-RH-0042
    machine_account: Int64  # PC-RH-0042$
    key: Int64  # of ssh, for administrators
    address: Int64
    wifi: Int64  # the address of a laptop or telephone in the building
    address6: Int64
    household: Int64  # number of the flat; some are shared
    moves: Int64  # days between two changes of the provider at home
    carrier: Int64  # of the telephone
    telephone: NDArray[np.bool_]  # has the city's telephone, with mail
    relayed: NDArray[np.bool_]  # whose telephone hides behind a relay
    pool: int  # first address of the VPN, without the site's base
    begins: NDArray[np.float64]  # usual hour on the wall
    hours: NDArray[np.float64]
    weekdays: Int64  # bit 0 = Monday
    homeoffice: NDArray[np.float64]
    travels: NDArray[np.float64]  # share of weeks with a journey
    pace: NDArray[np.float64]  # how much traffic, 1 = usual
    shifts: NDArray[np.bool_]
    public: NDArray[np.bool_]
    hired: NDArray[np.float64]  # 0 to 1: who comes only with a growing city comes late

    def __len__(self) -> int:
        return len(self.site)

    def names(self, press: Press, rows: Int64) -> list[str]:
        return [press.value(code) for code in self.account[rows].tolist()]


def _accounts(rng: np.random.Generator, n: int) -> list[str]:
    pairs = rng.permutation(len(FIRST) * len(LAST))
    rounds = -(-n // len(pairs))
    names = [f"{FIRST[p % len(FIRST)]}.{LAST[p // len(FIRST)]}" for p in pairs.tolist()]
    return [name + (str(k + 1) if k > 0 else "") for k in range(rounds) for name in names][:n]


def _slips(accounts: list[str]) -> list[str]:
    """Each name as its owner mistypes it: without its third letter, or with it twice where that is somebody else's."""
    known = set(accounts)
    return [a[:2] + a[3:] if a[:2] + a[3:] not in known else a[:3] + a[2:] for a in accounts]


def _assigned(rng: np.random.Generator, site: Int64, admin: NDArray[np.bool_]) -> Int64:
    """The role of each person; administrators are their site's IT."""
    role = np.zeros(len(site), np.int64)
    for k in range(3):
        here = site == k
        if not here.any():
            continue
        some = roles.offered(k, int(here.sum()))
        weight = np.array([ROLES[r].share for r in some])
        role[here] = rng.choice(some, int(here.sum()), p=weight / weight.sum())
        role[here & admin] = roles.OF_IT[k]
    return role


def _of_roles(role: Int64, name: str) -> NDArray[np.float64]:
    column: NDArray[np.float64] = np.array([float(getattr(r, name)) for r in ROLES])[role]
    return column


def _sites(n: int, sites: int) -> Int64:
    parts = {1: [n], 2: [n - n // 4, n // 4], 3: [n - n // 5 - n // 4, n // 5, n // 4]}[sites]
    return np.repeat(np.arange(sites), parts)


def hire(press: Press, seed: int, n: int, sites: int = 3) -> People:
    """n people (20 or more) over one to three sites; every fortieth is an administrator, at least two per site.

    Raises CityError for a smaller city.
    """
    if n < 20 or sites not in (1, 2, 3):
        raise CityError(f"a city needs at least 20 people, not {n}" if n < 20 else f"a city has one to three sites, not {sites}")
    rng = np.random.default_rng([seed, 0])
    site = _sites(n, sites)
    rank = np.arange(n) - np.searchsorted(site, site)  # number within the site
    admin = (rank < 2) | (rank % 40 == 0)
    role = _assigned(rng, site, admin)
    crew = _of_roles(role, "crew") > 0  # the depot's crews: five people, one computer, little traffic
    desk = np.where(crew, rank // 10 * 10 + 3, rank)
    accounts = _accounts(rng, n)
    machines = [f"PC-{places.SITES[s].short}-{r + 1:04d}" for s, r in zip(site.tolist(), desk.tolist(), strict=True)]
    tenants = [places.SITES[s].tenant for s in site.tolist()]
    couple = np.flatnonzero(rng.random(n) < 0.03)
    household = np.arange(n)
    household[couple] = rng.permutation(n)[: len(couple)]
    shifts, n0 = _of_roles(role, "shifts") > 0, rng.random(n)
    weekdays = np.where((n0 < 0.25) & ~shifts, 0b11111 ^ (1 << rng.integers(0, 5, n)), np.where(shifts, 0b1111111, 0b11111))
    home = _of_roles(role, "home")
    return People(
        site, role, admin, press.texts(accounts), press.texts(_slips(accounts)), press.texts(f"{a}@{t.upper()}.EXAMPLE" for a, t in zip(accounts, tenants, strict=True)),
        press.texts(f"{a}@{t}.example" for a, t in zip(accounts, tenants, strict=True)), press.texts("adm." + a for a in accounts),
        press.texts(f"S-1-5-21-3623811015-3361044348-{30300820 + s}-{1200 + r}" for s, r in zip(site, rank, strict=True)),
        1001 + rank, press.texts(f"{a:08x}-4d2b-41c7-9f30-{b:012x}" for a, b in zip(rng.integers(0, 2**32, n), rank + 4096, strict=True)),
        press.texts(machines), press.texts(m + "$" for m in machines),
        press.texts("".join(rng.choice(list("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"), 43)) if a else "" for a in admin | (np.arange(n) < 8)),
        places.CLIENTS[site] + 10 + desk + desk // 200 * 56, places.WIFI[site] + rank + rank // 200 * 56,  # 200 of 256, as DHCP does
        IPV6 + press.texts(f"2001:db8:{10 * (s + 1)}:20::{r + 16:x}" for s, r in zip(site.tolist(), desk.tolist(), strict=True)),
        household, rng.integers(400, 1200, n), rng.choice(3, n, p=[0.5, 0.3, 0.2]), (rng.random(n) < 0.55) & ~crew, rng.random(n) < 0.03, 10,
        np.clip(rng.normal(_of_roles(role, "begins"), 0.6), 5.0, 10.0), np.where(rng.random(n) < 0.25, rng.uniform(4, 6, n), 8.3),
        weekdays.astype(np.int64), np.where(home > 0, np.clip(rng.normal(1.3 * home, 0.18), 0.0, 0.9), 0.0) * (rng.random(n) < 0.9),
        _of_roles(role, "travels"), np.exp(rng.normal(-0.1, 0.45, n)) * _of_roles(role, "pace"), shifts, _of_roles(role, "public") > 0,
        rng.random(n),
    )  # fmt: skip


def roles_csv(people: People, press: Press) -> str:
    """account,role,tenant: of everyone, and of administrators' second accounts; without a header."""
    texts = press.all_texts()
    rows = []
    for k, (site, role) in enumerate(zip(people.site.tolist(), people.role.tolist(), strict=True)):
        tenant = places.SITES[site].tenant
        rows.append(f"{texts[people.account[k]]},{ROLES[role].name},{tenant}\n")
        if people.admin[k]:
            rows.append(f"{texts[people.operator[k]]},{ROLES[role].name}-admin,{tenant}\n")
    return "".join(rows)
