"""Asking a person before a tool runs: the question, and reading their yes or no."""

from __future__ import annotations

import re

from antiphon.tools.toolbox.calls import ToolCall, ToolSpec
from antiphon.tools.toolbox.schema import spoken
from antiphon.tools.toolbox.wording import fill

# English, German, Spanish, French. A phrase counts only at the start of the message.
_YES = (
    "yes|yeah|yep|yup|sure|ok|okay|confirm|confirmed|approve|approved|agreed|correct|"
    "proceed|go ahead|do it|please do(?! not)|of course|absolutely|definitely|"
    "ja|jawohl|klar|gerne|genau|einverstanden|bestätigt|mach das|"
    "sí|si|claro|vale|de acuerdo|adelante|confirmo|por supuesto|"
    "oui|ouais|d'accord|bien sûr|vas-y|allez-y|je confirme"
)
_NO = (
    "no(?! problem| worries)|nope|nah|cancel|stop|decline|declined|reject|rejected|deny|"
    "denied|abort|don't|do not|dont|never mind|nevermind|not now|leave it|forget it|"
    "nein|nee|nicht|abbrechen|stopp|lass es|lieber nicht|"
    "cancelar|cancela|para|mejor no|déjalo|"
    "non|annule|annuler|arrête|arrêter|surtout pas|laisse tomber"
)
# After a yes, a word that takes it back or changes the terms means it was no clear yes.
_DOUBT = (
    "no|not|don't|dont|but|wait|instead|except|unless|if|first|change|"
    "nein|nicht|aber|warte|sondern|wenn|pero|espera|excepto|mais|pas|attends|sauf|non"
)
_MOST_WORDS = 10

_STARTS_YES = re.compile(rf"(?:{_YES})(?!\w)")
_STARTS_NO = re.compile(rf"(?:{_NO})(?!\w)")
_HAS_YES = re.compile(r"(?<!\w)(?:yes|ja|sí|oui|do it|go ahead)(?!\w)")
_HAS_DOUBT = re.compile(rf"(?<!\w)(?:{_DOUBT})(?!\w)")
_POLITE = re.compile(r"^(?:please|bitte|por favor|s'il vous plaît|s'il te plaît)\s*,?\s*")


def question(spec: ToolSpec, call: ToolCall) -> str:
    """Return what to ask the approver of `call`."""
    filled = fill(spec.confirm, call.arguments) if spec.confirm else ""
    if filled:
        return filled
    given = ", ".join(
        f"{spoken(name)} {value}" for name, value in call.arguments.items() if value is not None
    )
    return f"Shall I go ahead with {spoken(spec.name)}{f' ({given})' if given else ''}?"


def decision(text: str) -> bool | None:
    """Read a yes or a no; None when the message is neither, or not clearly so."""
    said = re.sub(r"\s+", " ", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    said = said.strip().casefold()
    if said.strip("\N{VARIATION SELECTOR-16}") in ("\N{THUMBS UP SIGN}", "y"):
        return True
    if said.strip("\N{VARIATION SELECTOR-16}") in ("\N{THUMBS DOWN SIGN}", "n"):
        return False
    if "?" in said or len(said.split()) > _MOST_WORDS:
        return None
    agreed = _STARTS_YES.match(said) or _STARTS_YES.match(_POLITE.sub("", said))
    if agreed:
        return None if _HAS_DOUBT.search(agreed.string, agreed.end()) else True
    refused = _STARTS_NO.match(_POLITE.sub("", said))
    if refused:
        return None if _HAS_YES.search(refused.string, refused.end()) else False
    return None
