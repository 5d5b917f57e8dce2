"""A wrong setting is an error that names its key and where it stands."""

import pytest

from isocenter.settings import SettingsError, load_settings


def test_defaults_run_on_disk_and_sqlite_on_loopback():
    settings = load_settings(None, {})
    assert (settings.host, settings.storage.blobs, settings.broker.url) == ("127.0.0.1", "disk", "memory://")
    assert settings.index_url.startswith("sqlite:////")


def test_command_line_beats_environment_beats_file(tmp_path):
    file = tmp_path / "isocenter.toml"
    file.write_text('[node]\naet = "FILE"\nport = 1\n[web]\nport = 1\n')
    environment = {"ISOCENTER_NODE__AET": "ENV", "ISOCENTER_WEB__PORT": "2", "HOME": "x"}
    settings = load_settings(file, environment, {"web.port": 3, "node.port": None})
    assert (settings.node.aet, settings.node.port, settings.web.port) == ("ENV", 1, 3)


def test_peers_are_tables_of_the_file(tmp_path):
    file = tmp_path / "isocenter.toml"
    file.write_text('[[node.peers]]\naet = "PACS"\nhost = "10.0.0.1"\n')
    (peer,) = load_settings(file, {}).node.peers
    assert (peer.aet, peer.port) == ("PACS", 104)


def test_a_list_can_come_from_the_environment():
    settings = load_settings(None, {"ISOCENTER_INFERENCE__DISABLED_MODELS": '["a", "b"]'})
    assert settings.inference.disabled_models == ("a", "b")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[node]\naett = 'X'\n", "node.aett: unknown key"),
        ("[nod]\naet = 'X'\n", "nod: unknown key"),
        ("[node]\nport = 70000\n", "node.port"),
        ("[node]\naet = 'MORE THAN SIXTEEN CHARACTERS'\n", "node.aet"),
        ("[storage]\nblobs = 's3'\n", "[storage.s3]"),
        ("[node\n", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path, text, named):
    file = tmp_path / "isocenter.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(file, {})
    assert named in str(error.value)
    assert str(file) in str(error.value)


def test_a_wrong_variable_is_named():
    with pytest.raises(SettingsError, match=r"ISOCENTER_NODE__AETT: node\.aett: unknown key"):
        load_settings(None, {"ISOCENTER_NODE__AETT": "X"})


def test_listening_beyond_loopback_needs_an_explicit_word():
    with pytest.raises(SettingsError, match="insecure = true"):
        load_settings(None, {"ISOCENTER_HOST": "0.0.0.0"})
    assert load_settings(None, {"ISOCENTER_HOST": "0.0.0.0", "ISOCENTER_INSECURE": "1"}).insecure


def test_the_secret_key_is_not_shown(tmp_path):
    file = tmp_path / "isocenter.toml"
    file.write_text(
        '[storage]\nblobs = "s3"\n[storage.s3]\nendpoint = "h:1"\nbucket = "b"\n'
        'access_key = "k"\nsecret_key = "hidden"\n'
    )
    assert "hidden" not in repr(load_settings(file, {}))
