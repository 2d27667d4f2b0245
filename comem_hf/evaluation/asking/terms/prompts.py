"""The published prompts of the benchmarks, so that scores can be compared with the paper's.

Source: the inference scripts of the CoMEM release (WenyiWU0111/CoMEM at 65de858), whose exact texts these are, blanks
at the ends of lines included.
"""

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


def _form(steps: str) -> str:
    return f"    Reasoning Process: {steps}\n    Final answer: \\boxed{{your short answer here}}"


# OK-VQA, A-OKVQA and ViQuAE, with items and without.
SHORT_ANSWER = (
    "Question: {question} \n"
    "    For this question, please perform step-by-step reasoning, to obtain the final answer. Your final answer "
    "should be short and concise.\n"
    "    Note that the final answer should be formatted as:\n" + _form("all thinking steps")
)

INFOSEEK = {
    True: (
        "Question: {question} \n"
        "    For this question, please reference to the given information and perform step-by-step reasoning, to "
        "obtain the final answer. \n"
        "    Note that the final answer should be formatted as:\n" + _form("all thinking steps")
    ),
    False: (
        "Question: {question} \n"
        "    For this question, please perform step-by-step reasoning, to obtain the final answer. Note that the "
        "final answer should be formatted as:\n" + _form("all thinking steps")
    ),
}

_OVEN = (
    "Question: {question} \n"
    "    For this question, please refer to the given information and then perform step-by-step reasoning, to obtain "
    "the final answer. Note that the final answer should be formatted as:\n"
)
OVEN = {
    True: _OVEN + _form("your thinking steps here") + "\n    ",
    False: _OVEN + _form("all thinking steps") + "\n    ",
}

MRAG = {
    True: (
        "For this question, please perform step-by-step reasoning, to obtain the final answer. Note that the final "
        "answer should only be the option's letter.\n"
    ),
    False: "Answer according to the image with the option's letter from the given choices directly.\n",
}

# The same with items and without; the options follow the question.
CVQA = {
    "es": (
        "Pregunta: {question} \n"
        "Para esta pregunta, por favor realiza un razonamiento paso a paso para obtener la respuesta final.\n"
        "Debes responder solo con el número de la opción.\n"
        "Ten en cuenta que la respuesta final debe estar en el siguiente formato:\n"
        "Proceso de razonamiento: todos los pasos del pensamiento\n"
        "Respuesta final: \\boxed{tu número de opción aquí}"
    ),
    "ru": (
        "Вопрос: {question} \n"
        "Пожалуйста, выполните пошаговое рассуждение, чтобы получить окончательный ответ.\n"
        "Вы должны отвечать только номером варианта.\n"
        "Обратите внимание, что окончательный ответ должен быть в следующем формате:\n"
        "Ход рассуждений: все шаги мышления\n"
        "Окончательный ответ: \\boxed{ваш номер варианта}"
    ),
    "bg": (
        "Въпрос: {question} \n"
        "Моля, направете стъпка по стъпка разсъждение, за да получите крайния отговор.\n"
        "Трябва да отговорите само с номера на опцията.\n"
        "Обърнете внимание, че крайният отговор трябва да е във формат:\n"
        "Процес на разсъждение: всички стъпки на мислене\n"
        "Окончателен отговор: \\boxed{вашият номер на опция}"
    ),
    "pt": (
        "Pergunta: {question} \n"
        "Para esta pergunta, por favor, realize um raciocínio passo a passo para obter a resposta final.\n"
        "Você deve responder apenas com o número da opção.\n"
        "Note que a resposta final deve estar no seguinte formato:\n"
        "Processo de raciocínio: todos os passos do pensamento\n"
        "Resposta final: \\boxed{o número da sua opção aqui}"
    ),
    "zh": (
        "问题: {question} \n"
        "请对这个问题进行逐步推理，以得出最终答案。\n"
        "你应该只回复选项编号。\n"
        "请注意最终答案的格式如下：\n"
        "推理过程: 所有思考步骤\n"
        "最终答案: \\boxed{你的选项编号}"
    ),
}

