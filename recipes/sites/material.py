"""Backbone, pictures and training rows, all from the recipe of the embedded default."""

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.default import default_path
from comem_hf.files.whole_folder import whole_folder
from recipes.atlas_small.data.countries.countries import load_countries, split_countries
from recipes.atlas_small.data.countries.flags import flag_drawings
from recipes.atlas_small.data.countries.invention import Inventor
from recipes.atlas_small.data.countries.sources import fetch_flags
from recipes.atlas_small.data.samples.memory_data import write_rows
from recipes.atlas_small.data.samples.pictures import load_motifs, make_pictures
from recipes.atlas_small.data.samples.samples import SampleMaker

from .run import Run


SPLIT_SEED = 0  # the embedded default's: its backbone has never seen the flags of the countries that this holds out
ONE_FACT_SHARE = 1 / 3  # of the steps; longer is not needed, at most:
ONE_FACT_STEPS = 100


def write_backbone(run: Run) -> None:
    """Write the embedded default's backbone, a plain Qwen2-VL, and its processor."""
    if run.backbone.is_dir():
        return
    with whole_folder(run.backbone, "work") as folder:
        CoMemForConditionalGeneration.from_pretrained(default_path("model")).backbone.save_pretrained(folder)
        CoMemProcessor.from_pretrained(default_path("model")).save_pretrained(folder)


def write_material(run: Run) -> None:
    """Fetch the flags, draw the pictures and write the rows that every way is trained on, in this order.

    A row is a conversation about a picture, with the memory items that hold the answers. The first rows have items of
    one fact.
    """
    if run.rows.is_file():
        return
    flags = fetch_flags(run.work)
    train, held_out = split_countries(load_countries(flags), flags, SPLIT_SEED)
    make_pictures(run.pictures, [flag_drawings(train, flags)], SPLIT_SEED)
    easy = min(ONE_FACT_STEPS, int(run.steps * ONE_FACT_SHARE)) * run.batch_size
    maker = SampleMaker(
        Inventor(train, held_out),
        load_motifs(run.pictures),
        several=0.3,
        single_until=easy,
        one_fact_until=easy,
        partial=0.2,
        look=0.03,
        repeat=0.1,
        seed=run.seed,
    )
    write_rows(run.rows, maker, run.steps * run.batch_size, run.pictures.name)
