"""Filling in cards with huggingface_hub, from the templates of `model_cards/`."""

from importlib.resources import files
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from huggingface_hub import CardData


CARD_NAME = "README.md"  # of a folder or a repository


def fill_template(template: str, metadata: "CardData", **values) -> str:
    """Fill in a card.

    Args:
        template (`str`): File name of the template.
        metadata (`ModelCardData` or `DatasetCardData`): Metadata, which goes between the lines of `---`.
        values: Values of the names in the template's text; `how_to_install` has one already.
    """
    from huggingface_hub import DatasetCard, DatasetCardData, ModelCard

    from comem_hf.modeling.installation_comem import how_to_install

    text = files("comem_hf.model_cards").joinpath(template).read_text(encoding="utf-8")
    card_class = DatasetCard if isinstance(metadata, DatasetCardData) else ModelCard
    return str(card_class.from_template(metadata, template_str=text, how_to_install=how_to_install(), **values))
