"""Folders, data sources, dashboards, annotations of the stand-in."""

from __future__ import annotations

import copy
import re
from typing import Any

from tests.grafana.server import Request, route
from tests.grafana.world import RIGHTS, ROLES, STAMP, Json, Organisation, Refused, coded, denied, plain

ADDED = {
    "typeLogoUrl": "",
    "database": "",
    "basicAuth": False,
    "basicAuthUser": "",
    "withCredentials": False,
    "readOnly": False,
    "apiVersion": "",
}


def right_on(request: Request, folder: str) -> int:
    """0 none, 1 view, 2 edit, 4 admin: an Admin has all, others what the folder's list says."""
    login = request.login
    if login.server_admin or login.role == "Admin":
        return RIGHTS["Admin"]
    found = [0]
    for entry in request.organisation.folder_rights.get(folder, []):
        mine = entry.get("userId") == login.number or entry.get("role") == login.role
        team = entry.get("teamId")
        mine = mine or (team is not None and login.number in request.organisation.teams.get(team, {}).get("members", ()))
        if mine or (entry.get("role") == "Viewer" and login.role == "Editor"):
            found.append(entry["permission"])
    return max(found)


def right_on_dashboard(request: Request, uid: str) -> int:
    """The folder's right, or more by an entry of the dashboard's own."""
    board = request.organisation.dashboards[uid]
    found = [right_on(request, board["folder"])]
    for entry in request.organisation.dashboard_rights.get(uid, []):
        team = request.organisation.teams.get(entry.get("teamId") or 0, {})
        if entry.get("userId") == request.login.number or request.login.number in team.get("members", ()):
            found.append(entry["permission"])
    return max(found)


def _folder(request: Request, uid: str) -> Json:
    folder = request.organisation.folders[uid]
    right = right_on(request, uid)
    return {**folder, "canSave": right >= 2, "canEdit": right >= 2, "canAdmin": right >= 4, "canDelete": right >= 2}


@route("POST", "/folders")
def create_folder(request: Request) -> tuple[int, object]:
    request.need("Editor", "folders:create")
    uid, title = request.body["uid"], request.body["title"]
    organisation = request.organisation
    if uid in organisation.folders:
        raise plain(412, "the folder has been changed by someone else")
    organisation.folders[uid] = {
        "id": request.world.next("folder"), "uid": uid, "orgId": organisation.number, "title": title, "url": f"/dashboards/f/{uid}/tuermer",
        "hasAcl": False, "createdBy": request.login.name, "created": STAMP, "updatedBy": request.login.name, "updated": STAMP, "version": 1,
    }  # fmt: skip
    rights: list[Json] = [{"role": "Editor", "permission": 2}, {"role": "Viewer", "permission": 1}]
    if request.world.grants_creator and request.login.number != 0:
        rights.insert(0, {"userId": request.login.number, "permission": 4})
    organisation.folder_rights[uid] = rights
    return 200, {**_folder(request, uid), "canSave": False, "canEdit": False, "canAdmin": False, "canDelete": False}


@route("GET", "/folders/*")
def get_folder(request: Request) -> tuple[int, object]:
    uid = request.parts[0]
    admin = request.login.server_admin or request.login.role == "Admin"
    if uid not in request.organisation.folders and admin:
        raise plain(404, "folder not found")
    if right_on(request, uid) < 1:
        raise denied("folders:read")
    return 200, _folder(request, uid)


@route("PUT", "/folders/*")
def put_folder(request: Request) -> tuple[int, object]:
    uid = request.parts[0]
    if right_on(request, uid) < 2:
        raise denied("folders:write")
    folder = request.organisation.folders[uid]
    if request.body.get("overwrite") is not True and request.body.get("version") != folder["version"]:
        raise plain(412, "The dashboard has been changed by someone else")
    folder.update(title=request.body["title"], version=folder["version"] + 1)
    return 200, _folder(request, uid)


