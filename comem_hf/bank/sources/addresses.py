"""Addresses of files in a data set on the Hub."""

import re


_ARCHIVES = ("zip", "tar", "gzip", "bz2", "xz", "lz4", "zstd")


def is_file_of(repository: str, address: str) -> bool:
    """Whether an address is that of a file of a Hub data set, or of one in an archive there (`zip://...::hf://...`).

    Args:
        repository (`str`): Id of the data set.
        address (`str`): A path, or an address of any kind, as somebody wrote it.
    """
    *inner, file = address.split("::")
    return (
        re.fullmatch(rf"hf://datasets/{re.escape(repository)}(@[^/]+)?/.+", file) is not None
        and all(each.partition("://")[0] in _ARCHIVES for each in inner)
        and ".." not in address.split("/")
    )
