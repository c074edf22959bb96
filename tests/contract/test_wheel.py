"""The wheel is complete, holds nothing else, and runs without what only developers have."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("plans", "engine", "api")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """A Python that has the wheel and the runtime lock, made without a network."""
    venv = tmp_path_factory.mktemp("clean") / "venv"
    run("uv", "venv", "--quiet", "--offline", "--python", sys.executable, venv)
    python = venv / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    link_the_runtime_lock_into(Path(site))
    run("uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel)
    return python


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel):
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert top == {*PACKAGES, "reknit-0.1.0.dist-info"}


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*"))
    kept = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert kept <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_names_all_it_needs(clean_python):
    run("uv", "pip", "check", "--offline", "--python", clean_python)


def test_the_wheel_holds_what_the_demo_shows(wheel):
    case = ROOT / "fixtures/crm_contacts"

    names = {f"api/cli/fixtures/crm_contacts/{file.name}" for file in case.iterdir()}
    assert names <= set(zipfile.ZipFile(wheel).namelist())


def test_the_command_runs_where_a_folder_has_the_name_of_a_package(clean_python, tmp_path):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('the decoy ran')")

    assert "Usage: reknit" in run(clean_python.parent / "reknit", "--help", cwd=tmp_path)


def run(command: str | Path, *arguments: str | Path, cwd: Path | None = None) -> str:
    """Run a command of this environment and return what it printed; fail with its complaint."""
    done = subprocess.run(
        [Path(sys.executable).parent / command, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def link_the_runtime_lock_into(site: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for name, marker in re.findall(r"^([\w.-]+)==\S+( ;)?", lock, re.MULTILINE):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            assert marker, f"{name} is in requirements.lock but not installed"
            continue
        for file in found.files or ():
            if ".." not in file.parts and (source := Path(found.locate_file(file))).exists():
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(source)
