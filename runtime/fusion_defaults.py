"""Fusion parameters that a deployment gives to sessions which do not say otherwise. Pure."""

from collections.abc import Mapping

from schemas.fusion_config import FusionConfig


def parse_parameters(text: str) -> Mapping[str, float]:
    """Values by name, from NAME=VALUE with commas between; what is not named keeps its default.

    Raises ValueError (ConfigError) for what no session could ask for.
    """
    found: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not NAME=VALUE")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            raise ValueError(f"{name.strip()} = {value.strip()!r} is no number") from error
    FusionConfig.of(found)
    return found
