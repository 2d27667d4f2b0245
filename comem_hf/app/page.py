"""The page: its layout and its events."""

import json
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from comem_hf.app.incoming.picture import MAX_FILE_BYTES

from .comparison import Comparer
from .examples import Example
from .results import EMPTY, header
from .style import SHOW_ANSWERS
from .visitor import ask, check_picture


def build_page(comparer: Comparer, examples: Sequence[Example], questions: Sequence[str], uploads: Path) -> gr.Blocks:
    """Lay out the page.

    Args:
        comparer (`Comparer`): Source of the answers.
        examples (`Sequence[Example]`): Pictures to start with, a button each.
        questions (`Sequence[str]`): Questions to start with, a button each.
        uploads (`Path`): Gradio's folder of uploads, the only one whose files are opened.
    """
    with gr.Blocks(title="comem: ask with memory", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.HTML(header(len(comparer.bank), min(comparer.top_k, len(comparer.bank))), elem_id="header")
        with gr.Row(elem_id="layout"):
            with gr.Column(scale=2, min_width=300, elem_id="form"):
                picture = gr.Image(
                    label="Picture",
                    format="png",
                    type="filepath",
                    image_mode=None,
                    sources=["upload"],
                    buttons=[],
                    alt_text="The picture you ask about",
                    height=220,
                    placeholder=f"Drop a picture, or click to choose one\n(up to {MAX_FILE_BYTES // 2**20} MB)",
                    elem_id="picture",
                )
                with gr.Row(elem_id="examples", elem_classes="choices"):
                    pictures = [
                        gr.Button(example.name, size="sm", min_width=0, elem_id=f"example-{number}")
                        for number, example in enumerate(examples)
                    ]
                question = gr.Textbox(
                    label="Question", placeholder="What do you want to know?", lines=1, max_lines=1, elem_id="question"
                )
                with gr.Row(elem_id="questions", elem_classes="choices"):
                    suggestions = [gr.Button(text, size="sm", min_width=0) for text in questions]
                # 0 uses all items. Without probabilities there is nothing to choose.
                min_score = gr.Slider(
                    0,
                    1,
                    value=0,
                    step=0.05,
                    label="min_score",
                    info="Least probability that an item shows the same thing as the picture",
                    buttons=[],
                    visible=comparer.bank.is_calibrated,
                    elem_id="min-score",
                )
                button = gr.Button("Ask", variant="primary", elem_id="ask")
                message = gr.HTML("", elem_id="problem")
            with gr.Column(scale=3, min_width=300):
                answers = gr.HTML(EMPTY, elem_id="answers")

        # Gradio decodes pictures before it calls a function, without limits; `preprocess=False` turns that off.
        def answer(sent_picture: object, sent_question: object, sent_min_score: object) -> tuple[str, str]:
            return ask(comparer, sent_picture, sent_question, uploads, sent_min_score)

        def check_upload(sent_picture: object):
            said = check_picture(sent_picture, uploads)
            return said, None if said else gr.skip()

        hidden = {"api_visibility": "private", "show_progress": "hidden"}
        for example, choice in zip(examples, pictures, strict=True):
            choice.click(lambda example=example: ("", example.picture), None, [message, picture], **hidden)
        for text, choice in zip(questions, suggestions, strict=True):
            choice.click(None, None, question, js=f"() => {json.dumps(text)}", **hidden)
        picture.upload(check_upload, picture, [message, picture], preprocess=False, **hidden)
        asked = gr.on(
            [button.click, question.submit],
            answer,
            [picture, question, min_score],
            [message, answers],
            preprocess=False,
            api_visibility="private",
            show_progress_on=answers,
            concurrency_id="model",
        )
        asked.then(None, js=SHOW_ANSWERS, **hidden)
    return page.queue(max_size=16, default_concurrency_limit=1)
