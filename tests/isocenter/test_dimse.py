"""The node of the settings: TLS, users, and peers that follow the settings file."""

import json
import os
import signal
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from dicom_node.passcodes import matches
from dicom_node.requestor import AssociationFailed
from dicom_node.send import echo
from isocenter.cli import isocenter
from isocenter.commands.options import SettingsSource
from isocenter.dimse import Reloading, node_for
from isocenter.node_services import reporting
from isocenter.services import open_services
from isocenter.settings import SettingsError, load_settings
from tests.dicom_node.builders import ct, saved
from tests.dicom_node.certificates import Authority

BASE = "[node]\nport = 0\nrequire_known_peers = true\n"


@contextmanager
def running(file, tmp_path):
    """The node of a settings file, with its port and what reads the file again."""
    source = SettingsSource(file, {"data": tmp_path / "data"})
    with open_services(source.read()) as services:
        node = node_for(services)
        port = node.start()
        try:
            with reporting(services, node.destinations):
                yield port, Reloading(node, source.read, file)
        finally:
            node.stop(grace=0)


def peers(*aets):
    return "".join(f'[[node.peers]]\naet = "{aet}"\naddresses = ["127.0.0.0/8"]\n' for aet in aets)


def known(port, aet):
    try:
        echo("127.0.0.1", port, "ISOCENTER", aet)
    except AssociationFailed:
        return False
    return True


def test_peers_follow_the_file_and_mistakes_change_nothing(tmp_path, caplog):
    file = tmp_path / "isocenter.toml"
    file.write_text(BASE + peers("ONE"))
    with running(file, tmp_path) as (port, reloading):
        assert (known(port, "ONE"), known(port, "TWO")) == (True, False)
        file.write_text(BASE + peers("TWO", "THREE"))
        reloading.look()
        assert (known(port, "ONE"), known(port, "TWO")) == (False, True)
        file.write_text(BASE + peers("ONE") + "certifcate = 1\n")
        reloading.look()
        assert "node.peers.0.certifcate: unknown key" in caplog.text
        assert (known(port, "ONE"), known(port, "TWO")) == (False, True)


def test_hangup_reads_the_settings_again(tmp_path):
    read = threading.Event()
    stopped = threading.Event()

    class Node:
        def replace_peers(self, *_, **__):
            read.set()
            stopped.set()

    reloading = Reloading(Node(), lambda: load_settings(None, {}), None)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGHUP)).start()
    reloading.until(stopped)
    assert read.is_set()


def run(*arguments):
    return CliRunner().invoke(isocenter, [str(each) for each in arguments], catch_exceptions=False)


def over_tls(folder, more):
    """An authority, what it has given to a peer, and the settings of a node that has something of it too."""
    authority = Authority(folder)
    ours, theirs = authority.issue("CN=isocenter"), authority.issue("CN=ct01")
    file = folder / "isocenter.toml"
    file.write_text(
        "[node]\nport = 0\n[node.tls]\n"
        f'certificate = "{ours.certificate}"\nkey = "{ours.key}"\nca = "{authority.file}"\n{more}'
    )
    return authority, theirs, file


def test_commands_and_node_speak_tls(tmp_path):
    authority, theirs, file = over_tls(tmp_path, '[[node.peers]]\naet = "CT01"\ncertificate = "CN=ct01"\n')
    ds = ct()
    sent = saved(ds, tmp_path)
    with running(file, tmp_path) as (port, _):
        at = ("--calling", "CT01", "--tls", "--tls-ca", authority.file)
        us = (*at, "--tls-cert", theirs.certificate, "--tls-key", theirs.key)
        here = f"127.0.0.1:{port}"
        assert run("echo", "--at", here, *us).exit_code == 0
        assert run("send", sent, "--to", here, *us).exit_code == 0
        found = run("find", "--json", "--at", here, *us, f"StudyInstanceUID={ds.StudyInstanceUID}")
        assert [each["0020000D"]["Value"] for each in json.loads(found.stdout)] == [[ds.StudyInstanceUID]]
        got = run("get", tmp_path / "got", "--study", ds.StudyInstanceUID, "--at", here, *us)
        assert (got.exit_code, len(list((tmp_path / "got").iterdir()))) == (0, 1)
        refused = CliRunner().invoke(isocenter, ["echo", "--at", here, *map(str, at)])
        assert refused.exit_code == 1


