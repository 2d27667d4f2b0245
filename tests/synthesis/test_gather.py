from comem_hf.bank import BackboneEmbedder
from comem_hf.synthesis import settings_of
from comem_hf.synthesis.gather import gather
from tests.conftest import make_image


def test_pictures_that_the_vision_tower_hardly_tells_apart_are_on_one_side(
    model, tiny_processor, bank, write_questions, tmp_path
):
    pictures = [make_image(n, (84, 84)) for n in (0, 0, 1, 2)]
    pictures[1].putpixel((3, 3), (128, 128, 128))
    (tmp_path / "damaged.png").write_bytes(b"no picture")  # it is not compared
    rows = [{"image": "damaged.png", "question": "What?"}]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "question": "What?"})
    embeddings = BackboneEmbedder(model, tiny_processor).embed_images(pictures)
    unit = embeddings / (embeddings**2).sum(axis=1, keepdims=True) ** 0.5
    cosines = unit @ unit.T
    least = float(cosines[0, 1] + max(cosines[0, 2:].max(), cosines[2, 3])) / 2
    assert cosines[0, 1] > least > cosines[2, 3]

    def sides(seed: int, **settings) -> list[str]:
        source = {"name": "own", "questions": write_questions(rows)}
        given = {"output": tmp_path / "made", "sources": [source], "held_out": 0.5, "seed": seed, "batch_size": 2}
        (gathered,) = gather(model, tiny_processor, bank, settings_of({**given, **settings}))
        return [candidate.side for candidate in gathered.candidates]

    apart = together = 0
    for seed in range(4):
        first, second = sides(seed)[1:3]
        apart += first != second
        first, second = sides(seed, near_identical=least)[1:3]
        together += first == second
    assert apart > 0 and together == 4
