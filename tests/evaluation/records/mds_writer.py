"""A writer of MDS folders, by the description in the reader: what tests spoil."""

import json
import struct
from pathlib import Path


def write_mds(folder: Path, encodings: dict[str, str], shards: list[list[dict[str, bytes]]]) -> None:
    """Write samples of encoded columns; numbers of `int` have a fixed size, all else has not."""
    folder.mkdir(parents=True, exist_ok=True)
    names, entries = sorted(encodings), []
    sizes = [8 if encodings[name] == "int" else None for name in names]
    for number, samples in enumerate(shards):
        entry = {"column_names": names, "column_encodings": [encodings[name] for name in names], "column_sizes": sizes}
        settings = json.dumps(entry).encode()
        bodies = []
        for sample in samples:
            lengths = [len(sample[name]) for name, size in zip(names, sizes, strict=True) if size is None]
            bodies.append(struct.pack(f"<{len(lengths)}I", *lengths) + b"".join(sample[name] for name in names))
        place = 4 * (len(samples) + 2) + len(settings)
        places = [place]
        for body in bodies:
            places.append(places[-1] + len(body))
        content = struct.pack(f"<{len(places) + 1}I", len(samples), *places) + settings + b"".join(bodies)
        (folder / f"shard.{number:05}.mds").write_bytes(content)
        raw = {"basename": f"shard.{number:05}.mds", "bytes": len(content), "hashes": {}}
        entries.append({**entry, "compression": None, "format": "mds", "raw_data": raw, "samples": len(samples)})
    (folder / "index.json").write_text(json.dumps({"shards": entries, "version": 2}))
