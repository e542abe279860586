"""Everyone who works in the city: invented names, their machines, accounts and habits, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.sentence import Sentence
from detector.simulate import places
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
    admin: NDArray[np.bool_]
    account: Int64  # anna.berger
    principal: Int64  # anna.berger@STADT.EXAMPLE
    operator: Int64  # the second account of an administrator, adm.berger
    sid: Int64
    uid: Int64
    machine: Int64  # PC-RH-0042
    machine_account: Int64  # PC-RH-0042$
    key: Int64  # of ssh, for administrators
    address: Int64
    address6: Int64
    home: Int64
    mobile: Int64  # first of the addresses of the provider when travelling
    pool: int  # first address of the VPN, without the site's base
    begins: NDArray[np.float64]  # usual hour on the wall
    hours: NDArray[np.float64]
    weekdays: Int64  # bit 0 = Monday
    homeoffice: NDArray[np.float64]
    pace: NDArray[np.float64]  # how much traffic, 1 = usual

    def __len__(self) -> int:
        return len(self.site)

    def names(self, press: Press, rows: Int64) -> list[str]:
        return [press.value(code) for code in self.account[rows].tolist()]


def _accounts(rng: np.random.Generator, n: int) -> list[str]:
    pairs = rng.permutation(len(FIRST) * len(LAST))
    rounds = -(-n // len(pairs))
    names = [f"{FIRST[p % len(FIRST)]}.{LAST[p // len(FIRST)]}" for p in pairs.tolist()]
    return [name + (str(k + 1) if k > 0 else "") for k in range(rounds) for name in names][:n]


def hire(press: Press, seed: int, n: int) -> People:
    """n people (20 or more) over the three sites; every fortieth is an administrator, at least two per site.

    Raises CityError for a smaller city.
    """
    if n < 20:
        raise CityError(f"a city needs at least 20 people, not {n}")
    rng = np.random.default_rng([seed, 0])
    site = np.repeat(np.arange(3), [n - n // 5 - n // 4, n // 5, n // 4])
    rank = np.arange(n) - np.searchsorted(site, site)  # number within the site
    admin = (rank < 2) | (rank % 40 == 0)
    shared = (site == places.BAUHOF) & (rank % 2 == 1) & ~admin  # the depot's crews: five people, one computer, little traffic
    desk = np.where(shared, rank // 10 * 10 + 3, rank)
    accounts = _accounts(rng, n)
    machines = [f"PC-{places.SITES[s].short}-{r + 1:04d}" for s, r in zip(site.tolist(), desk.tolist(), strict=True)]
    realms = [places.SITES[s].tenant.upper() for s in site.tolist()]
    provider = rng.integers(0, 5, n)
    weekdays = np.where(rng.random(n) < 0.25, 0b11111 ^ (1 << rng.integers(0, 5, n)), 0b11111)
    return People(
        site, admin, press.texts(accounts), press.texts(f"{a}@{r}.EXAMPLE" for a, r in zip(accounts, realms, strict=True)),
        press.texts("adm." + a.split(".")[1] for a in accounts),
        press.texts(f"S-1-5-21-3623811015-3361044348-{30300820 + s}-{1200 + r}" for s, r in zip(site, rank, strict=True)),
        1001 + rank, press.texts(machines), press.texts(m + "$" for m in machines),
        press.texts("".join(rng.choice(list("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"), 43)) for _ in range(n)),
        places.CLIENTS[site] + 10 + desk + desk // 200 * 56,  # 200 of each 256, as a DHCP range hands them out
        IPV6 + press.texts(f"2001:db8:{10 * (s + 1)}:20::{r + 16:x}" for s, r in zip(site.tolist(), desk.tolist(), strict=True)),
        places.PROVIDERS + provider * 4096 + rng.integers(2, 4000, n), places.PROVIDERS + (5 + rng.integers(0, 2, n)) * 4096, 10,
        np.clip(rng.normal(7.8, 0.7, n), 6.0, 10.0), np.where(rng.random(n) < 0.25, rng.uniform(4, 6, n), 8.3), weekdays.astype(np.int64),
        np.clip(rng.normal(0.22, 0.18, n), 0.0, 0.8) * (rng.random(n) < 0.8) * ~shared,
        np.exp(rng.normal(-0.1, 0.45, n)) * np.where(shared, 0.25, 1.0),
    )  # fmt: skip
