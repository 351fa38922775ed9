"""A golden stays with its model when the model is moved, renamed or looked at from another folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.cli_models import TEXT, weight, write

Surgeon = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_folder")


def verify(surgeon: Surgeon, *arguments: str | Path) -> tuple[int, str]:
    code, out, _ = surgeon("verify", *arguments, "--no-trt", "--no-cache")
    return code, " ".join(out.split())


@pytest.mark.parametrize("place", ["sub/net.onnx", "other.onnx", "sub/other.onnx"])
def test_a_moved_or_renamed_model_is_found_by_its_content(surgeon: Surgeon, good: Path, place: str) -> None:
    Path("sub").mkdir()
    good.rename(place)
    code, words = verify(surgeon, place)
    assert code == 0
    assert "1 output as recorded" in words
    assert "(found by content: recorded as ../net.onnx)" in words
    assert "gone" not in words


@pytest.mark.parametrize(("place", "by"), [("sub/net.onnx", "name"), ("other.onnx", "interface")])
def test_a_model_that_was_moved_and_changed_is_compared(surgeon: Surgeon, good: Path, place: str, by: str) -> None:
    good.unlink()
    write(Path(place), w=weight() * 2)
    code, words = verify(surgeon, place)
    assert code == 1
    assert f"(found by {by}: recorded as ../net.onnx, which is gone)" in words


def test_weights_beside_the_model_are_content(surgeon: Surgeon) -> None:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    path = write(Path("a/net.onnx"), **options)
    assert surgeon("golden", "record", path)[0] == 0
    write(Path("b/net2.onnx"), **options)
    path.rename("a/elsewhere.onnx")
    assert "found by content" in verify(surgeon, "a/elsewhere.onnx")[1]
    Path("a/w.bin").write_bytes((weight() * 2).tobytes())
    code, words = verify(surgeon, "a/elsewhere.onnx")
    assert code == 1
    assert "found by interface" in words


def test_a_model_of_another_interface_gets_no_golden_of_a_model_that_is_gone(surgeon: Surgeon, good: Path) -> None:
    good.unlink()
    write(Path("other.onnx"), TEXT.replace("[2,8] x", "[2,8] z").replace("(x,", "(z,"))
    code, words = verify(surgeon, "other.onnx")
    assert code == 0
    assert "skip golden none recorded for this model" in words
    assert "skip goldens recorded of models that are gone: ../net.onnx; see surgeon golden list" in words
    assert verify(surgeon, "other.onnx", "--strict")[0] == 1


def test_one_of_several_lost_models_is_not_guessed(surgeon: Surgeon, good: Path) -> None:
    surgeon("golden", "record", write(Path("two.onnx"), w=weight() + 1))
    good.unlink()
    Path("two.onnx").unlink()
    code, words = verify(surgeon, write(Path("three.onnx"), w=weight() + 2))
    assert code == 0
    assert "recorded of models that are gone: ../net.onnx, ../two.onnx" in words


def test_goldens_of_models_that_are_there_are_no_orphans(surgeon: Surgeon, good: Path) -> None:
    assert "gone" not in verify(surgeon, write(Path("other.onnx"), w=weight() + 1))[1]


def test_the_default_folder_is_found_from_below(
    surgeon: Surgeon, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert "none recorded" in verify(surgeon, "../../net.onnx")[1]  # no repository: parents belong to others
    (tmp_path / ".git").mkdir()
    assert "1 output as recorded" in verify(surgeon, "../../net.onnx")[1]
    assert "../../golden" in surgeon("golden", "list")[1]
    write(tmp_path / "net.onnx", w=weight() * 2)
    assert surgeon("golden", "record", "../../net.onnx")[0] == 0
    assert not Path("golden").exists()
    (tmp_path / "a" / ".git").mkdir()
    assert "none recorded" in verify(surgeon, "../../net.onnx")[1]


def test_list_and_rm(surgeon: Surgeon, good: Path) -> None:
    surgeon("golden", "record", write(Path("sub/other.onnx")))
    surgeon("golden", "record", write(Path("third.onnx"), w=weight() + 1))
    good.unlink()
    code, out, _ = surgeon("golden", "list")
    lines = out.splitlines()
    assert (code, lines[0]) == (0, "golden")
    assert "  ../net.onnx: 8 cases, 1 output, " in lines[1]
    assert lines[1].endswith("its model is gone, remove it with: surgeon golden rm ../net.onnx")
    assert "gone" not in lines[2] + lines[3]
    assert len(list(Path("golden").glob("*.npz"))) == 3

    code, out, err = surgeon("golden", "rm", "nothing.onnx")
    assert (code, out) == (2, "")
    assert "no golden called 'nothing.onnx'; it has ../net.onnx, ../sub/other.onnx, ../third.onnx" in err
    assert surgeon("golden", "rm", "sub/other.onnx", "../net.onnx")[0] == 0
    assert len(list(Path("golden").glob("*.npz"))) == 1
    assert [line.split(":")[0].strip() for line in surgeon("golden", "list")[1].splitlines()[1:2]] == ["../third.onnx"]


def test_weights_and_goldens_stand_for_their_models(surgeon: Surgeon, good: Path) -> None:
    """What pre-commit hands over when a model stays as it is and what belongs to it changes."""
    path = write(Path("sub/big.onnx"), save_as_external_data=True, location="big.onnx.data", size_threshold=0)
    surgeon("golden", "record", path)
    (data,) = Path("golden").glob("sub-big*.npz")

    def checked(*given: str | Path) -> list[str]:
        out = surgeon("verify", *given, "--no-trt", "--format", "json")[1]
        return [report["model"] for report in json.loads(out)["reports"]]

    assert checked("sub/big.onnx.data", path) == ["sub/big.onnx"]
    assert checked(data) == ["sub/big.onnx"]
    assert checked("golden/index.json") == ["net.onnx", "sub/big.onnx"]
    path.unlink()
    assert checked(data) == [str(data), "golden"]
    code, words = verify(surgeon, data)
    assert (code, "the model it was recorded from is not here" in words) == (0, True)
