"""The countries of the world: facts, flags, and which of them are held out of training.

Facts come from `countryinfo` (MIT: capital, region, calling code) and from the Unicode CLDR data that `babel` carries
(currency in use today, official languages). Flags are the public-domain pictures of the npm package
`svg-country-flags`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from babel.core import Locale, get_global
from babel.languages import get_official_languages
from countryinfo import all_countries
from PIL import Image

from recipes.atlas_small.data.shared.held_out import split_apart
from recipes.atlas_small.data.shared.photographs import flatten
from recipes.atlas_small.data.shared.thing import Thing


SAME_FLAG = 2.5  # mean absolute difference of two 42 x 28 thumbnails (0-255) under which flags count as the same
NEAR_FLAG = 16.0  # ... and under which they must stay on the same side of the split

# `countryinfo` still lists these under former names or capitals.
CORRECTIONS = {
    "SZ": {"name": "Eswatini", "capital": "Mbabane"},
    "MK": {"name": "North Macedonia"},
    "KZ": {"capital": "Astana", "code": "+7"},
    "HK": {"capital": "Hong Kong"},
    "MO": {"name": "Macao", "capital": "Macao"},
    "VA": {"name": "Vatican City", "capital": "Vatican City"},
    "CZ": {"name": "Czechia"},
    "CV": {"name": "Cabo Verde"},
    "JM": {"code": "+1876"},
    "TR": {"name": "Türkiye"},
}
SKIPPED = {
    "CS",
    "AN",
    "AQ",
    "TF",
    "HM",
    "EH",
    "BQ",
}  # dissolved, uninhabited, disputed or without a capital of their own


@dataclass(frozen=True)
class Country(Thing):
    """One country and its facts, all as text."""

    name: str
    capital: str
    region: str
    language: str
    currency: str
    code: str


def _currency(alpha2: str) -> str | None:
    in_use = [
        code for code, _, end, tender in get_global("territory_currencies").get(alpha2, ()) if end is None and tender
    ]
    return Locale("en").currencies.get(in_use[0]) if in_use else None


def _language(alpha2: str) -> str | None:
    names = [Locale("en").languages.get(code.split("_")[0]) for code in get_official_languages(alpha2, de_facto=True)]
    return " and ".join(dict.fromkeys(name for name in names[:2] if name)) or None


def load_countries(flag_dir: Path) -> list[Country]:
    """Load all countries and territories with complete facts and a flag of their own, sorted by id.

    A territory with the flag of another (Bouvet Island has Norway's) is left out: a picture of the flag means the
    other.

    Args:
        flag_dir (`Path`): Folder of `xx.png` flags named by lower-case ISO code.
    """
    countries = {}
    for entry in all_countries():
        info = entry.info()
        alpha2 = (info.get("ISO") or {}).get("alpha2", "")
        if alpha2 in countries or alpha2 in SKIPPED or not (flag_dir / f"{alpha2.lower()}.png").is_file():
            continue
        facts = {
            "name": info["name"],
            "capital": info.get("capital"),
            "region": info.get("intermediateregion") or info.get("subregion"),
            "language": _language(alpha2),
            "currency": _currency(alpha2),
            "code": "+" + (info.get("callingCodes") or [""])[0].replace("-", ""),
        } | CORRECTIONS.get(alpha2, {})
        if all(isinstance(value, str) and len(value) > 1 for value in facts.values()):
            countries[alpha2] = Country(alpha2, **facts)
    ordered = [countries[key] for key in sorted(countries, key=lambda key: (_is_territory(key), key))]
    thumbnails = {country.id: thumbnail(flag_dir / f"{country.id.lower()}.png") for country in ordered}
    kept: list[Country] = []
    for country in ordered:
        if all(flag_distance(thumbnails[country.id], thumbnails[other.id]) > SAME_FLAG for other in kept):
            kept.append(country)
    return sorted(kept, key=lambda country: country.id)


def _is_territory(alpha2: str) -> bool:
    # The sovereign state keeps a shared flag; these are the dependencies with one.
    return alpha2 in {"BV", "SJ", "GP", "MQ", "RE", "YT", "GF", "PM", "WF", "NC", "UM", "HM", "MF", "BL", "CP", "SH"}


def thumbnail(path: Path) -> np.ndarray:
    """Load a flag as a (28, 42, 3) float array, by which flags are compared."""
    with Image.open(path) as image:
        return np.asarray(flatten(image).resize((42, 28), Image.Resampling.BOX), dtype=np.float32)


def flag_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two thumbnails, 0 to 255."""
    return float(np.abs(one - other).mean())


def split_countries(countries: list[Country], flag_dir: Path, seed: int = 0) -> tuple[list[Country], list[Country]]:
    """Split the countries into (train, held-out), with near-identical flags on the same side.

    The split depends on the seed; at least `NUM_HELD_OUT` countries are held out.
    """
    thumbnails = [thumbnail(flag_dir / f"{country.id.lower()}.png") for country in countries]
    return split_apart(
        countries, lambda one, other: flag_distance(thumbnails[one], thumbnails[other]) < NEAR_FLAG, seed
    )