@route("DELETE", "/folders/*")
def delete_folder(request: Request) -> tuple[int, object]:
    uid = request.parts[0]
    if uid not in request.organisation.folders:
        raise plain(404, "folder not found")
    if right_on(request, uid) < 2:
        raise denied("folders:delete")
    if any(rule["folderUID"] == uid for rule in request.organisation.rules.values()):
        raise coded(400, "folder.not-empty", "Folder cannot be deleted: folder is not empty")
    del request.organisation.folders[uid]
    return 200, {"message": "Folder deleted"}


def _shown(organisation: Organisation, uid: str) -> Json:
    stored = organisation.datasources[uid]
    return {**ADDED, **stored, "secureJsonFields": dict.fromkeys(organisation.secrets[uid], True)}


@route("POST", "/datasources")
def create_datasource(request: Request) -> tuple[int, object]:
    request.need("Admin", "datasources:create")
    organisation, body = request.organisation, dict(request.body)
    if "access" not in body:
        raise plain(400, "bad request data")
    if body["uid"] in organisation.datasources or any(d["name"] == body["name"] for d in organisation.datasources.values()):
        raise plain(409, "data source with the same name already exists")
    organisation.secrets[body["uid"]] = body.pop("secureJsonData", {})
    first = organisation.datasources == {}
    body.update(id=request.world.next("data source"), orgId=organisation.number, version=1, isDefault=first or body.get("isDefault", False))
    organisation.datasources[body["uid"]] = body
    return 200, {"datasource": _shown(organisation, body["uid"]), "id": body["id"], "message": "Datasource added", "name": body["name"]}


@route("GET", "/datasources/uid/*")
def get_datasource(request: Request) -> tuple[int, object]:
    request.need("Viewer", "datasources:read")
    if request.parts[0] not in request.organisation.datasources:
        raise plain(404, "Data source not found")
    return 200, _shown(request.organisation, request.parts[0])


@route("PUT", "/datasources/uid/*")
def put_datasource(request: Request) -> tuple[int, object]:
    uid, organisation, body = request.parts[0], request.organisation, dict(request.body)
    request.need("Admin", "datasources:write")
    if uid not in organisation.datasources:
        raise plain(404, "Data source not found")
    stored = organisation.datasources[uid]
    if stored.get("readOnly"):
        raise plain(403, "Cannot update read-only data source")
    version = body.get("version")
    if version is not None and version < stored["version"]:
        raise plain(409, "Datasource has already been updated by someone else. Please reload and try again")
    organisation.secrets[uid] = {**organisation.secrets[uid], **body.pop("secureJsonData", {})}
    body.update(
        id=stored["id"], orgId=stored["orgId"], version=1 if version is None else version + 1, isDefault=body.get("isDefault", False)
    )
    organisation.datasources[uid] = body
    return 200, {"datasource": _shown(organisation, uid), "id": body["id"], "message": "Datasource updated", "name": body["name"]}


@route("DELETE", "/datasources/uid/*")
def delete_datasource(request: Request) -> tuple[int, object]:
    request.need("Admin", "datasources:delete")
    stored = request.organisation.datasources.pop(request.parts[0], None)
    if stored is None:
        raise plain(404, "Data source not found")
    return 200, {"id": stored["id"], "message": "Data source deleted"}


@route("GET", "/datasources/uid/*/health")
def health_of_datasource(request: Request) -> tuple[int, object]:
    request.need("Viewer", "datasources:query")
    uid, organisation = request.parts[0], request.organisation
    if uid not in organisation.datasources:
        raise plain(500, "Unable to load datasource metadata")
    if request.world.broken_sql or organisation.secrets[uid].get("password") == "wrong":
        verbose = f'password authentication failed for user "{organisation.datasources[uid]["user"]}"'
        message = "Database error: Failed to connect to the postgres server. Postgres error code: invalid_password"
        return 400, {"details": {"errorDetailsLink": "", "verboseMessage": verbose}, "message": message, "status": "ERROR"}
    return 200, {"message": "Database Connection OK", "status": "OK"}


