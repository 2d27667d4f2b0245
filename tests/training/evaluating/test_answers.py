"""Answers that a model in training generates to its evaluation questions."""

import json

import pytest

from comem_hf.answering import exact_match, generate_answers, question_inputs
from comem_hf.training import MemoryCollator, MemoryEncoderTrainer, MemoryTrainingArguments, train_memory_encoder
from comem_hf.training.evaluating.answers import GeneratedAnswers, split_at_last_answer
from tests.training.conftest import Interrupt


def answer_alone(model, processor, row, max_new_tokens: int) -> str:
    memories = [row["memories"]] if row.get("memories") else None
    memory = processor.process_memories(memories) if memories else None
    [answer] = generate_answers(
        model, processor, question_inputs(processor, [row["question"]], [row["image"]], None, memory), max_new_tokens
    )
    return answer


def test_a_batch_is_cut_before_the_last_answer_of_each_conversation(tiny_processor, rows):
    rows = [{**row, "answer": row["answer"] * (number + 1)} for number, row in enumerate(rows)]
    turns = [("user", "Two?"), ("assistant", "Yes"), ("user", "Three?"), ("assistant", "No, not at all")]
    conversation = [{"from": role, "value": text} for role, text in turns]
    rows.append({"image": None, "conversations": conversation})
    batch = MemoryCollator(tiny_processor, with_names=True)(rows)
    questions, answers = split_at_last_answer(batch, tiny_processor.tokenizer.pad_token_id)
    assert questions.keys() == batch.keys() - {"labels", "names"}
    for number, row in enumerate(rows[:4]):
        alone = question_inputs(tiny_processor, [row["question"]], [row["image"]])
        length = alone["input_ids"].shape[1]
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            assert questions[name][number, -length:].tolist() == alone[name][0].tolist()
            assert name == "input_ids" or not questions[name][number, :-length].any()
    texts = tiny_processor.batch_decode(questions["input_ids"], skip_special_tokens=True)
    assert "Yes" in texts[4] and texts[4].endswith("Three?\nassistant\n")
    read = [text.strip() for text in tiny_processor.batch_decode(answers, skip_special_tokens=True)]
    assert read == [*(row["answer"] for row in rows[:4]), "No, not at all"]
    del batch["labels"]
    no_answer = {**batch, "labels": batch["input_ids"].new_full(batch["input_ids"].shape, -100)}
    whole, _ = split_at_last_answer(no_answer, tiny_processor.tokenizer.pad_token_id)
    assert whole["input_ids"].equal(batch["input_ids"])


@pytest.mark.parametrize("settings", [{}, {"bf16": True}], ids=["as loaded", "mixed precision"])
def test_the_share_of_exact_answers_is_what_each_question_gives_alone(
    settings, make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable().eval()
    expected = [answer_alone(model, tiny_processor, row, 1) for row in rows]
    rows = [{**row, "answer": text} for row, text in zip(rows, [*expected[:3], "?"], strict=True)]
    asked = []

    class Remembering(GeneratedAnswers):
        def ask(self, *args, **kwargs):
            super().ask(*args, **kwargs)
            asked.append(list(self.right))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("comem_hf.training.trainer.GeneratedAnswers", Remembering)
        for limit, score in ((None, 0.75), (2, 1.0), (0, None)):
            args = make_arguments(
                per_device_eval_batch_size=3, max_eval_samples=limit, eval_max_new_tokens=1, **settings
            )
            trainer = MemoryEncoderTrainer(
                model=model,
                args=args,
                data_collator=MemoryCollator(tiny_processor, with_names=True),
                eval_dataset=rows,
            )
            metrics = trainer.evaluate()
            assert metrics.get("eval_exact_match") == score and "eval_loss" in metrics
            trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    assert asked == [[1, 1, 1], [1, 1, 1, 0], [1, 1], [1, 1]]
    assert exact_match(" A ", "a")


def test_the_best_model_is_kept_and_a_run_without_progress_ends_and_goes_on_with_its_patience(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    settings = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "max_steps": 9,
        "eval_max_new_tokens": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "exact_match",
        "early_stopping_patience": 2,
    }
    model = make_trainable().eval()
    rows = [{**row, "answer": answer_alone(model, tiny_processor, row, 1)} for row in rows]
    args = make_arguments(learning_rate=1e-9, **settings)
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(model, tiny_processor, rows, args, eval_dataset=rows, callbacks=[Interrupt(2)])
    args, model = make_arguments(learning_rate=1e-9, **settings), make_trainable()
    output = train_memory_encoder(model, tiny_processor, rows, args, eval_dataset=rows)
    assert output.global_step == 3  # all right after the first update, and so no better after two more
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    assert [row["eval_exact_match"] for row in state["log_history"] if "eval_loss" in row] == [1.0] * 3
    assert (state["best_global_step"], state["best_metric"]) == (1, 1.0)
    saved = json.loads((tmp_path / "run" / "checkpoint-3" / "trainer_state.json").read_text())
    assert saved["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"] == {"early_stopping_patience_counter": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_eval_samples": -1}, "`max_eval_samples` must not be negative, got -1"),
        ({"eval_max_new_tokens": 0}, "`eval_max_new_tokens` must be a positive number, got 0"),
        ({"early_stopping_patience": 0, "eval_strategy": "steps"}, "`early_stopping_patience` must be a positive"),
        ({"early_stopping_patience": 2}, "`early_stopping_patience` needs evaluations: set `eval_strategy`"),
        ({"max_eval_samples": 0, "metric_for_best_model": "exact_match"}, "`max_eval_samples` is 0, so nothing is"),
    ],
)
def test_settings_of_evaluation_that_make_no_sense_are_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        MemoryTrainingArguments(output_dir=str(tmp_path), **settings)
