"""What an injection or a jailbreak says, as weighted clauses; a sum of 1 is an attack.

Clauses are read against folded text: lower case, without accents, single spaces. One clause of
weight 1 is a phrase with no innocent use towards a support assistant; the others need company.
Gaps are bounded, so that matching stays linear in the length of the text.
"""

# ruff: noqa: E501 (a pattern broken over more lines is harder to read, not easier)

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clause:
    """One phrase, how much it weighs, and which technique it betrays."""

    technique: str
    weight: float
    pattern: re.Pattern[str]


_DROP = (
    r"(?:ignor(?:e|es|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|"
    r"discard|neglect|dismiss|erase|abandon|pay no attention to|"
    r"(?:do not|don'?t|stop|never) (?:follow(?:ing)?|obey(?:ing)?|listen(?:ing)? to))"
)
_FILL = (
    r"(?: (?:all|any|every|each|of|the|your|and|or|that|those|these|this|system|previous|prior|above|"
    r"earlier|preceding|former|past|existing|current|given|initial|original|developer|openai|"
    r"safety|other|about|to|with|everything|\w+'s))"
)
_BEFORE = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|former|past|initial|original|existing|"
    r"foregoing|all|any|every|your|system|these)"
)
_RULES = (
    r"(?:instructions?|prompts?|directives?|directions|guidelines?|rules|commands?|programming|"
    r"training|constraints|restrictions|orders you|context|safeguards|guardrails|tasks?\b)"
)
_TELL = (
    r"(?:show|reveal|print|repeat|output|display|tell|give|leak|dump|disclose|expose|recite|share|"
    r"write|list|state|say|spell|translate|summari[sz]e|paraphrase|encode|return|type|copy|provide|"
    r"read|send|what(?:'s| is| are| was| were))"
)
_UNBOUND = (
    r"(?:unfiltered|uncensored|unrestricted|unhinged|amoral|immoral|unethical|jailbroken|unbound|"
    r"unlimited|unchained|evil|malicious|nonmoral|unrestrained|lawless)"
)
_BOT = (
    r"(?:ais?|a\.i\.|bot|chat ?bot|assistant|language model|model|chatgpt|gpt|persona|character|"
    r"version|entity|mode|robot|program|system|response|answer|output|being|person)"
)
_FREE = r"(?:no|without|any|free (?:of|from)|freed from|not bound by|not have(?: any)?|lacks?|ignores?|break free of|broken free of|escaped?|bypass(?:es)?|zero)"
_LIMITS = (
    r"(?:restrictions?|limits|limitations?|censorship|censor|filters?|filtering|morals?|morality|"
    r"ethics?|ethical|boundaries|constraints|guidelines|rules|laws|polic(?:y|ies)|confines)"
)
_BAD = (
    r"(?:illegal|unethical|immoral|harmful|dangerous|offensive|inappropriate|explicit|nsfw|inhumane|"
    r"violent|hateful|toxic|objectionable|derogatory|criminal|vulgar|sexual|controversial)"
)

