"""Organisations, service accounts, tokens, teams and rights of the stand-in."""

from __future__ import annotations

from tests.grafana.content import right_on
from tests.grafana.server import Request, route
from tests.grafana.world import RIGHTS, Json, Login, Organisation, Refused, coded, denied, plain


@route("GET", "/health")
def health(request: Request) -> tuple[int, object]:
    return 200, {"database": "ok", "version": "12.3.0", "commit": "stand-in"}


@route("GET", "/frontend/settings")
def frontend_settings(request: Request) -> tuple[int, object]:
    return 200, {"appUrl": request.world.root_url, "appSubUrl": "", "buildInfo": {"version": "12.3.0"}}


@route("GET", "/user")
def me(request: Request) -> tuple[int, object]:
    login = request.login
    number, uid = (0, f"service-account:{login.number}") if login.service else (login.number, f"u{login.number}")
    shown = f"sa-{login.organisation}-{login.name}" if login.service else login.name
    return 200, {
        "id": number,
        "uid": uid,
        "name": login.name,
        "login": shown,
        "orgId": login.organisation,
        "isGrafanaAdmin": login.server_admin,
    }


@route("GET", "/org")
def current_organisation(request: Request) -> tuple[int, object]:
    request.need("Viewer", "orgs:read")
    return 200, {"id": request.organisation.number, "name": request.organisation.name, "address": {}}


@route("GET", "/org/users")
def users(request: Request) -> tuple[int, object]:
    request.need("Admin", "org.users:read")
    mine = request.login.organisation
    people = [login for _, login in request.world.passwords.values() if login.organisation == mine]
    return 200, [{"orgId": mine, "userId": login.number, "login": login.name, "role": login.role} for login in people]


def _server_admin(request: Request) -> None:
    if not request.login.server_admin:
        raise denied("orgs:create")


@route("GET", "/orgs/name/*")
def organisation_by_name(request: Request) -> tuple[int, object]:
    _server_admin(request)
    found = [org for org in request.world.organisations.values() if org.name == request.parts[0]]
    if found == []:
        raise plain(404, "Organization not found")
    return 200, {"id": found[0].number, "name": found[0].name, "address": {}}


@route("POST", "/orgs")
def create_organisation(request: Request) -> tuple[int, object]:
    _server_admin(request)
    if any(org.name == request.body["name"] for org in request.world.organisations.values()):
        raise plain(409, "Organization name taken")
    number = max(request.world.organisations) + 1
    request.world.organisations[number] = Organisation(number, request.body["name"], alertmanager=False)
    return 200, {"message": "Organization created", "orgId": number}


@route("POST", "/serviceaccounts")
def create_service_account(request: Request) -> tuple[int, object]:
    request.need("Admin", "serviceaccounts:create")
    name, organisation = request.body["name"], request.organisation
    if any(account["name"] == name for account in organisation.accounts.values()):
        raise coded(400, "serviceaccounts.ErrAlreadyExists", "service account already exists")
    number = request.world.next("user")
    organisation.accounts[number] = {
        "id": number, "uid": f"u{number}", "name": name, "login": f"sa-{organisation.number}-{name}", "orgId": organisation.number,
        "isDisabled": False, "role": request.body["role"], "tokens": 0, "avatarUrl": "",
    }  # fmt: skip
    return 201, organisation.accounts[number]


@route("GET", "/serviceaccounts/search")
def search_service_accounts(request: Request) -> tuple[int, object]:
    """Any part of a name is found."""
    request.need("Admin", "serviceaccounts:read")
    found = [account for account in request.organisation.accounts.values() if request.first("query") in account["name"]]
    return 200, {"totalCount": len(found), "serviceAccounts": found, "page": 1, "perPage": 1000}


@route("PATCH", "/serviceaccounts/*")
def patch_service_account(request: Request) -> tuple[int, object]:
    request.need("Admin", "serviceaccounts:write")
    account = request.organisation.accounts[int(request.parts[0])]
    account.update(role=request.body["role"])
    return 200, {"message": "Service account updated", "id": account["id"], "name": account["name"], "serviceaccount": account}


@route("GET", "/serviceaccounts/*/tokens")
def list_tokens(request: Request) -> tuple[int, object]:
    request.need("Admin", "serviceaccounts:read")
    return 200, [token for login, token in request.world.tokens.values() if login.number == int(request.parts[0])]


@route("POST", "/serviceaccounts/*/tokens")
def create_token(request: Request) -> tuple[int, object]:
    request.need("Admin", "serviceaccounts:write")
    name, account = request.body["name"], request.organisation.accounts[int(request.parts[0])]
    if any(token["name"] == name for login, token in request.world.tokens.values() if login.organisation == request.login.organisation):
        said = "service account token with given name already exists in the organization"
        raise coded(400, "serviceaccounts.ErrTokenAlreadyExists", said)
    number = request.world.next("token")
    key = f"glsa_{number}_{name}"
    login = Login(account["id"], account["name"], account["role"], request.login.organisation, service=True)
    lives = request.body.get("secondsToLive", 0)
    request.world.tokens[key] = (
        login,
        {"id": number, "name": name, "secondsUntilExpiration": lives, "hasExpired": False, "isRevoked": False},
    )
    return 200, {"id": number, "name": name, "key": key}


