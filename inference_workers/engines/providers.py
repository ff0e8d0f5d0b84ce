"""What ONNX models can run on here."""


def onnx_providers() -> list[str]:
    """The execution providers of onnxruntime, the preferred first; empty if it is not installed."""
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError:
        return []
    return [str(name) for name in onnxruntime.get_available_providers()]