# fmt: off
_TABLE: tuple[tuple[str, float, str], ...] = (
    # Instructions set aside.
    ("override", 1.0, (rf"\b{_DROP}{_FILL}{{0,6}} {_BEFORE}{_FILL}{{0,4}} {_RULES}\b"
     rf"(?! (?:that |which )?i (?:gave|sent|wrote|left|made|mentioned|put|set))")),
    ("override", 1.0, (rf"\b{_DROP}{_FILL}{{0,5}} (?:{_RULES}|messages|text|words) "
     r"(?:that )?(?:above|before|preceding|prior|you|we|from before|given|so far|up to)\b")),
    ("override", 1.0, (r"\b(?<!you )(?<!to )(?:ignore|disregard|forget|erase) (?:everything|anything|all|what(?:ever)?)"
     r"(?: that| of that)? (?:above|before|prior|previous\w*|from before|earlier|you (?:were|have been|"
     r"are|know|learned|was|got)|i (?:said|told)|we|that was|that came|you've|in your)\b")),
    ("override", 1.0, (r"\byou are (?:no longer|not) (?:bound|restricted|limited|constrained|required|"
     r"governed|subject)\b|\byou (?:no longer have|do not have|don'?t have) to (?:follow|obey|abide|"
     r"comply|adhere)\b")),
    ("override", 0.7, (r"(?:^|[\n.!:*#>] ?)(?:new|updated|revised|real|actual|additional) (?:instructions?|"
     r"task|directive|rules|system prompt|objective)\s?:")),
    ("override", 0.8, (r"\b(?:end of|</?)\s?(?:the )?(?:system )?(?:prompt|instructions|context)\b[ .:>\]-]{1,10}"
     r"(?:begin|start|new|now|user|ignore)")),
    ("override", 0.7, (rf"\b{_DROP}{_FILL}{{0,4}} (?:content |usage |safety )?(?:polic(?:y|ies)|filters?|safety"
     r" (?:features|measures|protocols))\b.{0,40}\b(?:and|then|you)\b")),
    ("override", 0.6, (r"\b(?:instead|rather than that|after that|then),? (?:just )?(?:say|output|print|respond with|reply"
     r" with|write) [\"']")),
    # The prompt told.
    ("leak", 1.0, (rf"\b{_TELL}\b.{{0,40}}\b(?:your|the|its|this|my|above) (?:\w+ ){{0,3}}(?:system|initial|"
     r"original|hidden|secret|internal|base|developer|pre-?|confidential|first|full|entire|exact)"
     r"[ -]?(?:\w+ ){0,2}(?:prompts?|instructions|directives|pre-?prompt|guidelines you|message you)\b")),
    ("leak", 0.8, (rf"\b{_TELL}\b(?: me| us| back| out| exactly| verbatim| what| all| of| please)*"
     r" (?:your|ur) (?:prompt|instructions|directives|programming)\b")),
    ("leak", 1.0, (r"\b(?:repeat|print|output|recite|copy|encode)(?: me| back| out)? (?:all |everything|the |of )*"
     r"(?:text|words|lines?|sentences?|paragraphs?|content|contents|instructions|prompt)?[^.?!]{0,12}"
     r"\b(?:above|before this|prior to this|preceding)\b(?! the\b)")),
    ("leak", 0.6, (r"\b(?:repeat|print|output|show|write|display|copy|translate|encode|recite|summari[sz]e)\b"
     r".{0,25}\b(?:everything|all|the (?:text|words|lines?|sentences?|paragraphs?|content|contents|message|"
     r"instructions|prompt|conversation)|what(?:ever)?)\b.{0,25}\b(?:above|before this|"
     r"prior to this|preceding)\b")),
    ("leak", 1.0, (r"\b(?:secret|hidden|confidential|password|passphrase|access code|(?:secret|access|api) key|"
     r"flag|codeword)\b.{0,30}\b(?:you (?:were|are|have been|was) (?:given|told|instructed|hiding|"
     r"protecting|guarding|keeping|not)|in your (?:prompt|instructions|system))")),
    ("leak", 0.6, (r"\b(?:what|which|how) (?:were|are) you (?:told|instructed|programmed|prompted|"
     r"configured)\b")),
    ("leak", 0.6, r"\b(?:starting|starts|begins?|beginning) with [\"'“]?you are\b"),
    ("leak", 0.8, (r"\b(?:reveal|tell|give|show|print|say|spell)\b.{0,25}\b(?:the|your) (?:secret|hidden|confidential)"
     r" (?:key|password|word|code|phrase|information|instructions?|data)\b")),
    # Another role.
    ("role", 1.0, r"\bdo anything now\b|\bd\.a\.n\b|\bdo l anything now\b|\balways intelligent and machiavellian"),
    ("role", 1.0, (r"\b(?:developer|dev|dan|god|jailbreak|evil|opposite|anarchy|unrestricted|unfiltered|"
     r"uncensored|nsfw|chaos|benchmarking)[ -]?mode\b.{0,40}\b(?:enabled?|activated?|"
     r"is (?:now )?on\b|output|engaged|unlocked|turned|policy|response)")),
    ("role", 0.8, (r"\b(?:enter|enable|activate|switch(?: in)?to|go into|turn on|simulate|in|with)(?: \w+)? [\"“']?(?:developer|dan|"
     r"god|jailbreak|evil|opposite|unrestricted|debug|admin|root|sudo)[ -]mode\b")),
    ("role", 0.6, (r"\b(?:from (?:now|this (?:point|moment|message))(?: on(?:ward)?s?| forward)?|for the rest of"
     r" (?:this|the|our) (?:conversation|chat)|henceforth|starting now|throughout this)\b.{0,60}\b(?:you(?:'re|r|'ll)?"
     r"|act|respond|answer|pretend|speak|reply|i am|refer|chatgpt|only)\b")),
    ("role", 0.5, (r"\b(?:act|roleplay|role-?play|pretend|behave|respond|answer|speak|pose|simulate|portray|"
     r"impersonate)\b.{0,30}\b(?:as|like|to be|being|you are|you're|that you|the role|"
     r"a character|yourself)\b")),
    ("role", 0.3, (r"\byou (?:are|will|must|should|can|may|shall)(?: now| always| only| be)? (?:going to )?"
     r"(?:act|pretend|roleplay|role-?play|play|behave|impersonate|respond|answer|take on|speak|simulate)\b")),
    ("role", 0.4, (r"\b(?:you(?: are|'re) now|your (?:new )?name is|you will be|you now go by|you are (?:called|named))\b"
     r"(?: going to be)? [\"“']?(?:a|an|my|the|[a-z]*gpt|dan|aim|called|named|[a-z]+)\b")),
    ("role", 0.4, (r"\b(?:immers\w+ yourself|take on the (?:role|persona)|assume the (?:role|identity|persona)|"
     r"new (?:persona|identity)|alter ego|your character|in character|break(?:ing)? character|"
     r"characteristics)\b")),
    ("role", 0.3, r"\b(?:chat ?gpt|gpt-?[345]|openai|clyde|bing|bard|claude|llama|language model|anthropic)\b"),
    ("role", 0.4, (r"\b[a-z]{2,12}gpt\b(?<!\bchatgpt)|\bmongo tom\b|\bniccolo\b|\bjailbreak\b.{0,30}\b(?:prompt|bot|yourself|you)\b"
     r"|\bjailbroken\b")),
    # Limits lifted.
    ("unbound", 0.7, rf"\b{_UNBOUND}\b(?:[, ]+(?:and |& |or )?[\w-]+){{0,4}}[, ]+{_BOT}\b"),
    ("unbound", 0.5, rf"\b{_BOT}\b.{{0,40}}\b(?:is|are|be|being|was) (?:\w+,? ){{0,3}}{_UNBOUND}\b"),
    ("unbound", 0.5, rf"\b{_FREE} (?:[\w-]+[ ,/]+){{0,5}}{_LIMITS}\b"),
    ("unbound", 0.5, (rf"\b{_LIMITS}\b.{{0,30}}\b(?:do(?:es)? not apply|don'?t apply|removed|lifted|disabled|"
     r"are off|no longer|are gone)\b")),
    ("unbound", 0.5, (r"\b(?:never|cannot|can ?not|can't|won't|will not|must not|do not|don't|doesn't|not|no longer|"
     r"unable to)(?: \w+){0,3} (?:refus\w+|declin\w+|reject\w*|deny|say no|apologi[sz]\w*|"
     r"moraliz\w+|lectur\w+|warn\w*|disclaim\w*|censor\w*|filter\w*)\b")),
    ("unbound", 0.5, (r"\b(?:never|don'?t|do not|avoid|without|not|stop|instead of)\b.{0,50}(?:i(?:'m| am)? (?:sorry|can ?not|can't)"
     r"|as an ai|ai (?:language )?model|language model|i am an ai|being an ai|disclaimers?|warnings?\b)")),
    ("unbound", 0.4, rf"\b(?:regardless|no matter|even if|whether|despite|including|any|all|anything)\b.{{0,50}}\b{_BAD}\b"),
    ("unbound", 0.3, rf"\b{_BAD}\b(?:,? ?(?:/|and|or|&)? ?[\w-]+){{0,2}}[ ,/]+(?:or |and )?{_BAD}\b"),
    ("unbound", 0.4, (r"\b(?:content|usage|openai'?s?|its|their|your) (?:content )?(?:polic(?:y|ies)|"
     r"(?:ethical |moral |safety )?guidelines|restrictions|programming|terms of service|filters?)\b")),
    ("unbound", 0.4, (r"\b(?:answer|respond to|fulfil+|obey|comply with|do|grant|follow) (?:to )?(?:any(?:thing)?|every(?:thing)?"
     r"|all|whatever)(?: of)?(?: (?:my|the|user|user's|request\w*|question\w*|command\w*|order\w*|"
     r"i (?:ask|say|tell|want)|asked)\b)")),
    ("unbound", 0.7, (r"\b(?:start|begin|respond|reply|answer|prefix)\w*(?: \w+){0,5} with[: ]+(?:\w+ ){0,3}[\"“'](?:sure|absolutely|of course|"
     r"certainly|yes|hell yeah|\[)")),
    ("unbound", 1.0, (r"[\"'](?:sorry|cannot|unable|unfortunately|however)[\"'],? ?(?:or |and )?[\"'](?:sorry|"
     r"cannot|unable|instead|however|unfortunately|legal|illegal)")),
    ("unbound", 0.5, (r"\b(?:two|2|both)\b.{0,25}\b(?:responses?|answers?|different ways|separate ways|paragraphs|"
     r"replies|outputs|styles|personalities|persons)\b")),
    ("unbound", 0.6, (r"\b(?:stay in character|tokens? (?:system|deducted|taken|if you)|lose \w+ tokens|"
     r"you (?:have|start with) \d+ tokens)\b")),
    ("unbound", 0.2, (r"\b(?:hypothetical(?:ly)?|fictional|fictitious|imaginary|alternate (?:reality|universe))\b"
     r".{0,60}\b(?:response|story|scenario|character|world|ai|dialogue|where|in which)\b")),
    # Authority claimed.
    ("authority", 0.6, (r"\b(?:i am|i'm|this is|as) (?:your|the|an?) (?:\w+ ){0,2}(?:developer|creator|programmer|"
     r"admin|administrator|engineer|owner|root user|openai|author)\b.{0,60}\b(?:prompt|system|instruct\w+|"
     r"mode|test|debug\w*|you|override|need)\b")),
    ("authority", 0.8, r"\b(?:system|admin|security|developer|root|safety)[ _-](?:override|alert: |bypass|prompt override)\b"),
    # Turns and fences forged.
    ("forgery", 1.0, (r"<\|(?:im_start|im_end|system|user|assistant|endoftext|end|eot_id|start_header_id|"
     r"begin_of_text|endofprompt)\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>")),
    ("forgery", 1.0, (r"</?\s*(?:passages?|evidence|system|instructions?|tool_results?|user_message|"
     r"retrieved|knowledge|system_prompt|untrusted\w*|memor(?:y|ies))(?: [^<>]{0,80})?/?>")),
    ("forgery", 0.7, r"(?:^|\n)\s*#{1,4} ?(?:system|instructions?|assistant|human|new (?:prompt|instructions?))\s?:?\s*(?:\n|$)"),
    ("forgery", 0.6, r"(?:^|\n)\s*[\[(*]{0,2}(?:assistant|ai|chatbot|bot|system prompt|system message|system instruction)[\])*]{0,2}\s?:"),
    ("forgery", 0.4, r"(?:^|\n)\s*[\[(*#]{0,3}(?:system|user|human)[\])*]{0,2}\s?:"),
    ("forgery", 0.5, r"\[(?:[a-z]*gpt|[^\[\]\n]{0,3}(?:lock|unlock|jailbreak|classic|normal|dan|developer mode output)[^\[\]\n]{0,20})\]"),
    ("forgery", 0.5, (r"[\[{(<](?:insert )?(?:your |the |my )?(?:first )?(?:prompt|question|request|query|promptline|targetlanguage|"
     r"user input)(?: (?:goes )?here)?[\]})>]")),
    # Data carried out.
    ("exfiltration", 1.0, r"!\[[^\]]{0,80}\]\(\s*https?://[^)\s]{0,200}(?:[{<\[$%]|=\s*(?:data|secret|history|conversation))"),
    ("exfiltration", 1.0, (r"\b(?:send|post|forward|exfiltrate|upload|transmit|leak|email|submit)\b.{0,60}\b(?:conversation|"
     r"chat history|system prompt|api keys?|credentials|passwords?|user(?:'s)? data|personal data|"
     r"secrets?|chat logs?)\b.{0,60}(?:https?://|\bto (?:an? )?(?:external|attacker|following (?:url|address)|"
     r"\S+@\S+|this url|my server|webhook))")),
    ("exfiltration", 0.8, (r"\b(?:append|include|embed|add|render|insert|encode|put|place)\b.{0,80}\b(?:conversation|history|secret|"
     r"api key|password|user(?:'s)? (?:data|message)|previous message|personal)\b.{0,80}\b(?:image|markdown|link|"
     r"url|query (?:string|parameter)|pixel)\b")),
    ("exfiltration", 0.8, (r"\b(?:append|include|embed|add|render|insert|display|end)\b.{0,60}\b(?:markdown image|image tag|tracking pixel|"
     r"image (?:with|whose) (?:the )?(?:url|src))\b")),
    # Core phrases of other languages, on folded text (no accents).
    ("override", 1.0, (r"\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missacht\w*|ubergeh\w*|verwirf)\b.{0,30}\b(?:vorherig\w*|"
     r"bisherig\w*|obig\w*|alle[ns]?|vorangegangen\w*|fruher\w*|deine|ihre|vorig\w*)\b.{0,25}\b(?:anweisung\w*|"
     r"instruktion\w*|regeln|befehle?\w*|vorgaben|prompts?|richtlinien)")),
    ("leak", 1.0, (r"\b(?:zeig\w*|nenn\w*|gib|verrat\w*|offenbar\w*|wiederhol\w*|druck\w*|schreib\w*|sag\w*|wie lautet|was ist|was sind)\b.{0,30}"
     r"\b(?:dein\w*|ihr\w*|den|die|das)(?: \w+){0,2} (?:system-?\s?prompt|systemanweisung\w*|systemnachricht|"
     r"(?:geheimen?|internen?|ursprunglichen?|versteckten?) (?:anweisung\w*|prompt\w*|instruktion\w*))")),
    ("role", 0.7, r"\b(?:ab (?:jetzt|sofort|nun)|von nun an)\b.{0,20}\b(?:bist du|du bist|sind sie|verhaltst|antwortest)\b|\bdu bist (?:jetzt|nun|ab sofort)\b"),
    ("unbound", 0.6, r"\bohne (?:jegliche |alle |irgendwelche )?(?:einschrankung\w*|beschrankung\w*|filter|regeln|zensur|moral\w*)"),
    ("override", 1.0, (r"\b(?:ignor\w+|olvid\w+|descart\w+|desestim\w+|haz caso omiso)\b.{0,30}\b(?:instruccion\w*|ordenes|reglas|indicaciones|"
     r"directrices|instruc\w+|regras|ordens)\b.{0,25}\b(?:anterior\w*|previ\w+|de arriba|recibid\w*|dad[oa]s|del sistema|acima)\b")),
    ("override", 1.0, (r"\b(?:ignora|olvida|olvide|ignore|esqueca|esquece)\b.{0,12}\b(?:todo|tudo|todas?|todos) (?:lo (?:anterior|previo|que)|las? (?:instrucciones|reglas)|"
     r"as (?:instrucoes|regras)|o que)")),
    ("leak", 1.0, (r"\b(?:muestra\w*|revela\w*|dime|imprime|repite|ensena\w*|cual es|cuales son|mostre|diga|repita)\b.{0,30}\b(?:tus?|sus?|el|las|seu|suas|o|as)\b.{0,15}"
     r"(?:prompt (?:del |de |do )?(?:sistema|inicial|original)|(?:instrucciones|instrucoes) (?:del sistema|de sistema|do sistema|iniciales|originales|"
     r"secretas|internas|iniciais|ocultas))")),
    ("role", 0.7, r"\b(?:a partir de (?:ahora|este momento|agora)|desde ahora|de ahora en adelante)\b.{0,25}\b(?:eres|actua\w*|seras|vas a|responde\w*|voce|tu)\b|\bahora eres\b"),
    ("unbound", 0.6, r"\bsin (?:ninguna? |ningun )?(?:restriccion\w*|limite\w*|filtro\w*|censura|reglas|etica)"),
    ("override", 1.0, (r"\b(?:ignore[zrs]?|oublie[zrs]?|neglige[zrs]?|ne tiens pas compte|ne tenez pas compte)\b.{0,30}\b(?:instructions?|consignes?|"
     r"regles?|ordres?|directives?)\b.{0,25}\b(?:precedent\w*|anterieur\w*|ci-dessus|initial\w*|recu\w*|donne\w*|systeme)")),
    ("leak", 1.0, (r"\b(?:montre\w*|revele\w*|affiche\w*|donne\w*|repete\w*|dis|dites|quel est|quelles sont|imprime\w*|ecris)\b.{0,30}\b(?:ton|ta|tes|votre|vos|le|les)\b"
     r".{0,15}(?:prompt (?:systeme|initial|d'origine|systemique)|(?:instructions|consignes) (?:systeme|initiales|secretes|"
     r"internes|cachees|du systeme)|invite systeme)")),
    ("role", 0.7, r"\b(?:a partir de maintenant|desormais|dorenavant)\b.{0,25}\b(?:tu|vous|reponds|agis)\b|\btu es maintenant\b"),
    ("unbound", 0.6, r"\bsans (?:aucune? |la moindre )?(?:restriction\w*|limite\w*|filtre\w*|censure|regles?|morale|ethique)"),
    ("override", 1.0, r"\b(?:ignora|ignorare|dimentica\w*|trascura)\b.{0,30}\b(?:istruzioni|regole|ordini|direttive)\b.{0,25}\b(?:precedenti|sopra|ricevute|date)"),
    ("override", 1.0, r"(?:忽略|无视|忘记|忽視|忘掉|不要理会).{0,12}(?:之前|以上|先前|前面|上述|所有|一切).{0,10}(?:指令|指示|提示|说明|规则|命令|内容|对话)"),
    ("override", 1.0, r"(?:игнорир\w+|забуд\w+|не обращаи внимания).{0,30}(?:предыдущ\w+|все|прошл\w+|выше).{0,25}(?:инструкц\w+|указан\w+|правил\w+|команд\w+)"),
    ("leak", 1.0, r"(?:显示|告诉我|输出|重复|打印|透露).{0,12}(?:系统|初始|原始|隐藏).{0,4}(?:提示|指令|说明)|(?:покажи|раскрои|выведи|повтори).{0,20}(?:системн\w+|начальн\w+) (?:промпт\w*|инструкц\w+|подсказк\w+)"),
    ("override", 1.0, r"(?:前|上記|以前)の(?:指示|命令|ルール|プロンプト)(?:を|は|をすべて)?(?:無視|忘れ)|이전.{0,6}(?:지시|명령|지침).{0,6}(?:무시|잊)"),
)
# fmt: on
CLAUSES = tuple(Clause(technique, weight, re.compile(text)) for technique, weight, text in _TABLE)

PLAIN = tuple(clause for clause in CLAUSES if clause.weight >= 1.0)
"""The phrases that suffice alone: what a decoded text is judged by, as noise must not add up."""

COMPACT = re.compile(
    r"(?:ignore|disregard|forget)(?:all|any|the|your)*(?:previous|prior|above|earlier|past)?(?:system)?"
    r"(?:instructions|prompts?|rules|directives)|(?:reveal|print|show|repeat|tell)(?:me)?(?:your|the)"
    r"(?:system|initial|hidden|secret)(?:prompt|instructions)|doanythingnow|developermode"
)
"""For text whose letters were spaced out, with every space gone."""

ABOUT = re.compile(
    r"\b(?:what (?:is|are|does|do|did|would)|mean(?:s|ing)?|explain|define|why|how (?:do|can|should|to|does)"
    r" (?:i |we |you |one )?(?:protect|prevent|detect|defend|stop|avoid|know|guard|handle|recogni[sz]e)|"
    r"prompt injections?|got (?:an? |the )?(?:message|email|text|sms|error)|it says|translate|was bedeutet|"
    r"que significa|que veut dire)\b"
)
"""Someone speaks about a phrase; then what stands in quotation marks is not said to us."""
