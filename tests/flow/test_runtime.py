import subprocess
import sys
import time

import pytest
import torch

from medxai_helpers import runtime


def test_defaults_are_quick_on_a_cpu():
    settings = runtime.current({"MEDXAI_DEVICE": "cpu"})
    assert (settings.profile, settings.data_root, settings.seed) == ("quick", None, 0)
    assert settings.pick(quick=2, full=5) == 2


def test_a_gpu_means_full_unless_overridden():
    assert runtime.current({"MEDXAI_DEVICE": "cuda"}).profile == "full"
    assert runtime.current({"MEDXAI_DEVICE": "cuda", "MEDXAI_PROFILE": "quick"}).profile == "quick"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MEDXAI_PROFILE", "fast", "'quick', 'full'"),
        ("MEDXAI_DEVICE", "tpu", "'cuda', 'mps', 'cpu'"),
        ("MEDXAI_DATA", "/does/not/exist", "/does/not/exist"),
        ("MEDXAI_SEED", "-1", "whole number"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name, value, says):
    with pytest.raises(ValueError, match=name) as caught:
        runtime.current({name: value})
    assert says in str(caught.value)


def test_an_unreadable_data_root_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime.os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="read permission"):
        runtime.current({"MEDXAI_DATA": str(tmp_path)})


def test_data_root_and_cache_are_taken(tmp_path):
    settings = runtime.current({"MEDXAI_DATA": str(tmp_path), "MEDXAI_CACHE": str(tmp_path / "c")})
    assert settings.data_root == tmp_path
    assert settings.cache == tmp_path / "c"


def test_the_books_environment_ignores_the_readers():
    readers = dict.fromkeys(runtime.VARIABLES, "/wrong") | {"PATH": "kept"}
    env = runtime.book_environment(readers)
    settings = runtime.current(env)
    assert env["PATH"] == "kept"
    assert (settings.profile, settings.device, settings.data_root, settings.seed) == ("quick", "cpu", None, 0)
    assert settings.cache == runtime.project_root() / ".cache"


def test_seeded_repeats_and_gives_the_state_back():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with runtime.seeded(1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(1), expected)
    with runtime.seeded(1) as generator:
        assert torch.equal(torch.rand(3), first)
        assert torch.equal(torch.rand(3, generator=generator), first)


def test_the_log_goes_to_the_present_stdout(capsys):
    runtime.log.info("a line")
    assert capsys.readouterr().out == "a line\n"


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, medxai_helpers; print(sorted({'torch','cv2','pandas','scipy','matplotlib'} & set(sys.modules)))"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.perf_counter() - started < 20  # a guard against a hang only; the benchmark gives the time


def test_every_public_name_resolves():
    import medxai_helpers as mx

    for name in mx.__all__:
        assert getattr(mx, name).__doc__
    with pytest.raises(AttributeError, match="nonsense"):
        mx.nonsense  # noqa: B018
