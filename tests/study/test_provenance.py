"""Where a result comes from."""

import subprocess
from pathlib import Path

from archlab.study.plan import StudyPlan
from archlab.study.provenance import commit, provenance, versions


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, "-C", str(folder), *words], check=True, capture_output=True)


def test_versions_of_what_is_there() -> None:
    found = versions(("torch", "no-such-package"))
    assert found["torch"]
    assert found["no-such-package"] is None


def test_the_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert commit(tmp_path / "none") is None
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1")
    assert commit(tmp_path) is None  # no commit yet
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "one")
    first = commit(tmp_path)
    assert first is not None
    assert (len(first["hash"]), first["dirty"]) == (40, False)
    (tmp_path / "a.py").write_text("2")
    assert commit(tmp_path) == {"hash": first["hash"], "dirty": True}


def test_a_folder_that_git_does_not_track_has_no_commit(tmp_path: Path) -> None:
    """An installed package inside a user's repository is not that repository's commit."""
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "one")
    inside = tmp_path / "site-packages"
    inside.mkdir()
    (inside / "b.py").write_text("1")
    assert commit(inside) is None


def test_everything_known_before_the_search() -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin", seed=7)
    head = provenance(plan, ["archlab", "search"], {"device": {"name": "orin"}}, "2030-01-01T00:00:00+00:00")
    assert head["argv"] == ["archlab", "search"]
    assert (head["seed"], head["plan"], head["device"]) == (7, plan.to_dict(), {"name": "orin"})
    assert set(head) >= {"version", "git", "versions", "started"}