def test_archive_answers_for_commitment_over_tls(tmp_path, free_port):
    authority, theirs, file = over_tls(
        tmp_path,
        f'[[node.peers]]\naet = "CT01"\nhost = "127.0.0.1"\nport = {free_port}\ntls = true\n'
        "[commitment]\nsame_association = false\n",
    )
    with running(file, tmp_path) as (port, _):
        at = (saved(ct(), tmp_path), "--to", f"127.0.0.1:{port}", "--calling", "CT01", "--commit")
        at = (*at, "--listen", free_port, "--tls", "--tls-ca", authority.file)
        without = run("send", *at)
        assert (without.exit_code, "needs --tls-cert" in without.output) == (2, True)
        told = run("send", "--json", *at, "--tls-cert", theirs.certificate, "--tls-key", theirs.key)
    assert told.exit_code == 0
    assert json.loads(told.stdout)["not_committed"] == {}


def test_files_of_tls_that_are_none_are_named(tmp_path):
    file = tmp_path / "isocenter.toml"
    file.write_text('[node.tls]\ncertificate = "none.pem"\nkey = "none.key"\nclient_certificates = "none"\n')
    with pytest.raises(SettingsError, match=r"node\.tls: .*No such file"), running(file, tmp_path):
        pass


def test_tls_options_without_tls_are_a_mistake(tmp_path):
    (tmp_path / "ca.pem").touch()
    told = run("echo", "--tls-ca", tmp_path / "ca.pem")
    assert (told.exit_code, "need --tls" in told.output) == (2, True)


def test_password_prints_what_the_settings_take(tmp_path):
    line = CliRunner().invoke(isocenter, ["password"], input="secret\n").stdout.strip()
    assert matches("secret", line)
    file = tmp_path / "isocenter.toml"
    file.write_text(f'[[node.identity.users]]\nname = "ada"\npasscode = "{line}"\n')
    settings = load_settings(file, {})
    assert matches("secret", settings.node.identity.users[0].passcode.get_secret_value())
    assert line not in repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[node.identity.users]]\nname = "ada"\npasscode = "secret"\n', "isocenter password"),
        ("[node.identity]\nrequired = true\n", "needs users"),
        ('[node.identity.jwt]\nkey = "k"\nissuer = "i"\naudience = "a"\nalgorithms = ["none"]\n', "signed"),
        ('[[node.peers]]\naet = "A"\ncertificate = "ct01"\n', "no subject of a certificate"),
        ('[[node.peers]]\naet = "A"\nservices = ["print"]\n', "services"),
        ('[[node.peers]]\naet = "A"\naddresses = ["10.0.0.0/33"]\n', "addresses"),
        ('[node.tls]\ncertificate = "a"\nkey = "b"\n', "checked against `ca`"),
    ],
)
def test_wrong_settings_of_the_node_are_named(tmp_path, text, said):
    file = tmp_path / "isocenter.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(file, {})


def test_node_with_tls_may_listen_beyond_this_machine(tmp_path):
    file = tmp_path / "isocenter.toml"
    tls = '[node.tls]\ncertificate = "a"\nkey = "b"\nca = "c"\n'
    file.write_text(f'[node]\nhost = "0.0.0.0"\n{tls}')
    assert load_settings(file, {}).node.host == "0.0.0.0"
    file.write_text(f'host = "0.0.0.0"\n[web]\nhost = "127.0.0.1"\n{tls}')
    assert load_settings(file, {}).host == "0.0.0.0"
    file.write_text(f'host = "0.0.0.0"\n{tls}')
    with pytest.raises(SettingsError, match="insecure = true"):
        load_settings(file, {})
