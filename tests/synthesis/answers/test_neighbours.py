import io

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.synthesis.answers.neighbours import Neighbours


def test_hidden_items_and_the_picture_itself_are_left_out_and_others_take_their_place(bank):
    pictures = [bank[f"item-{n}"].load_image() for n in range(3)]
    questions = []
    for number, picture in enumerate(pictures):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        questions.append(BenchmarkQuestion(f"q{number}", "What?", buffer.getvalue(), None))
    found = [[hit.item.id for hit in hits] for hits in bank.search(image=pictures, k=8)]
    assert [ids[0] for ids in found] == ["item-0", "item-1", "item-2"]

    hidden = {"q0": {*found[0][:5]}, "q1": {*found[1][:7]}}
    chosen = Neighbours(bank, 2, hidden).find(questions, pictures)
    expected = [found[0][5:7], found[1][7:], found[2][:2]]  # of the second question, one item alone is left
    assert [[item.id for item in items] for items in chosen] == expected

    chosen = Neighbours(bank, 2, hidden, exclude_query_image=True).find(questions, pictures)
    assert [item.id for item in chosen[2]] == found[2][1:3]
    # Half the size, it is another picture.
    half = [picture.resize((56, 42)) for picture in pictures]
    buffer = io.BytesIO()
    half[2].save(buffer, "PNG")
    other = BenchmarkQuestion("q2", "What?", buffer.getvalue(), None)
    nearest = bank.search(image=half[2], k=1)[0].item.id
    chosen = Neighbours(bank, 1, {}, exclude_query_image=True).find([other], half[2:])
    assert [item.id for item in chosen[0]] == [nearest]
