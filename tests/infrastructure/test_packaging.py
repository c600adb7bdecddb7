"""The files that say what the project is and needs agree with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import medxai_helpers
from medxai_helpers import runtime
from tools import set_up
from tools.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
HEAVY = ("albumentations", "cv2", "matplotlib", "nibabel", "pandas", "scipy", "seaborn", "sklearn", "torch")


def requirements(name: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in requirements(name)}


def direct() -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [need for need in map(Requirement, lines) if need.name != PROJECT["name"]]


@pytest.mark.parametrize("need", direct(), ids=str)
def test_every_direct_dependency_is_pinned_at_a_version_it_admits(need):
    assert need.specifier.contains(pins("constraints.txt")[canonicalize_name(need.name)])


@pytest.mark.parametrize("name", ["constraints.txt", "no-deps.txt"])
def test_pins_are_exact_and_unique(name):
    listed = requirements(name)
    assert all(str(each.specifier).startswith("==") and not each.url for each in listed)
    assert len({canonicalize_name(each.name) for each in listed}) == len(listed)


def test_packages_without_dependencies_are_not_asked_for_elsewhere():
    alone = set(pins("no-deps.txt"))
    assert not alone & {canonicalize_name(need.name) for need in direct()}
    assert not alone & set(pins("constraints.txt"))


def test_all_means_every_other_extra():
    [everything] = map(Requirement, EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_conda_environment_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    [by_pip] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    [python] = [entry.split("=")[1] for entry in plain if entry.startswith("python=")]
    assert environment["name"] == "medxai"
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")
    assert {"pip", "git", "make"} <= set(plain)
    install = next(step for step in set_up.STEPS if "-e" in step)
    assert " ".join(by_pip) == " ".join(install[1:])
    assert (ROOT / "no-deps.txt").name in (ROOT / "environment.yml").read_text()


def test_container_installs_the_same():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith("#")]
    [base] = [re.fullmatch(r"FROM python:(\d+\.\d+)-slim", step) for step in steps if step.startswith("FROM")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{base[1]}.0")
    [install] = [step for step in steps if "pip install" in step]
    for wanted in (step for step in set_up.STEPS if "-e" in step or "--no-deps" in step):
        options = " ".join(f'"{word}"' if "[" in word else word for word in wanted[1:])
        assert f"install --no-cache-dir {options}" in install
    copied = {name for step in steps if step.startswith("COPY") for name in step.split()[1:-1]}
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "constraints.txt", "no-deps.txt", PROJECT["readme"], *PROJECT["license-files"]} <= copied
    variables = {word.split("=")[0] for step in steps if step.startswith("ENV") for word in step.split()[1:]}
    assert {name for name in variables if name.startswith("MEDXAI_")} <= set(runtime.VARIABLES)
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and "#" not in line}
    assert {".venv", ".cache", "_build"} & ignored <= set((ROOT / ".dockerignore").read_text().split())


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert {PROJECT["version"], citation["version"], medxai_helpers.__version__, newest[1]} == {PROJECT["version"]}


def test_set_up_asks_for_the_same_python():
    oldest, too_new = (".".join(map(str, version)) for version in (set_up.OLDEST, set_up.TOO_NEW))
    assert PROJECT["requires-python"] == f">={oldest},<{too_new}"


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_a_wrong_python_is_refused_with_a_remedy(version):
    assert "make PYTHON=" in set_up.complaint(version)
    assert not set_up.complaint((3, 12))


def test_a_half_made_environment_is_noticed(tmp_path, monkeypatch):
    assert not set_up.is_usable(tmp_path)
    assert not set_up.is_usable(tmp_path / "absent")
    here = tmp_path / "venv"
    python = set_up.python_of(here)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(set_up, "UNFINISHED", here / ".installing")
    assert set_up.is_usable(here)
    (here / ".installing").touch()
    assert not set_up.is_usable(here)


def test_one_opencv_only():
    found = {distribution.name for distribution in distributions() if distribution.name.startswith("opencv")}
    assert found == {"opencv-python-headless"}


def test_importing_the_package_is_light():
    look = f"""
import sys, time
start = time.perf_counter()
import medxai_helpers
print(time.perf_counter() - start, *(name for name in {HEAVY} if name in sys.modules))
"""
    runs = [subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True) for _ in range(3)]
    answers = [run.stdout.split() for run in runs]
    assert all(len(answer) == 1 for answer in answers)
    assert min(float(answer[0]) for answer in answers) < 0.3


def test_make_explains_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[1].split()
    explained = re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE)
    assert sorted(explained) == sorted(targets)


def test_the_bibliography_knows_every_citation_key_of_a_data_set():
    from medxai_helpers.datasets import CATALOGUE

    listed = re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), flags=re.MULTILINE)
    assert len(listed) == len(set(listed)), "a work is listed twice"
    keys = set(listed)
    assert {"aragon2025", "abarna", "abboud2025", "verma2023", "sandoval2024"} <= keys
    assert {key for card in CATALOGUE.values() for key in (card.citation, *card.used_by)} <= keys
