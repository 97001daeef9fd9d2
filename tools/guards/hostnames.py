"""Where a text names a host without a scheme, as linkifiers and chat clients read it.

A name is judged whole, by its last label. What ends like a host but is prose or code is left
alone where nothing behind it makes an address of it and it has no more than the two labels that
prose has: a file, a sentence without a space before it, a field or a call of a method.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from antiphon.tools.guards.readings import Span

_COUNTRIES = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv
bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es
et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu
id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt
lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no
np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si
sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk
us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
"""
_GENERIC = """
com net org edu gov mil int info biz name pro aero asia coop museum jobs mobi travel tel cat post
web xxx arpa onion example app dev page site online website shop store tech cloud blog live news
click link xyz top icu vip club work works life world today space fun wiki design agency email help
support chat social media digital zone security art bar beauty best bet bid bio black blue bot boo
build business buzz buy cafe cam camp capital care careers cash casino center cfd channel church
city codes coffee college community company computer consulting cool coupons credit cyou dad date
day deals delivery direct directory dog domains download earth education energy engineer enterprises
esq events exchange expert express faith family fan farm fashion finance financial fit fitness
foo forsale foundation free fund fyi gallery game games garden gdn gift gifts gives global gmbh gold
graphics gratis green group guide guru hair health homes host hosting house how immo immobilien inc
ing institute insure international investments kaufen kim land lat law lawyer legal lgbt limited
llc loan loans lol love ltd makeup management market marketing mba men money monster mov movie
network new ninja nyc one ooo partners parts party pet phd photo photography photos pics pictures
pink pizza place plus porn press prof promo properties pub quest racing realtor recipes red rent
report republican rest restaurant review reviews rip rocks rsvp run sale sbs school science sexy
show singles ski skin solutions study style sucks surf systems talk tattoo tax taxi team technology
tickets tips tools tours town toys trade trading training tube university uno ventures versicherung
video villas vision vote voyage watch webcam wedding whoswho win wine wtf yachts yoga you zip amazon
bayern berlin cologne google hamburg koeln london moscow paris ruhr saarland swiss tirol tokyo wien
"""
_NOT_LATIN = """
рф рус укр бел мкд срб қаз бг ею мон ком орг сайт онлайн дети москва католик ελ ευ გე հայ 中国
中國 香港 台湾 台灣 新加坡 澳門 公司 网络 网址 网站 網站 在线 中文网 商城 商店 商标 集团 我爱你
移动 手机 游戏 政务 公益 机构 世界 企业 娱乐 广东 佛山 时尚 网店 購物 餐厅 健康 信息 新闻 慈善
组织机构 みんな コム クラウド ストア セール ファッション ポイント 한국 삼성 닷컴 닷넷 ไทย ישראל
קום مصر السعودية امارات ایران ايران عمان قطر الاردن تونس الجزائر المغرب سورية فلسطين عراق اليمن
سودان موريتانيا پاکستان بھارت شبكة موقع بازار كوم همراه عرب
"""
_FILES = "md py rs sh pl cc so ps pm mk tf zip mov"
_STARTERS = """
am as at be by do er es im in is it me my no so to us best buy care date day delivery email express
free gift help how info jobs life link live media money name new news one online parts pay place
plus post rent report sale shop show social space store support talk team tips today top training
video watch work world you
"""
_ABBREVIATIONS = "e.g i.e z.b d.h u.a a.m p.m"
# What has fields in code: nobody sends a reader to `user.name`.
_OBJECTS = """
self this cls user users item items obj object row event order customer account product person
config request response args ctx state node message msg data
"""
_METHODS = "as at cat do in is post to"

_HOSTS_END = frozenset(f"{_COUNTRIES} {_GENERIC} {_NOT_LATIN}".split())
_FILES_END = frozenset(_FILES.split())
_SENTENCE_BEGINS = frozenset(_STARTERS.split())
_ABBREVIATED = frozenset(_ABBREVIATIONS.split())
_HAS_FIELDS = frozenset(_OBJECTS.split())
_CALLED = frozenset(_METHODS.split())

# Browsers leave the unseen out of a host.
_UNSEEN = r"\u00ad\u200b-\u200d\u2060\ufeff"
_LABEL = rf"[\w{_UNSEEN}-]"
# Whole or not at all: each run of labels is read once.
_NAMED = re.compile(
    rf"(?<![\w{_UNSEEN}@/-])(?<!{_LABEL}[.。．｡])({_LABEL}++(?:[.。．｡]{_LABEL}++)++)"
    r"((?::\d{1,5})?+(?:[/?#:][\w/?=&%.:#+~@,!$-]*)?)"
)
_MAILBOX = re.compile(r"@[\w-]{1,63}\.\w")
_OTHER_DOTS = re.compile("[。．｡]")
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_EDGES = "._-"
_TARGET = re.compile(r"\]\(<?\Z")
TRAILING = ".,;:!?}*_"


def named(text: str) -> Iterator[tuple[int, str]]:
    """Yield where a text names a host, and the host with what stands behind it of an address."""
    for match in _NAMED.finditer(text):
        if _MAILBOX.match(text, match.end(1)):
            continue
        for start, end in _hosts(match[1], match.start()):
            # Emphasis ends a name; a path belongs to it only where it follows at once.
            path = match[2].rstrip(TRAILING) if end == match.end(1) else ""
            before, after = text[max(0, start - 3) : start], text[end : end + 1]
            if not _is_plain(text[start:end], path, before, after):
                yield start, text[start:end] + path


def _hosts(run: str, at: int) -> Iterator[Span]:
    """Yield where hosts stand in labels: the whole, else what their script's stops set apart."""
    plain = _OTHER_DOTS.sub(".", run)
    whole = plain == run or (_HIDDEN.sub("", plain).isascii() and _is_host(plain))
    for part in (run,) if whole else _OTHER_DOTS.split(run):
        name = part.strip(_EDGES)
        if _is_host(_OTHER_DOTS.sub(".", name)):
            start = at + part.index(name)
            yield start, start + len(name)
        at += len(part) + 1


def _is_host(name: str) -> bool:
    """Return whether the last label is one that names end with."""
    rest, _, ending = _HIDDEN.sub("", name).strip(_EDGES).rpartition(".")
    ending = ending.lower()
    return bool(rest) and (ending in _HOSTS_END or ending.startswith("xn--"))


def _is_plain(host: str, path: str, before: str, after: str) -> bool:
    """Return whether what ends like a host is prose or code."""
    rest, _, ending = host.rpartition(".")
    if ending in _FILES_END and _TARGET.search(before) and path[:1] in ("", "#"):
        return True
    if path:
        return False
    if rest.lower() in _ABBREVIATED:
        return ending.lower() in _SENTENCE_BEGINS
    if "." in rest:
        return False
    if ending.istitle():
        return ending.lower() in _SENTENCE_BEGINS
    return ending in _FILES_END or rest in _HAS_FIELDS or (after == "(" and ending in _CALLED)