MULTILINGUAL = {
    ("es", True): (
        "Pregunta: {question}  \n"
        "Para esta pregunta, por favor consulta la información proporcionada y realiza un razonamiento paso a paso "
        "para llegar a la respuesta final.  \n"
        "Ten en cuenta que la respuesta final debe tener el siguiente formato:  \n"
        "Proceso de razonamiento: todos los pasos del pensamiento  \n"
        "Respuesta final: \\boxed{tu respuesta breve aquí}"
    ),
    ("pt", True): (
        "Pergunta: {question}  \n"
        "Para esta pergunta, por favor, consulte as informações fornecidas e realize um raciocínio passo a passo para "
        "chegar à resposta final.  \n"
        "Note que a resposta final deve estar formatada da seguinte forma:  \n"
        "Processo de raciocínio: todos os passos do pensamento  \n"
        "Resposta final: \\boxed{sua resposta curta aqui}"
    ),
    ("zh", True): (
        "问题: {question}  \n"
        "请参考所给信息，并进行逐步推理，以得出最终答案。  \n"
        "请注意，最终答案应采用以下格式：  \n"
        "推理过程: 所有思考步骤  \n"
        "最终答案: \\boxed{你的简短答案}"
    ),
    ("ru", True): (
        "Вопрос: {question}  \n"
        "Пожалуйста, опирайтесь на предоставленную информацию и выполните пошаговое рассуждение, чтобы получить "
        "окончательный ответ.  \n"
        "Обратите внимание, что окончательный ответ должен быть в следующем формате:  \n"
        "Ход рассуждений: все шаги размышлений  \n"
        "Окончательный ответ: \\boxed{ваш краткий ответ здесь}"
    ),
    ("bg", True): (
        "Въпрос: {question}\n"
        "За този въпрос, моля, използвайте предоставената информация и извършете поетапно разсъждение, за да "
        "достигнете до крайния отговор.  \n"
        "Обърнете внимание, че крайният отговор трябва да бъде във формат:\n"
        "Процес на разсъждение: всички мисловни стъпки  \n"
        "Краен отговор: \\boxed{вашият кратък отговор тук}"
    ),
    ("es", False): (
        "Pregunta: {question} \n"
        "Para esta pregunta, por favor realiza un razonamiento paso a paso para llegar a la respuesta final.\n"
        "Ten en cuenta que la respuesta final debe tener el siguiente formato:\n"
        "Proceso de razonamiento: todos los pasos del pensamiento\n"
        "Respuesta final: \\boxed{tu respuesta breve aquí}"
    ),
    ("pt", False): (
        "Pergunta: {question}  \n"
        "Para esta pergunta, por favor, realize um raciocínio passo a passo para chegar à resposta final.  \n"
        "Note que a resposta final deve estar formatada da seguinte forma:  \n"
        "Processo de raciocínio: todos os passos do pensamento  \n"
        "Resposta final: \\boxed{sua resposta curta aqui}"
    ),
    ("zh", False): (
        "问题: {question} \n"
        "请对这个问题进行逐步推理，以得出最终答案。\n"
        "请注意，最终答案应采用以下格式：\n"
        "推理过程: 所有思考步骤\n"
        "最终答案: \\boxed{你的简短答案}"
    ),
    ("ru", False): (
        "Вопрос: {question} \n"
        "Пожалуйста, выполните пошаговое рассуждение, чтобы получить окончательный ответ.\n"
        "Обратите внимание, что окончательный ответ должен быть в следующем формате:\n"
        "Ход рассуждений: все шаги размышлений\n"
        "Окончательный ответ: \\boxed{ваш краткий ответ здесь}"
    ),
    ("bg", False): (
        "Въпрос: {question}\n"
        "Моля, извършете поетапно разсъждение, за да достигнете до крайния отговор. Обърнете внимание, че крайният "
        "отговор трябва да бъде във формат:\n"
        "Процес на разсъждение: всички мисловни стъпки  \n"
        "Краен отговор: \\boxed{вашият кратък отговор тук}"
    ),
}


def prompt_of(benchmark: str, question: BenchmarkQuestion, *, has_items: bool) -> str:
    """Return the published prompt of a question.

    Args:
        benchmark (`str`): Name of the benchmark.
        question (`BenchmarkQuestion`): The question.
        has_items (`bool`): Whether the model gets items, in its prompt or as memory: some benchmarks then ask it to
            use the given information.

    Raises:
        ValueError: If there is no prompt in the question's language.
    """
    if benchmark == "mrag":
        options = "".join(f"\n{letter}: {option}" for letter, option in zip("ABCD", question.options, strict=False))
        return f"{MRAG[has_items]}{question.question}\n Choices:{options}"
    asked = question.question
    if benchmark == "cvqa":
        asked += "".join(f"{number}. {option} " for number, option in enumerate(question.options, start=1))
        template = _in_language(CVQA, question.language, "CVQA")
        return template.replace("{question}", asked)
    if benchmark == "infoseek_multilingual":
        _in_language({language: "" for language, _ in MULTILINGUAL}, question.language, "multilingual InfoSeek")
        return MULTILINGUAL[question.language, has_items].replace("{question}", asked)
    template = {"infoseek": INFOSEEK[has_items], "oven": OVEN[has_items]}.get(benchmark, SHORT_ANSWER)
    return template.replace("{question}", asked)


def _in_language(templates: dict[str, str], language: str, benchmark: str) -> str:
    if language not in templates:
        raise ValueError(
            f"There is no published prompt for {benchmark} in {language!r}, only in {', '.join(sorted(templates))}."
        )
    return templates[language]
