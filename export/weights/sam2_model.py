"""Stock SAM2 models by type and version, with trained or reference weights."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from verify.errors import MissingBackend, SurgeonError

MODEL_TYPES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
VERSIONS = {"2.1": "configs/sam2.1/sam2.1_hiera_{}.yaml", "2.0": "configs/sam2/sam2_hiera_{}.yaml"}
CONTRACT_SIZE = 1024
STRIDE = 32


def build(model_type: str, version: str = "2.1", image_size: int = CONTRACT_SIZE) -> Any:
    """A stock `SAM2VideoPredictor` on the CPU, in eval mode, weights not yet set.

    Built by `build_sam2_video_predictor` with its post-processing, so that prompted masks are binarised for the
    memory encoder and unstable single masks fall back. Raises SurgeonError for an unknown type, version or size
    (multiples of 32), MissingBackend where torch or sam2 is not installed.
    """
    check_choice("model type", model_type, MODEL_TYPES)
    check_choice("version", version, VERSIONS)
    check_image_size(image_size)
    require()
    from sam2.build_sam import build_sam2_video_predictor

    return build_sam2_video_predictor(
        VERSIONS[version].format(MODEL_TYPES[model_type]),
        device="cpu",
        hydra_overrides_extra=[f"++model.image_size={image_size}"],
    )


def require() -> None:
    """Raise MissingBackend unless torch and sam2 are installed; imports neither."""
    missing = [name for name in ("torch", "sam2") if find_spec(name) is None]
    if missing:
        raise MissingBackend(f"export needs {' and '.join(missing)}; pip install {' '.join(missing)}")


def check_choice(what: str, value: str, choices: Any) -> None:
    """Raise SurgeonError naming the choices unless `value` is one of them."""
    if value not in choices:
        raise SurgeonError(f"{what} {value!r} is not known; choose {', '.join(choices)}")


def parse_image_size(text: str) -> int:
    """Pixels on a side from `512` or `512x512`.

    Raises SurgeonError for a picture that is not square: `SAM2Base._forward_sam_heads` asserts a square feature map
    and its prompt encoder has one size, so there is no stock network that such files could be checked against.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise SurgeonError(f"--image-size {text}: write the pixels on a side, for example 512")
    if len({int(side) for side in sides}) > 1:
        raise SurgeonError(
            f"--image-size {text}: stock SAM2 takes square images only (it asserts a square feature map), so nothing "
            f"could prove such files right; give one side, for example {max(map(int, sides))}: frames of any shape are "
            "scaled to it"
        )
    return int(sides[0])


def check_image_size(image_size: int) -> None:
    """Raise SurgeonError unless the trunk's strides divide the image size."""
    if image_size < 64 or image_size % STRIDE:
        raise SurgeonError(f"image size {image_size} does not fit; choose a multiple of {STRIDE} from 64 up")
