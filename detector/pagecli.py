"""The verbs of the page: tokens for the people who log in to it."""

from __future__ import annotations

from cyclopts import App

from detector.options import Failed

page = App(name="page", help="The daemon's page: who may log in.")


@page.command(name="login")
def login(name: str, *, group: tuple[str, ...] = ("analyst",), tenant: tuple[str, ...] = ()) -> None:
    """A new token for a person: shown once, kept nowhere; prints the lines for the configuration, too.

    Parameters
    ----------
    name
        Kept with every verdict, note and window.
    group
        analyst: verdicts, notes, windows. approver: requests for names and, to who asked, the names. model-approver: models with
        their gates. Repeat it for several.
    tenant
        Whose incidents this person sees; none: all.
    """
    import msgspec

    from detector.web.access import digest_of, new_token

    if name.strip() == "":
        raise Failed("say whose token it is")
    token = new_token()
    entry = {"name": name, "token_sha256": digest_of(token), "groups": list(group), "tenants": list(tenant)}
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items()]
    print(f"Token, to be handed to {name} (it cannot be shown again):\n\n    {token}\n")
    print("For the configuration, in force with the next start:\n\n[[people]]\n" + "\n".join(lines))
