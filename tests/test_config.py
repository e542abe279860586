"""A configuration is right, or the start ends with one exact sentence (I9)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from detector import config
from detector.config import Config, ConfigError
from detector.configload import FILES, load, secret

BROKEN = sorted((Path(__file__).parent / "configs").glob("*.toml"))
SHIPPED = Path(__file__).parents[1] / "deploy" / "tuermer.toml"


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_ends_the_start_with_the_sentence_in_its_first_line(path: Path) -> None:
    sentence = path.read_text("utf-8").splitlines()[0].removeprefix("# ").replace("{folder}", str(path.parent))
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert str(raised.value) == f"{path.name}: {sentence}"


def test_there_are_at_least_twenty_broken_files() -> None:
    assert len(BROKEN) >= 20


def _written(folder: Path, text: str) -> Path:
    (folder / "privacy.key").touch(0o600)
    path = folder / "tuermer.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_empty_file_is_the_default_configuration_with_paths_beside_it(tmp_path: Path) -> None:
    loaded = load(_written(tmp_path, ""), {})
    assert loaded.privacy.key_file == str(tmp_path / "privacy.key")
    assert loaded.state.directory == str(tmp_path / "var")
    assert loaded.grafana.directory == str(tmp_path / "grafana")
    plain = Config()
    assert (
        msgspec.structs.replace(loaded, privacy=plain.privacy, state=plain.state, database=plain.database, grafana=plain.grafana) == plain
    )


def test_the_shipped_file_loads_once_its_secrets_are_there(tmp_path: Path) -> None:
    text = SHIPPED.read_text("utf-8")
    for folder in ("/etc/tuermer/", "/var/lib/tuermer/", "/run/credentials/tuermer.service/"):
        text = text.replace(folder, "")
    for name in ("ca.pem", "kafka-password", "database-password"):
        (tmp_path / name).touch(0o600)
    loaded = load(_written(tmp_path, text), {})
    assert loaded.kafka is not None
    assert loaded.kafka.security_protocol == "SASL_SSL"
    assert {topic.tenant for topic in loaded.topics} == {"stadt"}


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^tuermer\.toml: there is no such file$"):
        load(tmp_path / "tuermer.toml", {})


def test_a_file_that_is_not_utf8_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# M\xfcller\n")
    with pytest.raises(ConfigError, match=r"^latin\.toml: cannot be read: 'utf-8' codec can't decode byte 0xfc in position 3"):
        load(tmp_path / "latin.toml", {})


def test_a_key_that_every_user_may_read_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path, "")
    (tmp_path / "privacy.key").chmod(0o604)
    key = tmp_path / "privacy.key"
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert str(raised.value) == f"tuermer.toml: privacy.key_file names {key}, which every user of this machine may open; say chmod o= {key}"


def test_an_empty_secret_in_the_environment_counts_as_missing(tmp_path: Path) -> None:
    path = _written(tmp_path, '[database]\nurl = "postgresql://tuermer@localhost/tuermer"\npassword_env = "PW"\n')
    with pytest.raises(ConfigError, match=r"database\.password_env names the environment variable PW, which is not set"):
        load(path, {"PW": ""})
    assert load(path, {"PW": "geheim"}).database.password_env == "PW"


def test_a_secret_comes_from_the_environment_or_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim \n", "utf-8")
    assert secret("PW", "", {"PW": "aus der Umgebung"}) == "aus der Umgebung"
    assert secret("", str(tmp_path / "password"), {}) == "geheim "
    assert secret("", "", {}) == ""


def test_a_long_wrong_value_is_not_repeated_because_it_may_be_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(_written(tmp_path, f'[budget]\nper_day = "{"geheim" * 10}"\n'), {})
    assert str(raised.value) == "tuermer.toml: budget.per_day must be a whole number, not a long text"


def test_every_setting_that_names_a_file_is_made_absolute() -> None:
    for name, struct in (("kafka", config.Kafka), ("database", config.Database), ("privacy", config.Privacy), ("state", config.State)):
        files = {f for f in struct.__struct_fields__ if f.endswith(("_file", "directory", "_public_key", "models"))}
        assert files == set(FILES[name])


def test_the_table_has_a_meaning_for_every_setting() -> None:
    rows = [line.split(" | ") for line in config.table().splitlines()[2:]]
    assert len(rows) > 60
    for row in rows:
        assert len(row[2].removesuffix(" |")) > 10, f"{row[0]} has no explanation"


def test_no_setting_holds_a_secret_itself() -> None:
    """Every password in the table is the name of a variable or a file."""
    secrets = [line.split("`")[1] for line in config.table().splitlines() if "password" in line.split("|")[1]]
    assert secrets
    assert all(key.endswith(("_env", "_file")) for key in secrets)


def test_each_role_is_asked_only_for_the_secrets_that_it_uses(tmp_path: Path) -> None:
    """SCORE's machine need not hold the privacy key, nor ROUTE's the database's password."""
    path = tmp_path / "tuermer.toml"
    path.write_text('[database]\nurl = "postgresql://t@localhost/t"\npassword_env = "PW"\n', "utf-8")
    load(path, {"PW": "x"}, "score")
    with pytest.raises(ConfigError, match=r"database\.password_env names the environment variable PW"):
        load(path, {}, "score")
    with pytest.raises(ConfigError, match=r"privacy\.key_file names"):
        load(path, {}, "route")
    (tmp_path / "privacy.key").touch(0o600)
    load(path, {}, "route")
    with pytest.raises(ConfigError, match=r"database\.password_env names"):
        load(path, {}, "all")


def test_a_group_may_share_a_key_that_others_may_not_read(tmp_path: Path) -> None:
    path = _written(tmp_path, "")
    (tmp_path / "privacy.key").chmod(0o640)
    assert stat.S_IMODE(os.stat(load(path, {}).privacy.key_file).st_mode) == 0o640