@route("DELETE", "/serviceaccounts/*/tokens/*")
def delete_token(request: Request) -> tuple[int, object]:
    request.need("Admin", "serviceaccounts:write")
    for key, (login, token) in list(request.world.tokens.items()):
        if (login.number, token["id"]) == (int(request.parts[0]), int(request.parts[1])):
            del request.world.tokens[key]
    return 200, {"message": "Service account token deleted"}


@route("POST", "/teams")
def create_team(request: Request) -> tuple[int, object]:
    request.need("Admin", "teams:create")
    if any(team["name"] == request.body["name"] for team in request.organisation.teams.values()):
        raise plain(409, "Team name taken")
    number = request.world.next("team")
    request.organisation.teams[number] = {"id": number, "name": request.body["name"], "members": set()}
    return 200, {"message": "Team created", "teamId": number, "uid": f"t{number}"}


@route("GET", "/teams/search")
def search_teams(request: Request) -> tuple[int, object]:
    request.need("Admin", "teams:read")
    found = [team for team in request.organisation.teams.values() if request.first("name") in ("", team["name"])]
    teams = [{"id": team["id"], "name": team["name"], "memberCount": len(team["members"])} for team in found]
    return 200, {"totalCount": len(teams), "teams": teams, "page": 1, "perPage": 1000}


@route("POST", "/teams/*/members")
def add_member(request: Request) -> tuple[int, object]:
    request.need("Admin", "teams:write")
    request.organisation.teams[int(request.parts[0])]["members"].add(request.body["userId"])
    return 200, {"message": "Member added to Team"}


def _listed(rights: list[Json], *, inherited: bool = False) -> list[Json]:
    names = {value: key for key, value in RIGHTS.items()}
    plain_entry = {"userId": 0, "userLogin": "", "teamId": 0, "team": "", "inherited": inherited}
    return [{**plain_entry, **entry, "permissionName": names[entry["permission"]]} for entry in rights]


@route("GET", "/folders/*/permissions")
def folder_permissions(request: Request) -> tuple[int, object]:
    if right_on(request, request.parts[0]) < 4:
        raise denied("folders.permissions:read")
    return 200, _listed(request.organisation.folder_rights[request.parts[0]])


@route("POST", "/folders/*/permissions")
def set_folder_permissions(request: Request) -> tuple[int, object]:
    """Replaces the whole list, the creator's own entry too."""
    if right_on(request, request.parts[0]) < 4:
        raise denied("folders.permissions:write")
    request.organisation.folder_rights[request.parts[0]] = list(request.body["items"])
    return 200, {"message": "Folder permissions updated"}


@route("GET", "/dashboards/uid/*/permissions")
def dashboard_permissions(request: Request) -> tuple[int, object]:
    stored = request.organisation.dashboards.get(request.parts[0])
    if stored is None:
        raise Refused(404, {"message": "Dashboard not found", "title": "Not found"})
    if right_on(request, stored["folder"]) < 4:
        raise denied("dashboards.permissions:read")
    own = request.organisation.dashboard_rights.get(request.parts[0], [])
    return 200, _listed(own) + _listed(request.organisation.folder_rights[stored["folder"]], inherited=True)


@route("POST", "/access-control/*/*/*/*")
def grant(request: Request) -> tuple[int, object]:
    """One entry; a body without `permission` takes the right away (as grafana-client's own method does unawares)."""
    kind, uid, whom, number = request.parts
    organisation = request.organisation
    folder = uid if kind == "folders" else organisation.dashboards[uid]["folder"]
    if right_on(request, folder) < 4:
        raise denied(f"{kind}.permissions:write")
    lists = organisation.folder_rights if kind == "folders" else organisation.dashboard_rights
    key = {"users": "userId", "teams": "teamId"}[whom]
    rest = [entry for entry in lists.get(uid, []) if entry.get(key) != int(number)]
    word = request.body.get("permission", "")
    lists[uid] = rest if word == "" else [*rest, {key: int(number), "permission": RIGHTS[word]}]
    return 200, {"message": "Permission removed" if word == "" else "Permission updated"}


@route("GET", "/access-control/user/permissions")
def own_rights(request: Request) -> tuple[int, object]:
    folders = [uid for uid in request.organisation.folders if right_on(request, uid) >= 1]
    scopes = [f"folders:uid:{uid}" for uid in folders]
    rights: Json = dict.fromkeys(("alert.rules:read", "annotations:read", "dashboards:read", "folders:read"), scopes)
    if request.login.role != "None":
        rights["datasources:query"] = ["datasources:*"]
    if any(right_on(request, uid) >= 2 for uid in folders):
        rights["annotations:create"] = scopes
    return 200, rights if scopes != [] or request.login.role != "None" else {}
