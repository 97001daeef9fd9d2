"""The language of a text is told from its script and its commonest words, or left undecided."""

from __future__ import annotations

import pytest

from antiphon.tools.retrieval.language import detect

PROSE = {
    "en": "You can return the bike to any of our shops, but it has to be clean when you do so.",
    "de": "Sie können das Rad in jedem Laden zurückgeben, aber es muss sauber sein.",
    "fr": "Vous pouvez rendre le vélo chez nous, mais il doit être propre avec vous.",
    "es": "Puede devolver la bicicleta en cualquier tienda, pero tiene que estar limpia.",
    "it": "Può restituire la bicicletta in ogni negozio, ma deve essere pulita con la catena.",
    "pt": "Pode devolver a bicicleta em qualquer uma das nossas lojas, mas tem de ser limpa.",
    "nl": "U kunt de fiets in al onze winkels terugbrengen, maar hij moet schoon zijn.",
    "sv": "Du kan lämna cykeln i någon av våra butiker, men den måste vara ren när du gör det.",
    "pl": "Rower można oddać w każdym sklepie, ale musi być czysty i nie jest to za darmo.",
    "tr": "Bisikleti bir mağazaya geri getirebilirsiniz ama çok temiz olarak ve bu hafta için.",
    "ru": "Вы можете вернуть велосипед в любой из наших магазинов, но он должен быть чистым.",
    "el": "Μπορείτε να επιστρέψετε το ποδήλατο σε οποιοδήποτε κατάστημα.",
    "zh": "您可以在任何一家商店归还自行车。",
    "ja": "自転車はどの店舗でも返却できます。",
    "ko": "자전거는 모든 매장에서 반납할 수 있습니다.",
    "ar": "يمكنك إعادة الدراجة في أي من متاجرنا.",
    "hi": "आप साइकिल को हमारी किसी भी दुकान पर लौटा सकते हैं।",
    "th": "คุณสามารถคืนจักรยานได้ที่ร้านใดก็ได้",
}


@pytest.mark.parametrize("tag", PROSE)
def test_a_sentence_is_enough(tag: str) -> None:
    """Whatever the knowledge would be taken for otherwise."""
    assert tag == detect(PROSE[tag], otherwise="xx")


@pytest.mark.parametrize(
    "text",
    ["", "42 | 17 | 3.50", "Tel. 555 0100", "for i in range(9):\n    print(i, x[i])\n" * 20],
    ids=["empty", "numbers", "line", "code"],
)
def test_what_is_no_prose_is_undecided(text: str) -> None:
    """The knowledge's own language is then as good a guess as any."""
    assert "de" == detect(text, otherwise="de")


def test_a_name_in_another_script_does_not_decide() -> None:
    """An English text about Tokyo stays English."""
    assert "en" == detect(PROSE["en"] + " The shop is called 東京 and it is in the old town.")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("ro", "Muzeul a fost fondat de un grup de marinari și are multe modele de nave."),
        ("vi", "Bảo tàng được thành lập bởi một nhóm thủy thủ và có nhiều mô hình tàu."),
        ("cs", "Muzeum založila skupina námořníků a má mnoho modelů lodí, které darovaly rodiny."),
        ("uk", "Музей заснували моряки, і він має багато моделей кораблів, які подарували родини."),
        ("bg", "Музеят е основан от моряци и има много модели на кораби, които са дарени."),
        ("fa", "این موزه را ملوانان ساختند و مدل‌های زیادی از کشتی‌ها در آن است."),
        ("ur", "یہ عجائب گھر ملاحوں نے بنایا تھا اور اس میں جہازوں کے بہت سے نمونے ہیں۔"),
        ("ca", "El museu va ser fundat per un grup de mariners i té molts models amb els noms."),
    ],
)
def test_neighbours_are_told_apart(tag: str, text: str) -> None:
    """Letters and words that only one of them has decide."""
    assert tag == detect(text)


@pytest.mark.parametrize(
    "text",
    [
        "Judges: Hon. Peña, Hon. De la Cruz, Hon. Núñez, Hon. Van den Berg, Hon. Del Río",
        "Café Müller, Rue de la Paix, São Paulo, Zürich, Malmö, Kraków",
    ],
)
def test_names_decide_nothing(text: str) -> None:
    """Names from elsewhere do not make a page foreign."""
    assert "en" == detect(f"{text}. You can find the list of all that there is on this page.")
