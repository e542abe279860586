"""A tenant's own organisation with its three accounts, made once with the server admin's login.

A folder would not do: every Viewer of an organisation may send any SQL to every data source in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from detector.grafana.adapter import Trouble
from detector.grafana.api import Grafana
from detector.grafana.tokens import ROLES, Account, account_name

LIVES: dict[Account, int] = {"bootstrap": 3600, "content": 0, "runtime": 0}  # seconds; 0 = until it is revoked


@dataclass(frozen=True, slots=True)
class Setup:
    """`acting(organisation)`: the server admin inside an organisation. `works(account)`: whether we hold a token that Grafana takes.

    `keep(account, token)` stores a new one.
    """

    admin: Grafana
    acting: Callable[[int], Grafana]
    works: Callable[[Account], bool]
    keep: Callable[[Account, str], None]
    tell: Callable[[str], None]

    def run(self, name: str, accounts: Collection[Account], stamp: int) -> int:
        """The organisation's id. `stamp` makes names of tokens unique; old tokens of an account end when it gets a new one."""
        found = self.admin.organisation(name)
        if found is None:
            self.tell(f'create the organisation "{name}"')
        number = self.admin.create_organisation(name) if found is None else int(found["id"])
        with self.acting(number) as inside:
            for account in accounts:
                self._account(inside, account, stamp)
        return number

    def _account(self, inside: Grafana, account: Account, stamp: int) -> None:
        name, role = account_name(account), ROLES[account]
        found = inside.service_account(name)
        if found is None:
            self.tell(f"create the service account {name} with the role {role}")
            found = inside.create_service_account(name, role)
        elif found.get("role") != role:
            self.tell(f"give the service account {name} the role {role} instead of {found.get('role')}")
            inside.change_role(int(found["id"]), name, role)
        number = int(found["id"])
        if self.works(account):
            return
        before = [int(token["id"]) for token in inside.tokens(number)]
        token = self._token(inside, number, f"{name}-{stamp}", LIVES[account])
        self.keep(account, token)
        for old in before:
            inside.delete_token(number, old)
        self.tell(f"new token for {name}")

    def _token(self, inside: Grafana, account: int, name: str, seconds: int) -> str:
        """A server may forbid tokens that live for ever: then one for a year is asked for."""
        try:
            return inside.create_token(account, name, seconds)
        except Trouble as trouble:
            if trouble.status != 400 or seconds != 0 or "expir" not in trouble.said.lower():
                raise
            return inside.create_token(account, name, 365 * 86400)


def accepted(open_login: Callable[[], Grafana | None]) -> bool:
    """Whether there is a login and Grafana takes it."""
    login = open_login()
    if login is None:
        return False
    with login:
        try:
            login.me()
        except Trouble as trouble:
            if trouble.status == 401:
                return False
            raise
    return True
