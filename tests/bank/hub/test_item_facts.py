"""What a card says of the items."""

from comem_hf.bank.hub.item_facts import describe_items
from tests.conftest import make_image


def test_sources_and_languages_of_the_items_are_counted(build, tmp_path):
    metadata = [{"language": "fr", "source": "a|b"}, {"language": "fr"}, {"language": "de", "source": 3}, {}]
    items = [{"image": make_image(n), "text": None if n else "x", "metadata": one} for n, one in enumerate(metadata)]
    bank = build(items, output_dir=tmp_path / "bank")
    assert describe_items(bank.folder, bank.config) == {
        "source": "a\\|b (1)",
        "language": "fr (2), de (1)",
    }
    bank.remove([bank.ids[0], bank.ids[2]])
    assert describe_items(bank.folder, bank.config) == {"language": "fr (1)"}
