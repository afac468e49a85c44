"""Copies, threads, signals and ends: what may happen to a client besides being used."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import footpath

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def offline(tmp_path):
    """A client whose server is not there."""
    client = footpath.Client(NOBODY, "key", "demo", tmp_path / "offline", exit_seconds=0)
    yield client
    client.close()


def run(body, *, seconds=30, **env):
    """Runs a program; its output, and how long it took."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(body)],
        capture_output=True, text=True, timeout=seconds, env={**os.environ, **env},
    )
    return done, time.monotonic() - begin


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_client_is_not_copied(offline, make):
    receipt = offline.track_critical("paid", user="u")
    with pytest.raises(TypeError, match="another process makes one of its own"):
        make(offline)
    with pytest.raises(TypeError, match="event_id"):
        make(receipt)
    assert offline.track("e", user="u")
