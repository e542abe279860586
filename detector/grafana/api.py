"""Grafana's calls, one method each: the legacy `/api`, which Grafana 12 and 13 both serve. Raises adapter.Trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from detector.grafana.adapter import Connection, Trouble

Json = dict[str, Any]
PROVISIONING = "/v1/provisioning"
UNLOCKED = {"X-Disable-Provenance": "true"}


class Grafana(Connection):
    """`locked`: the object cannot be edited in the browser. Lists are whole; what is missing is None."""

    # folder

    def folder(self, uid: str) -> Json | None:
        """None: missing, or (403) missing or hidden; Grafana tells only an Admin which."""
        return self.maybe(f"/folders/{quoted(uid)}", missing=(403, 404))

    def create_folder(self, uid: str, title: str) -> None:
        self.call("POST", "/folders", {"uid": uid, "title": title})

    def rename_folder(self, uid: str, title: str) -> None:
        self.call("PUT", f"/folders/{quoted(uid)}", {"title": title, "overwrite": True})

    def permissions(self, kind: Literal["folders", "dashboards/uid"], uid: str) -> list[Json]:
        """Direct and inherited rights: role | userId | teamId, permission 1 View, 2 Edit, 4 Admin, inherited."""
        return list(self.call("GET", f"/{kind}/{quoted(uid)}/permissions"))

    def permit(self, kind: Literal["folders", "dashboards"], uid: str, whom: Literal["users", "teams"], number: int, right: str) -> None:
        """Give one user (or service account) or team `right`: View, Edit, Admin; the others' rights stay."""
        self.call("POST", f"/access-control/{kind}/{quoted(uid)}/{whom}/{number}", {"permission": right})

    # data source

    def datasource(self, uid: str) -> Json | None:
        return self.maybe(f"/datasources/uid/{quoted(uid)}")

    def create_datasource(self, body: Json) -> None:
        self.call("POST", "/datasources", body)

    def update_datasource(self, uid: str, body: Json) -> None:
        self.call("PUT", f"/datasources/uid/{quoted(uid)}", body)

    def health(self, uid: str) -> tuple[bool, str]:
        """Whether the data source reaches its database, and Grafana's words. It answers 400 when not."""
        try:
            answer = self.call("GET", f"/datasources/uid/{quoted(uid)}/health")
        except Trouble as trouble:
            if trouble.status in (400, 500):
                return False, trouble.said
            raise
        return answer.get("status") == "OK", str(answer.get("message", ""))

    # alerting

    def mute_timings(self) -> list[Json]:
        return list(self.call("GET", f"{PROVISIONING}/mute-timings"))

    def create_mute_timing(self, body: Json, *, locked: bool) -> None:
        self.call("POST", f"{PROVISIONING}/mute-timings", body, headers=_lock(locked))

    def update_mute_timing(self, name: str, body: Json, *, locked: bool) -> None:
        self.call("PUT", f"{PROVISIONING}/mute-timings/{quoted(name)}", body, headers=_lock(locked))

    def delete_mute_timing(self, name: str) -> None:
        self.call("DELETE", f"{PROVISIONING}/mute-timings/{quoted(name)}")

    def templates(self) -> list[Json]:
        return list(self.call("GET", f"{PROVISIONING}/templates") or ())

    def put_template(self, name: str, text: str, *, locked: bool) -> None:
        self.call("PUT", f"{PROVISIONING}/templates/{quoted(name)}", {"template": text}, headers=_lock(locked))

    def delete_template(self, name: str) -> None:
        self.call("DELETE", f"{PROVISIONING}/templates/{quoted(name)}")

    def contact_points(self) -> list[Json]:
        return list(self.call("GET", f"{PROVISIONING}/contact-points"))

    def create_contact_point(self, body: Json, *, locked: bool) -> None:
        self.call("POST", f"{PROVISIONING}/contact-points", body, headers=_lock(locked))

    def update_contact_point(self, uid: str, body: Json, *, locked: bool) -> None:
        self.call("PUT", f"{PROVISIONING}/contact-points/{quoted(uid)}", body, headers=_lock(locked))

    def delete_contact_point(self, uid: str) -> None:
        self.call("DELETE", f"{PROVISIONING}/contact-points/{quoted(uid)}")

    def rule_group(self, folder: str, name: str) -> Json | None:
        return self.maybe(f"{PROVISIONING}/folder/{quoted(folder)}/rule-groups/{quoted(name)}", missing=(403, 404))

    def rules(self) -> list[Json]:
        """All alert rules of the organisation that this login may see, each with its `provenance`."""
        return list(self.call("GET", f"{PROVISIONING}/alert-rules"))

    def put_rule_group(self, folder: str, name: str, body: Json, *, locked: bool) -> None:
        """Grafana only echoes what was sent; read it back to know what is stored."""
        self.call("PUT", f"{PROVISIONING}/folder/{quoted(folder)}/rule-groups/{quoted(name)}", body, headers=_lock(locked))

    def delete_rule_group(self, folder: str, name: str) -> None:
        self.call("DELETE", f"{PROVISIONING}/folder/{quoted(folder)}/rule-groups/{quoted(name)}")

    def delete_rule(self, uid: str) -> None:
        self.call("DELETE", f"{PROVISIONING}/alert-rules/{quoted(uid)}")

    def rule_states(self, folder: str) -> list[Json]:
        """uid, state, health, lastError of each rule as Grafana last evaluated it."""
        answer = self.call("GET", "/prometheus/grafana/api/v1/rules", params={"folder_uid": folder, "limit_alerts": 0})
        return [rule for group in answer.get("data", {}).get("groups", ()) for rule in group.get("rules", ())]

    # dashboards

    def dashboard(self, uid: str) -> Json | None:
        """{"dashboard": …, "meta": …}"""
        return self.maybe(f"/dashboards/uid/{quoted(uid)}")

    def save_dashboard(self, folder: str, dashboard: Json) -> None:
        self.call("POST", "/dashboards/db", {"dashboard": dashboard, "folderUid": folder, "overwrite": True, "message": "tuermer push"})

    def delete_dashboard(self, uid: str) -> None:
        self.call("DELETE", f"/dashboards/uid/{quoted(uid)}")

    def found(self, tag: str) -> list[Json]:
        """Dashboards with this tag: uid, title, folderUid."""
        return list(self.call("GET", "/search", params={"tag": tag, "type": "dash-db", "limit": 5000}))

    # what the daemon polls

    def annotations(self, tag: str, limit: int = 5000) -> list[Json]:
        """Annotations with this tag, newest first by their own `time`; there are no pages, so `limit` bounds what is seen."""
        return list(self.call("GET", "/annotations", params={"tags": tag, "type": "annotation", "limit": limit}))

    def annotations_between(self, tag: str, limit: int, begin: int, end: int) -> list[Json]:
        """Likewise, with a `time` in [begin, end] ms."""
        asked = {"tags": tag, "type": "annotation", "limit": limit, "from": begin, "to": end}
        return list(self.call("GET", "/annotations", params=asked))

    # organisation and accounts

    def version(self) -> str:
        return str(self.call("GET", "/health").get("version", ""))

    def frontend_settings(self) -> Json:
        """Among much else `appUrl`, Grafana's root_url."""
        return dict(self.call("GET", "/frontend/settings"))

    def me(self) -> Json:
        """The login itself: login, orgId."""
        return dict(self.call("GET", "/user"))

    def rights(self) -> dict[str, list[str]]:
        """What this login may do: action -> scopes."""
        return dict(self.call("GET", "/access-control/user/permissions"))

    def organisation(self, name: str) -> Json | None:
        return self.maybe(f"/orgs/name/{quoted(name)}")

    def create_organisation(self, name: str) -> int:
        return int(self.call("POST", "/orgs", {"name": name})["orgId"])

    def service_account(self, name: str) -> Json | None:
        """Exactly this one: Grafana's search takes any part of a name."""
        found = self.call("GET", "/serviceaccounts/search", params={"query": name, "perpage": 1000})["serviceAccounts"]
        return next((account for account in found if account["name"] == name), None)

    def create_service_account(self, name: str, role: str) -> Json:
        return dict(self.call("POST", "/serviceaccounts/", {"name": name, "role": role, "isDisabled": False}))

    def change_role(self, account: int, name: str, role: str) -> None:
        self.call("PATCH", f"/serviceaccounts/{account}", {"name": name, "role": role})

    def members(self) -> list[Json]:
        """People of the organisation: login, role. Only an Admin may ask."""
        return list(self.call("GET", "/org/users"))

    def service_accounts(self) -> list[Json]:
        return list(self.call("GET", "/serviceaccounts/search", params={"query": "", "perpage": 1000})["serviceAccounts"])

    def button(self) -> None:
        """What a verdict button sends, but empty: Grafana answers 405 if it lets no button through, else refuses for other reasons."""
        self.call("POST", "/annotations", {"text": ""}, headers={"X-Grafana-Action": "1"})

    def tokens(self, account: int) -> list[Json]:
        return list(self.call("GET", f"/serviceaccounts/{account}/tokens"))

    def create_token(self, account: int, name: str, seconds: int) -> str:
        """`seconds` 0: it does not expire."""
        return str(self.call("POST", f"/serviceaccounts/{account}/tokens", {"name": name, "secondsToLive": seconds})["key"])

    def delete_token(self, account: int, token: int) -> None:
        self.call("DELETE", f"/serviceaccounts/{account}/tokens/{token}")

    def team(self, name: str) -> Json | None:
        found = self.call("GET", "/teams/search", params={"name": name})["teams"]
        return next((team for team in found if team["name"] == name), None)

    def create_team(self, name: str) -> int:
        return int(self.call("POST", "/teams", {"name": name})["teamId"])


def quoted(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _lock(locked: bool) -> Mapping[str, str] | None:
    return None if locked else UNLOCKED
