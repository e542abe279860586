"""Logins beside the domain: mail in Entra from desk, home, telephone and beach, and the city's own portal behind Keycloak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.simulate import clock, hosts, places
from detector.simulate.clock import HOUR, SECOND
from detector.simulate.logins import Desk, mistyped, slips
from detector.simulate.traffic import address_today
from detector.simulate.wire import Columns, Int64, Press, Sheet

REALMS = ("7d0c2e10-0001-4aaa-9c00-57ad70000001", "7d0c2e10-0002-4aaa-9c00-57adb0000002")  # of Entra, by tenant
WRONG, LOCKED, SECOND_FACTOR = 50126, 50053, 50074
_BROWSER, _PHONE = ("Browser", "Windows"), ("Mobile Apps and Desktop clients", "Ios")
_PORTALS = ("dokumente", "zeiterfassung", "portal-intern")


def realm(press: Press, site: Int64) -> Int64:
    found: Int64 = press.texts(REALMS)[(site == places.LEITSTELLE).astype(np.int64)]
    return found


def office_address(site: Int64) -> Int64:
    """The public address behind which a whole site stands when it talks to the cloud."""
    found: Int64 = np.array([place.public for place in places.SITES])[site] + 1
    return found


def sign_in(
    sheet: Sheet, rng: np.random.Generator, times: Int64, columns: Columns, *, code: int = 0, phone: bool = False, silent: bool = False, truth: int = 0
) -> None:  # fmt: skip
    """Entra sign-ins; silent ones are a telephone's or program's renewals. columns: src, mailbox, subject, realm."""
    client, system = _PHONE if phone else _BROWSER
    told: Columns = {
        "category": "NonInteractiveUserSignInLogs" if silent else "SignInLogs", "code": code, "app": "Exchange Online" if silent else "Office 365",
        "client": client, "system": system, "access": "success" if code == 0 else "notApplied",
        "factors": "singleFactorAuthentication" if silent or code == WRONG else "multiFactorAuthentication",
        "correlation": rng.integers(2**40, 2**62, len(times)),
    }  # fmt: skip
    sheet.add("entra.sign_in", times, {**columns, **told}, truth=truth, delay=4_000_000)


def portal(sheet: Sheet, rng: np.random.Generator, times: Int64, columns: Columns, *, why: str = "", truth: int = 0) -> None:
    """Logins at Keycloak; `why` names the error of refused ones. columns: src, user, subject."""
    apps = sheet.press.texts(_PORTALS)
    full = {**columns, "app": apps[rng.integers(0, len(apps), len(times))], "sequence": times // 100_000 % 1_000_000}
    if why != "":
        sheet.add("keycloak.error", times, {**full, "type": "LOGIN_ERROR", "level": "WARN", "why": why}, truth=truth)
        return
    sheet.add("keycloak.login", times, {**full, "type": "LOGIN", "level": "INFO"}, truth=truth)
    sheet.add("keycloak.token", times + SECOND // 3, {**full, "type": "CODE_TO_TOKEN", "level": "INFO"}, truth=truth)


def account(desk: Desk, who: Int64) -> dict[str, Int64]:
    """The columns of a person's lines at Entra, without the address."""
    return {
        "mailbox": desk.people.mailbox[who],
        "subject": desk.people.subject[who],
        "realm": realm(desk.auth.press, desk.people.site[who]),
    }


def _outside(desk: Desk, who: Int64) -> Int64:
    """The address that the cloud sees of people at work."""
    away = desk.day.home[who]
    return np.where(away, desk.day.address[who], office_address(desk.people.site[who]))


def mail(desk: Desk) -> None:
    """In the morning and a few times a day with a second factor, now and then with a wrong password."""
    who, times = desk.rate(0.25)
    first = desk.within(desk.day.start)
    who, times = np.concatenate([first, who]), np.concatenate([desk.day.start[first] + 260 * SECOND, times])
    columns = {**account(desk, who), "src": _outside(desk, who)}
    again = np.repeat(np.arange(len(who)), slips(desk, len(who)))
    back = (14 + desk.rng.integers(0, 30, len(again))) * SECOND
    sign_in(desk.auth, desk.rng, times[again] - back, hosts.pick(columns, again), code=WRONG)
    asked = desk.rng.random(len(who)) < 0.3
    sign_in(desk.auth, desk.rng, times[asked] - 6 * SECOND, hosts.pick(columns, asked), code=SECOND_FACTOR)
    sign_in(desk.auth, desk.rng, times, columns)


def telephones(desk: Desk) -> None:
    """Telephones renew their login all day and in the evening, from their carrier's network, from home, and on leave."""
    people, day, rng = desk.people, desk.day, desk.rng
    middle = (desk.auth.start + desk.auth.end) // 2
    hour = (middle + clock.offset(middle) * SECOND) // HOUR % 24
    waking = (0.02, 0.35, 0.55, 0.3)[0 if hour < 6 else 1 if hour < 8 else 2 if hour < 18 else 3]
    awake = people.telephone * waking * np.where(day.works, 1.0, 0.45) * np.where(day.holiday > 0, 0.12, 1.0)
    who = np.repeat(np.arange(len(people)), rng.poisson(awake * (desk.auth.end - desk.auth.start) / HOUR))
    times = rng.integers(desk.auth.start, desk.auth.end, len(who))
    sign_in(desk.auth, rng, times, {**account(desk, who), "src": _phone(desk, who, times)}, phone=True, silent=True)


def _phone(desk: Desk, who: Int64, times: Int64) -> Int64:
    """The building's Wi-Fi, the flat's, or the carrier's network; on leave abroad whatever is there; roaming breaks out at home."""
    day, dice = desk.day, desk.rng.random(len(who))
    working: NDArray[np.bool_] = day.works[who] & (times > day.start[who]) & (times < day.end[who])
    building = working & ~day.home[who] & (dice < 0.35)
    flat = (~working | (day.place[who] == clock.HOME)) & (dice < 0.6)
    chosen = np.where(building, office_address(desk.people.site[who]), np.where(flat, day.flat[who], day.phone[who]))
    return np.where(
        (day.holiday[who] > 0) & (dice < 0.6),
        day.holiday[who],
        np.where((day.place[who] >= clock.JOURNEY) & (dice < 0.5), day.address[who], chosen),
    )


def portals(desk: Desk) -> None:
    """The city's own web programs: most people once or twice a day, some from home before they dial in."""
    who, times = desk.rate(0.22)
    mine = desk.town.of_stadt()[who]
    who, times = who[mine], times[mine]
    directly = desk.day.home[who] & (desk.rng.random(len(who)) < 0.2)
    src = np.where(directly, desk.day.address[who], address_today(desk.people, desk.day)[who])
    columns = {"user": desk.people.account[who], "subject": desk.people.subject[who], "src": src}
    again, when, written = mistyped(desk, who, times, slips(desk, len(who)))
    for known, why in ((True, "invalid_user_credentials"), (False, "user_not_found")):
        rows = (written == columns["user"][again]) == known
        subject = columns["subject"][again[rows]] if known else np.full(int(rows.sum()), desk.auth.press.text("null"))
        refused = {"user": written[rows], "subject": subject, "src": src[again[rows]]}
        portal(desk.auth, desk.rng, when[rows], refused, why=why)
    portal(desk.auth, desk.rng, times, columns)