@route("POST", "/dashboards/db")
def save_dashboard(request: Request) -> tuple[int, object]:
    body, organisation = request.body, request.organisation
    board, folder = copy.deepcopy(body["dashboard"]), body.get("folderUid", "")
    uid = board.get("uid", "")
    if not board.get("title"):
        raise _status(400, "Dashboard title cannot be empty", "empty-name")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid):
        raise plain(400, "uid contains illegal characters")
    stored = organisation.dashboards.get(uid)
    if right_on(request, folder) < 2 and not (stored is not None and right_on_dashboard(request, uid) >= 2):
        if request.login.role in ("Admin", "Editor") and folder not in organisation.folders:
            raise plain(400, "folder not found")
        raise denied("any of dashboards:create, dashboards:write")
    if folder not in organisation.folders:
        raise plain(400, "folder not found")
    if board.get("id") is not None and all(b["dashboard"]["id"] != board["id"] for b in organisation.dashboards.values()):
        raise _status(404, "Dashboard not found", "not-found")
    if stored is not None and stored.get("file"):
        raise plain(400, "Cannot save provisioned dashboard")
    if stored is not None and body.get("overwrite") is not True and board.get("version") != stored["dashboard"]["version"]:
        raise _status(412, "The dashboard has been changed by someone else", "version-mismatch")
    before = 0 if stored is None else stored["dashboard"]["version"]
    board.update(id=request.world.next("dashboard") if stored is None else stored["dashboard"]["id"], version=before + 1)
    organisation.dashboards[uid] = {"dashboard": board, "folder": folder, "by": request.login.name}
    said = 1 if stored is None else before  # the version before the save, as seen on 12.3.0
    return 200, {
        "folderUid": folder,
        "id": board["id"],
        "slug": uid,
        "status": "success",
        "uid": uid,
        "url": f"/d/{uid}/{uid}",
        "version": said,
    }


def _status(status: int, message: str, word: str) -> Exception:
    return Refused(status, {"message": message, "status": word})


def _readable(request: Request) -> Json:
    stored = request.organisation.dashboards.get(request.parts[0])
    if stored is None or right_on_dashboard(request, request.parts[0]) < 1:
        if stored is None:
            raise Refused(404, {"message": "Dashboard not found", "title": "Not found"})
        raise denied("dashboards:read")
    return stored


@route("GET", "/dashboards/uid/*")
def get_dashboard(request: Request) -> tuple[int, object]:
    stored = _readable(request)
    right = right_on_dashboard(request, request.parts[0])
    board = stored["dashboard"]
    meta = {
        "type": "db", "canSave": right >= 2, "canEdit": right >= 2, "canAdmin": right >= 4, "canDelete": right >= 2, "slug": board["uid"],
        "created": STAMP, "updated": STAMP, "updatedBy": stored["by"], "createdBy": stored["by"], "version": board["version"],
        "isFolder": False, "folderUid": stored["folder"], "provisioned": bool(stored.get("file")), "provisionedExternalId": "",
    }  # fmt: skip
    return 200, {"meta": meta, "dashboard": board}


@route("DELETE", "/dashboards/uid/*")
def delete_dashboard(request: Request) -> tuple[int, object]:
    uid = request.parts[0]
    if uid not in request.organisation.dashboards:
        raise plain(404, "Dashboard not found")
    stored = _readable(request)
    if right_on_dashboard(request, uid) < 2:
        raise denied("dashboards:delete")
    if stored.get("file"):
        raise plain(400, "provisioned dashboard cannot be deleted")
    del request.organisation.dashboards[uid]
    return 200, {"message": f"Dashboard {stored['dashboard']['title']} deleted", "title": stored["dashboard"]["title"], "uid": uid}


@route("GET", "/search")
def search(request: Request) -> tuple[int, object]:
    tags = set(request.query.get("tag", []))
    rows = []
    for uid, stored in request.organisation.dashboards.items():
        board = stored["dashboard"]
        if tags <= set(board.get("tags", [])) and right_on_dashboard(request, uid) >= 1:
            rows.append(
                {
                    "id": board["id"],
                    "uid": uid,
                    "title": board["title"],
                    "type": "dash-db",
                    "tags": board.get("tags", []),
                    "folderUid": stored["folder"],
                }
            )
    return 200, rows


