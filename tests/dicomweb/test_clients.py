"""The clients that people use, in every call they have."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from tests.dicomweb.builders import multiframe, part10
from tests.support.programs import needs

UIDS = ("1.2", "1.2.1", "1.2.1.1")
SCRIPT = Path(__file__).with_name("npm_client.mjs")
VERSION = "0.11.3"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_python_client_works_in_every_call(web, store):
    store(multiframe(3))
    client = DICOMwebClient(str(web.base_url).rstrip("/"))
    study, series, sop = UIDS
    assert len(client.search_for_studies()) == 1
    assert len(client.search_for_series(study)) == 1
    assert len(client.search_for_instances(study, series)) == 1
    for found in (
        client.retrieve_study_metadata(study),
        client.retrieve_series_metadata(study, series),
        [client.retrieve_instance_metadata(*UIDS)],
    ):
        assert found[0]["00080018"]["Value"] == [sop]
    for objects in (
        client.retrieve_study(study),
        client.iter_study(study),
        client.retrieve_series(study, series),
        client.iter_series(study, series),
        [client.retrieve_instance(*UIDS)],
    ):
        assert [each.SOPInstanceUID for each in objects] == [sop]
    frames = client.retrieve_instance_frames(*UIDS, [1, 3])
    assert frames == list(client.iter_instance_frames(*UIDS, [1, 3]))
    assert len(frames) == 2
    assert client.retrieve_instance_rendered(*UIDS, media_types=("image/jpeg",))[:2] == b"\xff\xd8"
    assert client.retrieve_instance_frames_rendered(*UIDS, [2], media_types=("image/png",))[1:4] == b"PNG"
    assert client.retrieve_series_rendered(study, series, media_types=("image/jpeg",))[:2] == b"\xff\xd8"
    uri = f"{web.base_url}studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/7FE00010"
    assert np.frombuffer(client.retrieve_bulkdata(uri)[0], "<u2").size == 72
    assert b"".join(client.iter_bulkdata(uri)) == client.retrieve_bulkdata(uri)[0]
    client.delete_instance(*UIDS)
    other = pydicom.dcmread(pydicom.filebase.DicomBytesIO(part10()))
    assert client.store_instances([other]).ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sop
    client.delete_series(study, series)
    client.store_instances([other])
    client.delete_study(study)
    assert client.search_for_studies() == []


@pytest.fixture(scope="session")
def npm_client(tmp_path_factory) -> Path:
    """A folder with the npm package `dicomweb-client`; skips, and fails in CI, where it cannot be had."""
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"dicomweb-client@{VERSION}"]
    environment = {**os.environ, "npm_config_cache": str(folder / "cache")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"npm cannot install dicomweb-client: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


@needs("npm")
def test_the_npm_client_works_in_every_call(web, store, npm_client, tmp_path):
    store(multiframe(3))
    (tmp_path / "other.dcm").write_bytes(part10(SOPInstanceUID="1.2.1.2"))
    script = shutil.copy(SCRIPT, npm_client / SCRIPT.name)
    command = ["node", str(script), str(web.base_url).rstrip("/"), *UIDS, str(tmp_path / "other.dcm")]
    done = subprocess.run(command, cwd=npm_client, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])  # the package speaks too
    assert {name: result for name, result in results.items() if str(result).startswith("failed")} == {}
    assert results["studies"] == results["series"] == results["instances"] == 1
    assert results["frames"] == [48, 48]
    assert results["storeInstances"] == "stored"
