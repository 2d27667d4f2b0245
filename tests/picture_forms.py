"""A picture in all the forms that people have it in."""

import base64
import io

import numpy as np
import torch


def encode(image, kind="PNG", **options) -> bytes:
    """The file of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def forms(image, folder) -> dict:
    """A picture in all forms but that of an address on the web."""
    content, pixels = encode(image), np.asarray(image)
    path = folder / "picture.png"
    path.write_bytes(content)
    text = base64.b64encode(content).decode()
    return {
        "pil": image,
        "path": path,
        "string": str(path),
        "bytes": content,
        "bytearray": bytearray(content),
        "memoryview": memoryview(content),
        "buffer": io.BytesIO(content),
        "file": path.open("rb"),
        "base64": text,
        "base64 in lines": base64.encodebytes(content).decode(),
        "data url": f"data:image/png;base64,{text}",
        "data url, percent-encoded": "data:image/png," + "".join(f"%{byte:02x}" for byte in content),
        "undecoded": {"bytes": content, "path": "elsewhere.png"},
        "undecoded, base64": {"bytes": text, "path": None},
        "undecoded, path": {"bytes": None, "path": str(path)},
        "numpy": pixels,
        "numpy, channels first": pixels.transpose(2, 0, 1),
        "numpy, floats": pixels / 255,
        "numpy, float16": (pixels / 255).astype(np.float16),
        "numpy, floats to 255": pixels.astype(np.float32),
        "numpy, uint16": pixels.astype(np.uint16) * 257,
        "numpy, int64": pixels.astype(np.int64),
        "torch": torch.from_numpy(pixels.copy()).permute(2, 0, 1),
        "torch, channels last": torch.from_numpy(pixels.copy()),
        "torch, floats": torch.from_numpy(pixels / 255).permute(2, 0, 1).requires_grad_(),
        "torch, bfloat16": torch.from_numpy(pixels.copy()).permute(2, 0, 1).bfloat16(),
    }
