from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.prompts.library import NOTHING, PromptError, PromptFiles, Prompts

VARIABLES = {
    "answer": {"persona", "locale", "summary", "memories", "passages", "results"},
    "small_talk": {"persona", "locale", "summary", "memories", "suggestions"},
    "rewrite": {"history", "question"},
    "synth": {"title", "passage", "count"},
    "judge_claims": {"options", "items"},
    "rate_faithfulness": {"question", "answer", "evidence"},
    "rate_completeness": {"question", "answer", "evidence", "reference"},
    "rate_appropriateness": {"question", "answer"},
    "rate_naturalness": {"answer"},
    "choose_tools": {"persona", "locale"},
    "summarise": {"summary", "conversation"},
}


def prompt(name: str, *, variables: str, body: str, extra: str = "") -> str:
    """Write a prompt file."""
    return f"---\nid: {name}\nvariables: {variables}\noutput: text\n{extra}---\n{body}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of overrides."""
    path = tmp_path / "prompts"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", VARIABLES)
def test_every_built_in_prompt_says_each_of_its_values(name: str) -> None:
    """Each value given to a built-in prompt stands in what is rendered, and no place is left."""
    prompts: Prompts = PromptFiles()
    values = {variable: f"<<{variable} value>>" for variable in VARIABLES[name]}

    said = prompts.render(name, **values)

    assert [value for value in values.values() if value not in said] == []
    assert "{{" not in said


def test_an_empty_value_reads_as_nothing() -> None:
    """A model is told that there is no history rather than shown an empty heading."""
    said = PromptFiles().render("rewrite", history=" \n", question="And for gifts?")

    assert f"<conversation>\n{NOTHING}\n</conversation>" in said


def test_a_value_is_never_a_template() -> None:
    """A customer who writes a place gets it back as text: values are not expanded again."""
    said = PromptFiles().render("rewrite", history="{{question}}", question="secret")

    assert "<conversation>\n{{question}}\n</conversation>" in said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"history": "x"}, "was not given `question`", id="missing"),
        pytest.param(
            {"history": "x", "question": "y", "mood": "z"}, "no place for `mood`", id="unknown"
        ),
    ],
)
def test_wrong_variables_are_named(values: dict[str, str], message: str) -> None:
    """A missing or an unknown variable raises, and the message names it."""
    with pytest.raises(PromptError, match=message):
        PromptFiles().render("rewrite", **values)


def test_an_unknown_prompt_is_refused_with_the_known_ones() -> None:
    """Asking for a prompt that does not exist lists those that do."""
    with pytest.raises(PromptError, match=r"no prompt 'haiku': .*`answer`"):
        PromptFiles().render("haiku")


def test_an_override_replaces_one_prompt(folder: Path) -> None:
    """A file in the assistant's folder replaces the prompt of its name and leaves the others."""
    body = "In one line: {{question}} (after {{history}})"
    override = prompt("rewrite", variables="history, question", body=body)
    (folder / "rewrite.md").write_text(override, encoding="utf-8")
    own, built_in = PromptFiles(folder), PromptFiles()

    assert own.render("rewrite", history="h", question="q") == "In one line: q (after h)"
    values = {"persona": "p", "locale": "en"}
    assert own.render("choose_tools", **values) == built_in.render("choose_tools", **values)


def test_the_fingerprint_follows_the_words(folder: Path) -> None:
    """The same prompts have the same fingerprint; one changed word gives another."""
    first = PromptFiles().fingerprint
    body = "{{history}} {{question}}"
    override = prompt("rewrite", variables="history, question", body=body)
    (folder / "rewrite.md").write_text(override, encoding="utf-8")

    assert PromptFiles().fingerprint == first
    assert PromptFiles(folder).fingerprint != first


BOTH = "history, question"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("rewrite", "no front matter", "front matter", id="no-front-matter"),
        pytest.param(
            "rewrite", prompt("other", variables=BOTH, body=""), "must agree", id="another-id"
        ),
        pytest.param(
            "rewrite",
            prompt("rewrite", variables=BOTH, body="{{history}} {{question}}", extra="mood: x\n"),
            "no others",
            id="unknown-key",
        ),
        pytest.param(
            "rewrite",
            prompt("rewrite", variables=BOTH, body="{{history}}"),
            "declares `question` but does not use it",
            id="unused",
        ),
        pytest.param(
            "rewrite",
            prompt("rewrite", variables="history", body="{{history}} {{question}}"),
            "uses `question` but does not declare it",
            id="undeclared",
        ),
        pytest.param(
            "rewrite",
            prompt("rewrite", variables="history", body="{{history}}"),
            "must use exactly `history`, `question`",
            id="other-variables",
        ),
        pytest.param(
            "haiku", prompt("haiku", variables="", body="x"), "no built-in prompt", id="no-such"
        ),
    ],
)
def test_a_mistaken_override_is_refused(folder: Path, name: str, text: str, message: str) -> None:
    """A prompt file with a mistake stops the start, and the message says which file and why."""
    (folder / f"{name}.md").write_text(text, encoding="utf-8")

    with pytest.raises(PromptError, match=f"{name}.*{message}"):
        PromptFiles(folder)


def test_an_assistant_needs_no_prompts_of_its_own(tmp_path: Path) -> None:
    """Without a folder of overrides the built-in prompts are used as they are."""
    assert PromptFiles(tmp_path / "prompts").fingerprint == PromptFiles().fingerprint
