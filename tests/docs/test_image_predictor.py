"""The example for single images against `SAM2ImagePredictor`, on the export's torch modules of a thin model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from export.tracking.images import resize_antialias
from export.tracking.modules import NAMES, Modules

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")
pytest.importorskip("skimage")

from export.modules import wrap  # noqa: E402
from tests.export.conftest import thin  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "image_predictor.py"
BOX = np.array([150, 20, 330, 250])


def example() -> Any:
    spec = importlib.util.spec_from_file_location("image_predictor", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_numpy(stock: Any) -> Modules:
    def runner(name: str) -> Any:
        wrapper, spec = wrap.wrap(name, stock, "sam2", "onnxruntime"), load_spec()[name]

        def run(inputs: Any) -> dict[str, Any]:
            with torch.inference_mode():
                values = wrapper(*(torch.from_numpy(np.array(inputs[port.name])) for port in spec.inputs))
            return {port.name: value.numpy() for port, value in zip(spec.outputs, values, strict=True)}

        return run

    runs = {name: runner(name) for name in (*NAMES, "mask_decoder_prompts")}
    return Modules(**runs, image_size=stock.image_size, batch={})


class Resize(torch.nn.Module):
    """`torchvision.transforms.Resize` of a tensor: bilinear with antialiasing."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(x[None], list(self.size), mode="bilinear", antialias=True)[0]


class Normalize(torch.nn.Module):
    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.mean, self.std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


class ToTensor:
    def __call__(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image).permute(2, 0, 1).float().div(255)


@pytest.fixture
def stock_predictor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`SAM2ImagePredictor`; its three torchvision transforms are written out where torchvision cannot be imported."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # torchvision of another build of torch raises RuntimeError
        package, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
        for one in (Resize, Normalize, ToTensor):
            setattr(transforms, one.__name__, one)
        monkeypatch.setitem(sys.modules, "torchvision", package)
        monkeypatch.setitem(sys.modules, "torchvision.transforms", transforms)
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor, size = SAM2ImagePredictor(thin()), thin().image_size
    predictor._bb_feat_sizes = [(size // step, size // step) for step in (4, 8, 16)]  # written for 1024 pixels only
    return predictor


def test_the_example_equals_the_image_predictor(stock_predictor: Any) -> None:
    import skimage.data

    image = skimage.data.astronaut()[:300, 50:450]
    module = example()
    ours = module.ImagePredictor.__new__(module.ImagePredictor)
    ours.modules = as_numpy(stock_predictor.model)
    for one in (ours, stock_predictor):
        one.set_image(image)
    np.testing.assert_allclose(
        ours.features["vision_feats"], stock_predictor._features["image_embed"].numpy(), atol=1e-3
    )
    _, _, before = stock_predictor.predict(box=BOX, multimask_output=False)
    click = {"point_coords": np.array([[220, 120]]), "point_labels": np.array([1])}
    two_clicks = {"point_coords": np.array([[220, 120], [60, 250]]), "point_labels": np.array([1, 0])}
    for prompt in (
        {"box": BOX},
        {"box": BOX, "multimask_output": False},
        click,
        {**click, "box": BOX, "multimask_output": False},
        {**click, "mask_input": before},
        {**two_clicks, "multimask_output": False},
    ):
        masks, qualities, logits = ours.predict(**prompt)
        expected = stock_predictor.predict(**prompt)
        assert masks.shape == expected[0].shape
        assert (masks == expected[0].astype(bool)).mean() > 0.9999
        np.testing.assert_allclose(qualities, expected[1], atol=1e-4)
        np.testing.assert_allclose(logits, expected[2], atol=0.01)


def test_a_single_click_has_three_masks(stock_predictor: Any) -> None:
    module = example()
    ours = module.ImagePredictor.__new__(module.ImagePredictor)
    with pytest.raises(ValueError, match="a single click has three masks"):
        ours.predict(np.array([[1, 1]]), np.array([1]), multimask_output=False)


def test_colours_are_scaled_as_by_torch() -> None:
    plane = np.random.default_rng(0).random((50, 70)).astype(np.float32)
    wanted = Resize((32, 32))(torch.from_numpy(plane)[None])[0]
    np.testing.assert_allclose(resize_antialias(plane, 32, 32), wanted, atol=1e-6)