@route("POST", "/annotations")
def post_annotation(request: Request) -> tuple[int, object]:
    body, organisation = request.body, request.organisation
    uid = body.get("dashboardUID", "")
    if "x-grafana-action" in request.headers and not request.world.buttons:
        raise Refused(405, "method POST/PUT not allowed for path /api/annotations\n")
    if uid == "":
        request.need("Editor", "annotations:create")
    elif uid not in organisation.dashboards:
        raise plain(500, "Error while checking annotation permissions")
    elif right_on_dashboard(request, uid) < 2:
        raise denied("annotations:create")
    if body.get("text", "") == "":
        raise plain(400, "Failed to save annotation")
    number, at = request.world.next("annotation"), int(request.world.now * 1000) + 1795170463987
    organisation.annotations[number] = {
        "id": number, "dashboardId": 3 if uid else 0, "dashboardUID": uid, "panelId": body.get("panelId") or 0,
        "created": at, "updated": at,
        "time": body.get("time") or at, "timeEnd": body.get("timeEnd") or body.get("time") or at, "text": body["text"],
        "tags": _tags(body.get("tags") or []), "login": request.login.name, "email": f"{request.login.name}@example.invalid",
        "avatarUrl": "/avatar/0", "data": body.get("data") or {},
    }  # fmt: skip
    return 200, {"id": number, "message": "Annotation added"}


def _tags(given: list[str]) -> list[str]:
    """Only key:value is kept; trimmed, each once, an empty value loses its colon."""
    kept: dict[str, None] = {}
    for tag in given:
        parts = [part.strip() for part in tag.split(":")][:2]
        kept[":".join(part for part in parts if part != "")] = None
    return [tag for tag in kept if tag != ""]


@route("GET", "/annotations")
def get_annotations(request: Request) -> tuple[int, object]:
    if request.login.role == "None" and not any(right_on(request, uid) >= 1 for uid in request.organisation.folders):
        raise denied("annotations:read")
    wanted, limit = request.query.get("tags", []), int(request.first("limit", "100"))
    either = request.first("matchAny") == "true"
    rows = []
    for entry in sorted(request.organisation.annotations.values(), key=lambda e: (e["time"], e["id"]), reverse=True):
        hits = [any(tag in (own, own.split(":")[0]) for own in entry["tags"]) for tag in wanted]
        if not ((any(hits) or wanted == []) if either else all(hits)):
            continue
        if (
            "from" in request.query
            and "to" in request.query
            and not int(request.first("from")) <= entry["time"] <= int(request.first("to"))
        ):
            continue
        if _may_see(request, entry):
            rows.append(entry)
    return 200, rows[:limit]


def _may_see(request: Request, entry: Json) -> bool:
    uid = entry["dashboardUID"]
    if uid == "":
        return ROLES[request.login.role] >= ROLES["Viewer"]
    return uid in request.organisation.dashboards and right_on_dashboard(request, uid) >= 1


@route("PATCH", "/annotations/*")
def patch_annotation(request: Request) -> tuple[int, object]:
    """Whoever may edit the dashboard may change anybody's; the first author's login stays."""
    entry = request.organisation.annotations.get(int(request.parts[0]))
    if entry is None:
        raise plain(404, "annotation not found")
    if right_on_dashboard(request, entry["dashboardUID"]) < 2:
        raise denied("annotations:write")
    changes: dict[str, Any] = {key: value for key, value in request.body.items() if key in ("text", "tags", "time", "timeEnd")}
    entry.update(changes, updated=entry["updated"] + 1000)
    return 200, {"message": "Annotation patched"}


@route("DELETE", "/annotations/*")
def delete_annotation(request: Request) -> tuple[int, object]:
    entry = request.organisation.annotations.get(int(request.parts[0]))
    if entry is None:
        raise plain(404, "annotation not found")
    if right_on_dashboard(request, entry["dashboardUID"]) < 2:
        raise denied("annotations:delete")
    del request.organisation.annotations[int(request.parts[0])]
    return 200, {"message": "Annotation deleted"}
