"""Where people are when they are not in the office, and the address that a provider gives them there.

No stream of chances: every answer is a mixed number of seed, day and person, so that each day stands by itself.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from detector.simulate import holidays, outside
from detector.simulate.outside import share
from detector.simulate.people import People
from detector.simulate.wire import Int64

_LEAVE, _LEAVE_SCHOOL = 0.09, 0.24  # share of weeks off
_JOURNEY_ABROAD = 0.22  # of journeys
_HOLIDAY_ABROAD = 0.3  # of weeks off
_STATIC_DAYS = 120  # how long a cable customer keeps an address
_NEAR = 12  # countries of the list that the city's people go to; the others are only attackers'
(_Q_LEAVE, _Q_TRIP, _Q_LENGTH, _Q_ABROAD, _Q_COUNTRY, _Q_HOTEL, _Q_CHANGE, _Q_PROVIDER, _Q_LINE, _Q_TETHER, _Q_CARD) = range(11)


def _key(seed: int, question: int, when: Int64 | int, who: Int64) -> Int64:
    """One number per seed (of 4096), question (of 64), moment (below 2²²) and person (below 2²²)."""
    key: Int64 = ((seed % 4096) << 50) + (question << 44) + (np.asarray(when, np.int64) << 22) + who
    return key


def _all(people: People) -> Int64:
    return np.arange(len(people), dtype=np.int64)


def _week(day: date) -> int:
    return (day.toordinal() - 1) // 7


def on_leave(people: People, seed: int, day: date) -> NDArray[np.bool_]:
    """Who has this week off; more in the school holidays."""
    rate = _LEAVE_SCHOOL if holidays.is_school(day) else _LEAVE
    leave: NDArray[np.bool_] = share(_key(seed, _Q_LEAVE, _week(day), _all(people))) < rate
    return leave


def journey(people: People, seed: int, day: date) -> Int64:
    """0 = none, 1 = on a journey within the country, 2 = abroad. A journey is one to four days of a week."""
    week = _week(day)
    goes = share(_key(seed, _Q_TRIP, week, _all(people))) < people.travels
    dice = outside.scrambled(_key(seed, _Q_LENGTH, week, _all(people)))
    first, length = dice % 4, 1 + (dice >> 8) % 4
    within = (day.weekday() >= first) & (day.weekday() < first + length)
    abroad = share(_key(seed, _Q_ABROAD, week, _all(people))) < _JOURNEY_ABROAD
    return np.where(goes & within, 1 + abroad, 0)


def provider(people: People, seed: int, day: date) -> Int64:
    """The provider of each flat: of sixty, few are common; it changes every few years, for some of them now."""
    flat = people.household
    moves = people.moves[flat]
    since = (day.toordinal() + outside.scrambled(_key(seed, _Q_CHANGE, 0, flat)) % moves) // moves
    return outside.chosen(share(_key(seed, _Q_PROVIDER, since, flat)))


def flat(people: People, seed: int, day: date) -> Int64:
    """The address of each flat: another one every day, or the same for months, as the provider does it."""
    line = provider(people, seed, day)
    home = people.household
    since = np.where(outside.daily(line), day.toordinal(), (day.toordinal() + home * 7) // _STATIC_DAYS)
    return outside.address("home", line, _key(seed, _Q_LINE, since, home))


def phone(people: People, seed: int, day: date) -> Int64:
    """The address of each telephone in its carrier's network that day; thousands share one there."""
    card = outside.scrambled(_key(seed, _Q_CARD, day.toordinal(), _all(people))) % 600
    mobile = outside.address("mobile", people.carrier, card)
    return np.where(people.relayed, outside.address("relay", np.zeros_like(card), card), mobile)


def _country(people: People, seed: int, day: date) -> Int64:
    dice = share(_key(seed, _Q_COUNTRY, _week(day), _all(people)))
    return np.minimum((_NEAR * dice**1.5).astype(np.int64), _NEAR - 1)


def elsewhere(people: People, seed: int, day: date, abroad: NDArray[np.bool_]) -> Int64:
    """The address on a journey: a telephone's network in the train, a hotel's line, a provider of another country."""
    dice = _key(seed, _Q_HOTEL, day.toordinal(), _all(people))
    hotel = outside.chosen(share(dice) ** 0.6)  # hotels are less often the big ones'
    tethered = share(_key(seed, _Q_TETHER, day.toordinal(), _all(people))) < 0.45
    there = np.where(tethered, phone(people, seed, day), outside.address("home", hotel, dice))
    return np.where(abroad, outside.address("abroad", _country(people, seed, day), dice), there)


def holiday(people: People, seed: int, day: date, leave: NDArray[np.bool_]) -> Int64:
    """The address of people on leave abroad who look at their mail now and then, otherwise 0."""
    gone = leave & (share(_key(seed, _Q_ABROAD, _week(day), _all(people))) < _HOLIDAY_ABROAD)
    dice = _key(seed, _Q_HOTEL, day.toordinal(), _all(people))
    return np.where(gone, outside.address("abroad", _country(people, seed, day), dice), 0)
