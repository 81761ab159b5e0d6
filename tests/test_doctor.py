"""`rldg doctor` says what is wrong with a machine, and what to do about it."""

import json

import pytest

from rldg import doctor
from rldg.cli.main import dispatch


def test_this_machine_renders_and_computes(capsys):
    assert dispatch(["doctor", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    status = {check["name"]: check["status"] for check in answer["checks"]}
    assert answer["faults"] == 0
    assert status["rendering"] == status["jax"] == status["ffmpeg"] == status["packages"] == "ok"


def test_rendering_that_fails_is_a_fault_with_a_remedy(monkeypatch, capsys):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    check = doctor.rendering()
    assert check.status == "fault"
    assert "nonsense" in check.found
    assert "apt-get install" in check.remedy
    assert "MUJOCO_GL" in check.remedy
    monkeypatch.setattr(doctor, "examine", lambda: [check])
    monkeypatch.setattr("rldg.cli.doctor.examine", lambda: [check])
    assert dispatch(["doctor"]) == 1
    assert "1 fault. What to do:\nrendering: " in capsys.readouterr().out


def test_missing_and_untested_versions_are_named(monkeypatch):
    monkeypatch.setattr(doctor, "tested_versions", lambda: {"numpy": "1.0.0"})
    check = doctor.packages()
    assert check.status == "warning"
    assert "numpy" in check.found
    assert "tested: 1.0.0" in check.found
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: ["no-such-package>=1", "torch; extra == 'openvla'"])
    check = doctor.packages()
    assert check.status == "fault"
    assert check.found == "missing: no-such-package"


@pytest.mark.parametrize(
    ("function", "available"),
    [("disk", "free in"), ("memory", "GiB"), ("cores", "2")],
)
def test_a_machine_that_is_too_small_is_told(function, available, monkeypatch):
    monkeypatch.setattr(doctor, "DISK_NEEDED", 1e18)
    monkeypatch.setattr(doctor, "MEMORY_NEEDED", 1e18)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: {0})
    check = getattr(doctor, function)()
    assert check.status != "ok"
    assert check.remedy
    assert available in check.found or function == "cores"


def test_a_probe_that_hangs_is_given_up():
    done, said = doctor._try("import time; time.sleep(30)", timeout=0.3)
    assert not done
    assert "no answer" in said
