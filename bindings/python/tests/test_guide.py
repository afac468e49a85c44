"""Runs every program of the guide."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[3] / "docs/sdk-python.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.M | re.S)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.count("\n"))
def test_a_program_of_the_guide(program, server, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program.replace("http://127.0.0.1:7400", server.url)],
        cwd=tmp_path, env={**os.environ, "FOOTPATH_KEY": server.key}, capture_output=True, text=True, timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "wait_flushed" not in program or "acked=2" in done.stdout and "complete=True" in done.stdout


def test_the_guide_names_every_setting():
    import footpath

    for name in footpath.Client.__init__.__kwdefaults__:
        assert f"`{name}`" in GUIDE or f"`{name}=" in GUIDE, name
    assert len(PROGRAMS) >= 4
