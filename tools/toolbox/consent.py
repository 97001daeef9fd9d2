"""What people say when they are asked for a yes, by language: data for the reading of approvals.

Each list holds whole utterances, separated by commas, as they are typed in a chat. A word belongs
under `yes` or `no` only if, alone, it cannot mean anything else; case, accents, apostrophes and
hyphens do not matter. To add a language, add an entry; the tests try it at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The utterances of one language."""

    yes: str
    no: str
    courtesy: str
    """Changes nothing about a yes or a no beside it: please, thanks, praise."""
    neither: str
    """Decides nothing and asks for nothing; also what only looks like another language's word."""


SYMBOLS = Phrases(
    yes="👍, 👌, ✅, ✔, 🆗",
    no="👎, ❌, 🚫, ⛔",
    courtesy="🙏, 🙂, 😊, 😀, 😃, 😄, 😁, :), :-), ^^",
    neither="🤔, 🤷, ⏳",
)
"""Understood in every language."""

PHRASES = {
    "en": Phrases(
        yes="yes, y, yeah, yea, yep, yup, sure, sure thing, ok, okay, alright, all right, agreed, "
        "i agree, approve, approved, i approve, confirm, confirmed, i confirm, accept, accepted, "
        "i accept, proceed, go ahead, go for it, do it, do that, do so, please do, of course, "
        "certainly, absolutely, definitely, by all means, correct, that's correct, that's right, "
        "yes i do, yes you may, yes you can, i'm sure, i am sure, sounds good, works for me, "
        "that works, fine by me",
        no="no, n, nope, nah, no way, don't, do not, please do not, don't do it, don't do that, "
        "do not do it, do not do that, cancel, cancel it, cancel that, cancel this, stop, "
        "stop it, stop that, abort, decline, declined, i decline, reject, rejected, i reject, "
        "deny, denied, refuse, i refuse, disagree, i disagree, never mind, nevermind, forget it, "
        "forget that, forget about it, leave it, drop it, skip it, not now, not today, "
        "absolutely not, definitely not, certainly not, of course not, rather not, "
        "i'd rather not, better not, i don't want that, i don't want it, i don't want to, "
        "i do not want that, no don't, no do not, no cancel, no cancel it, no cancel that, "
        "no stop, no not now, no never mind, no forget it, no leave it",
        courtesy="please, pls, plz, kindly, thanks, thank you, thank you very much, "
        "thank you so much, thanks a lot, thanks so much, many thanks, much appreciated, thx, ty, "
        "cheers, great, perfect",
        neither="hm, hmm, hmmm, um, uh, er, oh, ah, well, wait, wait a moment, wait a minute, "
        "wait a second, hold on, hang on, moment, a moment, one moment, one second, one sec, "
        "one minute, just a moment, just a second, just a minute, give me a moment, "
        "give me a minute, let me think, let me check, let me see, i need to think, maybe, "
        "maybe later, perhaps, later, not sure, i'm not sure, i am not sure, i don't know, "
        "i do not know, idk, dunno, no idea, not yet, no not yet, no problem, no worries, "
        "you're welcome, bye, goodbye, bye bye, see you, good, fine, cool, nice, right, got it, "
        "i see, noted, all good, i'm good, i'm fine",
    ),
    "de": Phrases(
        yes="ja, jawohl, jo, jep, jup, klar, na klar, klaro, sicher, aber sicher, gern, gerne, "
        "sehr gern, sehr gerne, natürlich, selbstverständlich, genau, richtig, das ist richtig, "
        "korrekt, stimmt, das stimmt, einverstanden, ich bin einverstanden, in ordnung, passt, "
        "geht klar, bestätigt, bestätige, bestätigen, ich bestätige, genehmigt, freigegeben, "
        "ich stimme zu, mach das, mach es, mach's, machen sie das, machen sie es, tu das, tu es, "
        "tun sie das, tun sie es, fortfahren, fahren sie fort, auf jeden fall, unbedingt",
        no="nein, nee, ne, nö, abbrechen, abbruch, brich ab, brechen sie ab, stopp, stop, halt, "
        "ablehnen, abgelehnt, ich lehne ab, lass es, lass das, lassen sie es, lassen sie das, "
        "lieber nicht, besser nicht, bitte nicht, doch nicht, auf keinen fall, keinesfalls, "
        "nicht jetzt, jetzt nicht, heute nicht, vergiss es, vergessen sie es, tu das nicht, "
        "tu es nicht, tun sie das nicht, mach das nicht, mach es nicht, machen sie das nicht, "
        "nicht machen, natürlich nicht, sicher nicht, bestimmt nicht, niemals, ich will nicht, "
        "ich möchte nicht, ich bin nicht einverstanden, nein lieber nicht, nein bitte nicht, "
        "nein doch nicht, nein abbrechen, nein mach das nicht",
        courtesy="bitte, bitte schön, bitteschön, bitte sehr, danke, danke schön, dankeschön, "
        "danke sehr, vielen dank, besten dank, herzlichen dank, lieben dank, tausend dank, super, "
        "prima, toll",
        neither="äh, ähm, also, moment, einen moment, moment mal, augenblick, einen augenblick, "
        "sekunde, eine sekunde, warte, warte mal, warten, warten sie, mal sehen, mal schauen, "
        "mal überlegen, ich überlege, ich überlege noch, ich muss überlegen, vielleicht, jein, "
        "weiß nicht, weiß ich nicht, ich weiß nicht, ich weiß es nicht, keine ahnung, "
        "nicht sicher, bin nicht sicher, ich bin nicht sicher, ich bin mir nicht sicher, "
        "kein problem, kein thema, egal, noch nicht, später, vielleicht später, tschüss, tschüs, "
        "auf wiedersehen, gut, alles klar, verstanden, aha, ach so, achso, gern geschehen",
    ),
    "es": Phrases(
        yes="sí, claro, claro que sí, vale, de acuerdo, adelante, confirmo, lo confirmo, "
        "confirmar, confirmado, acepto, aceptar, apruebo, aprobar, aprobado, por supuesto, "
        "desde luego, correcto, exacto, exactamente, así es, eso es, hazlo, hágalo, hacelo, "
        "procede, proceda, proceder, dale, sí quiero, estoy de acuerdo",
        no="no, nop, cancelar, cancela, cancele, cancélalo, cancélelo, cancela eso, cancele eso, "
        "anular, anula, anule, anúlalo, para, pare, parar, detente, deténgase, alto, basta, "
        "rechazar, rechazo, lo rechazo, rechazado, mejor no, déjalo, déjelo, olvídalo, olvídelo, "
        "no lo hagas, no lo haga, no hagas nada, no haga nada, no quiero, no lo quiero, "
        "no acepto, no confirmo, no apruebo, no estoy de acuerdo, ahora no, hoy no, claro que no, "
        "por supuesto que no, desde luego que no, para nada, de ninguna manera, ni hablar, nunca, "
        "jamás",
        courtesy="por favor, porfavor, porfa, gracias, muchas gracias, mil gracias, muy amable, "
        "genial, perfecto",
        neither="mm, eh, este, pues, bueno, y, ya, espera, espere, momento, un momento, "
        "un segundo, un minuto, dame un momento, deme un momento, déjame pensar, déjeme pensar, "
        "déjame ver, tal vez, quizá, quizás, a lo mejor, no sé, no lo sé, no estoy seguro, "
        "no estoy segura, no hay problema, sin problema, de nada, todavía no, aún no, luego, "
        "más tarde, adiós, hasta luego, chao, chau, bien, muy bien, está bien, entiendo, "
        "entendido, ya veo",
    ),
    "fr": Phrases(
        yes="oui, ouais, ouip, d'accord, je suis d'accord, bien sûr, bien entendu, entendu, "
        "évidemment, certainement, absolument, tout à fait, exactement, exact, c'est ça, "
        "c'est exact, c'est correct, correct, volontiers, avec plaisir, vas-y, allez-y, "
        "je confirme, confirmer, confirmé, je valide, valider, validé, j'accepte, accepter, "
        "accepté, j'approuve, approuver, approuvé, fais-le, faites-le, procédez, ça marche, "
        "ça me va, je veux bien, oui je veux bien",
        no="non, nan, annuler, annule, annulez, annule ça, annulez ça, annulez cela, arrête, "
        "arrêter, arrêtez, arrête ça, stop, abandonner, refuser, refusé, je refuse, surtout pas, "
        "laisse tomber, laissez tomber, laisse, laissez, oublie, oubliez, tant pis, "
        "pas maintenant, pas aujourd'hui, pas question, hors de question, certainement pas, "
        "absolument pas, bien sûr que non, ne fais pas ça, ne faites pas ça, ne le fais pas, "
        "ne le faites pas, jamais, plutôt pas, je ne préfère pas, je préfère pas, je ne veux pas, "
        "je veux pas, je ne suis pas d'accord, je suis pas d'accord",
        courtesy="s'il vous plaît, s'il te plaît, svp, stp, merci, merci beaucoup, merci bien, "
        "mille mercis, super, parfait",
        neither="euh, ben, bah, bon, attends, attendez, minute, moment, un instant, un moment, "
        "une seconde, une minute, deux minutes, laisse-moi réfléchir, laissez-moi réfléchir, "
        "je réfléchis, je vais réfléchir, peut-être, je ne sais pas, je sais pas, sais pas, "
        "aucune idée, pas sûr, pas sûre, je ne suis pas sûr, je ne suis pas sûre, "
        "pas de problème, pas de souci, de rien, je vous en prie, pas encore, plus tard, "
        "au revoir, salut, bonne journée, bien, très bien, c'est bon, compris, je vois",
    ),
    "it": Phrases(
        yes="sì, certo, certamente, certo che sì, sicuramente, va bene, d'accordo, "
        "sono d'accordo, volentieri, confermo, lo confermo, conferma, confermato, confermare, "
        "accetto, accettare, accettato, approvo, approva, approvato, procedi, proceda, procedete, "
        "procedere, vai, vai pure, fallo, lo faccia, fai pure, faccia pure, esatto, corretto, "
        "giusto, proprio così, assolutamente sì",
        no="no, annulla, annullare, annulli, annulla tutto, ferma, fermati, fermo, stop, basta, "
        "interrompi, rifiuto, rifiuta, rifiutare, rifiutato, meglio di no, meglio no, "
        "lascia stare, lasci stare, lascia perdere, lasci perdere, non farlo, non lo fare, "
        "non lo faccia, non adesso, non ora, non oggi, assolutamente no, certo che no, "
        "niente affatto, per niente, mai, non voglio, non lo voglio, preferisco di no, "
        "preferirei di no, non accetto, non confermo, non sono d'accordo",
        courtesy="per favore, per piacere, per cortesia, grazie, grazie mille, molte grazie, "
        "tante grazie, perfetto, ottimo",
        neither="mah, boh, beh, eh, prima, dopo, fine, assolutamente, va bene così, aspetta, "
        "aspetti, attimo, momento, un attimo, un momento, un secondo, un minuto, fammi pensare, "
        "mi faccia pensare, ci penso, forse, può darsi, non so, non lo so, non sono sicuro, "
        "non sono sicura, nessun problema, figurati, di niente, prego, non ancora, più tardi, "
        "ciao, arrivederci, bene, benissimo, capito, ho capito",
    ),
    "pt": Phrases(
        yes="sim, claro, claro que sim, com certeza, certamente, certo, pode, pode sim, "
        "pode fazer, podes fazer, faça, faça isso, faz isso, prossiga, prosseguir, "
        "pode prosseguir, pode continuar, vá em frente, confirmo, confirmar, confirmado, aceito, "
        "aceitar, aprovo, aprovar, aprovado, concordo, de acordo, estou de acordo, exato, "
        "exatamente, exacto, correto, correcto, isso, isso mesmo, beleza, combinado, sim quero, "
        "quero sim",
        no="não, cancelar, cancela, cancele, cancela isso, cancele isso, anular, anula, anule, "
        "para, pare, parar, chega, recusar, recuso, recusado, rejeitar, rejeito, rejeitado, "
        "melhor não, deixa, deixe, deixa pra lá, deixa para lá, deixe para lá, esquece, esqueça, "
        "esquece isso, esqueça isso, não faça, não faça isso, não faças isso, não faz isso, "
        "não quero, não aceito, não concordo, não confirmo, agora não, hoje não, claro que não, "
        "de jeito nenhum, de modo nenhum, de forma alguma, nem pensar, nunca, jamais, "
        "prefiro não, prefiro que não",
        courtesy="por favor, pf, pfv, se faz favor, obrigado, obrigada, muito obrigado, "
        "muito obrigada, obg, valeu, perfeito, ótimo",
        neither="é, né, bom, bem, espera, espere, momento, um momento, um instante, um segundo, "
        "um minuto, só um momento, só um minuto, deixa eu ver, deixa eu pensar, deixa-me pensar, "
        "deixe-me pensar, vou pensar, talvez, pode ser, não sei, sei lá, não tenho certeza, "
        "não tenho a certeza, sem problema, sem problemas, de nada, ainda não, depois, "
        "mais tarde, tchau, adeus, até logo, tudo bem, está bem, tá, tá bom, tá bem, legal, "
        "entendi, entendido",
    ),
    "nl": Phrases(
        yes="ja, jawel, jazeker, ja hoor, jep, jup, zeker, zeker weten, natuurlijk, uiteraard, "
        "graag, heel graag, akkoord, ik ga akkoord, oké, is goed, dat is goed, prima, klopt, "
        "dat klopt, correct, juist, precies, bevestigd, bevestig, bevestigen, ik bevestig, "
        "goedgekeurd, goedkeuren, doe maar, doe het, doe dat, ga je gang, ga uw gang, ga door, "
        "doorgaan, in orde, mee eens",
        no="nee, neen, nee hoor, annuleren, annuleer, annuleer dat, annuleer het, stop, stoppen, "
        "stop maar, afbreken, weigeren, geweigerd, ik weiger, afwijzen, afgewezen, liever niet, "
        "beter niet, beter van niet, doe maar niet, doe het niet, doe dat niet, niet doen, "
        "laat maar, laat zitten, laat het, vergeet het, vergeet het maar, nu niet, niet nu, "
        "vandaag niet, zeker niet, natuurlijk niet, absoluut niet, in geen geval, nooit, "
        "toch niet, toch maar niet, niet akkoord, ik ga niet akkoord, nee laat maar, "
        "nee liever niet, nee doe maar niet, nee toch niet",
        courtesy="alsjeblieft, alstublieft, asjeblieft, aub, dank je, dank u, dankjewel, "
        "dankuwel, dank je wel, dank u wel, bedankt, hartelijk dank, hartelijk bedankt, "
        "heel erg bedankt, super, top",
        neither="eh, even, wacht, wacht even, wacht eens, moment, momentje, een moment, "
        "een momentje, ogenblik, ogenblikje, een ogenblik, seconde, een seconde, even denken, "
        "even kijken, laat me denken, ik denk na, misschien, geen idee, weet niet, weet ik niet, "
        "ik weet het niet, niet zeker, ik weet het niet zeker, ik ben niet zeker, geen probleem, "
        "maakt niet uit, nog niet, later, straks, dag, doei, tot ziens, goed, mooi, fijn, "
        "begrepen, duidelijk, graag gedaan",
    ),
    "pl": Phrases(
        yes="tak, jasne, no jasne, pewnie, no pewnie, oczywiście, naturalnie, zgoda, zgadzam się, "
        "zgadza się, potwierdzam, potwierdź, potwierdzone, akceptuję, akceptuj, zatwierdzam, "
        "zatwierdź, zatwierdzone, dobrze, dobra, okej, oki, dokładnie, zrób to, proszę to zrobić, "
        "śmiało, kontynuuj, proszę kontynuować, poproszę, chętnie, jak najbardziej",
        no="nie, anuluj, anulować, proszę anulować, stop, przestań, zatrzymaj, zatrzymaj to, "
        "przerwij, przerwać, odrzuć, odrzucam, odmawiam, odmowa, rezygnuję, lepiej nie, "
        "raczej nie, jednak nie, nie teraz, nie dziś, nie dzisiaj, nie rób tego, "
        "proszę tego nie robić, nie chcę, nie zgadzam się, nie akceptuję, nie potwierdzam, "
        "nie zatwierdzam, zostaw, zostaw to, daj spokój, zapomnij, zapomnij o tym, nieważne, "
        "w żadnym wypadku, absolutnie nie, oczywiście że nie, na pewno nie, nie ma mowy, nigdy",
        courtesy="proszę, uprzejmie proszę, dziękuję, dzięki, wielkie dzięki, bardzo dziękuję, "
        "dziękuję bardzo, super, świetnie",
        neither="no, no tak, eee, yyy, chwila, chwilę, chwilka, chwileczkę, moment, momencik, "
        "sekunda, sekundę, minutkę, czekaj, poczekaj, zaczekaj, proszę czekać, proszę poczekać, "
        "niech pomyślę, zastanowię się, muszę pomyśleć, może, być może, nie wiem, "
        "nie jestem pewien, nie jestem pewna, nie mam pojęcia, nie ma problemu, nie ma sprawy, "
        "nie ma za co, proszę bardzo, jeszcze nie, później, potem, na razie, do widzenia, pa, "
        "cześć, rozumiem, aha, w porządku",
    ),
    "ja": Phrases(
        yes="はい, ハイ, ええ, うん, そうです, そうしてください, その通りです, そのとおりです, "
        "お願い, お願いします, おねがいします, お願い致します, お願いいたします, "
        "よろしくお願いします, よろしくお願いいたします, 承認, 承認する, 承認します, 同意, "
        "同意します, 賛成です, 実行して, 実行してください, 進めて, 進めてください, 続行, "
        "続行してください, やって, やってください, もちろん, もちろんです, "
        "オーケー, オッケー, どうぞ, 正しいです, 合っています, 合ってます",
        no="いいえ, いえ, いや, ノー, だめ, ダメ, 駄目, だめです, ダメです, 嫌, 嫌です, いやです, "
        "やめて, やめてください, やめる, やめます, やめておきます, やめとく, 止めて, "
        "止めてください, 中止, 中止して, 中止してください, 中止します, 中止でお願いします, "
        "キャンセル, キャンセルして, キャンセルしてください, キャンセルします, "
        "キャンセルでお願いします, キャンセルお願いします, キャンセルをお願いします, 取り消し, "
        "取り消して, 取り消してください, 取消, 拒否, 拒否します, 却下, 結構です, いいえ結構です, "
        "いえ結構です, いりません, 要りません, 不要です, しないで, しないでください, "
        "実行しないでください, 進めないでください, 承認しません, 同意しません, また今度, "
        "遠慮します, 遠慮しておきます, 違います, ストップ",
        courtesy="ありがとう, ありがとうございます, ありがとうございました, どうも, すみません",
        neither="えっと, ええと, うーん, んー, えー, あの, 待って, 待ってください, "
        "ちょっと待って, ちょっと待ってください, 少し待ってください, 少々お待ちください, "
        "考え中, 考えます, 考えさせてください, たぶん, 多分, わからない, 分からない, "
        "わかりません, 分かりません, わかりました, 分かりました, 了解, 了解です, 了解しました, "
        "承知しました, 大丈夫, 大丈夫です, 構いません, 問題ありません, 問題ないです, いいです, "
        "いいよ, いいですよ, まだ, まだです, 後で, あとで, さようなら, なるほど, いえいえ, "
        "どういたしまして",
    ),
    "zh": Phrases(
        yes="是, 是的, 对, 對, 对的, 對的, 好, 好的, 好吧, 好啊, 好呀, 行, 可以, 可以的, 没错, "
        "沒錯, 当然, 當然, 当然可以, 當然可以, 同意, 我同意, 确认, 確認, 我确认, 我確認, 批准, "
        "继续, 繼續, 做吧, 去做吧, 就这么办, 就這麼辦, 执行, 執行, 要, 要的, 需要",
        no="不, 不是, 不要, 不用, 不用了, 不用谢谢, 不用謝謝, 不必, 不必了, 不行, 不可以, 不好, "
        "不对, 不對, 不同意, 我不同意, 不确认, 不確認, 不批准, 不需要, 不了, 不想, 不想要, 别, "
        "別, 别做, 別做, 不要做, 不要这样做, 不要這樣做, 取消, 取消吧, 停, 停止, 停下, 停下来, "
        "停下來, 算了, 算了吧, 还是算了, 還是算了, 还是不要了, 還是不要了, 拒绝, 拒絕, 我拒绝, "
        "我拒絕, 否, 免了, 终止, 終止, 中止, 放弃, 放棄, 现在不要, 現在不要, 先不要, 先不用, "
        "当然不, 當然不, 绝不, 絕不, 不继续, 不繼續, 不执行, 不執行",
        courtesy="请, 請, 谢谢, 謝謝, 谢谢你, 謝謝你, 谢谢您, 謝謝您, 多谢, 多謝, 感谢, 感謝, "
        "麻烦你, 麻煩你, 麻烦您, 麻煩您, 麻烦了, 麻煩了, 拜托, 拜託",
        neither="嗯, 呃, 哦, 噢, 啊, 等等, 等一下, 等我一下, 稍等, 请稍等, 請稍等, 我想想, "
        "让我想想, 讓我想想, 考虑一下, 考慮一下, 我考虑一下, 我考慮一下, 也许, 也許, 可能, "
        "不知道, 我不知道, 不确定, 不確定, 我不确定, 我不確定, 没问题, 沒問題, 没关系, 沒關係, "
        "没事, 沒事, 不客气, 不客氣, 不用谢, 不用謝, 还没, 還沒, 还没有, 還沒有, 以后再说, "
        "以後再說, 再说吧, 再說吧, 再见, 再見, 拜拜, 明白, 明白了, 知道了, 懂了, 随便, 隨便, "
        "不错, 不錯",
    ),
    "ko": Phrases(
        yes="네, 넵, 넹, 예, 응, ㅇㅇ, ㅇㅋ, 그래, 그래요, 그렇습니다, 그렇게 해 주세요, "
        "그렇게 하세요, 그렇게 해요, 좋아, 좋아요, 좋습니다, 맞아, 맞아요, 맞습니다, 물론, "
        "물론이죠, 물론입니다, 그럼요, 당연하죠, 동의, 동의해요, 동의합니다, 승인, 승인해요, "
        "승인합니다, 승인할게요, 승인해 주세요, 진행, 진행해, 진행해요, 진행하세요, "
        "진행해 주세요, 해줘, 해 주세요, 해 주십시오, 하세요, 부탁해, 부탁해요, 부탁합니다, "
        "부탁드려요, 부탁드립니다, 오케이, 계속하세요, 계속해 주세요",
        no="아니, 아니요, 아니오, 아뇨, 아닙니다, 아니에요, ㄴㄴ, 싫어, 싫어요, 싫습니다, "
        "안 해요, 안 할래요, 안 할게요, 안 돼, 안 돼요, 안 됩니다, 하지 마, 하지 마요, "
        "하지 마세요, 하지 말아요, 하지 말아 주세요, 취소, 취소해, 취소해요, 취소해 줘, "
        "취소해 주세요, 취소할게요, 취소합니다, 취소하세요, 그만, 그만해, 그만해요, 그만두세요, "
        "그만할게요, 중지, 중지해 주세요, 중단, 중단해 주세요, 멈춰, 멈춰 주세요, 거절, "
        "거절합니다, 거절할게요, 거부, 거부합니다, 필요 없어, 필요 없어요, 필요 없습니다, "
        "됐어요, 됐습니다, 아니요 됐어요, 아니요 됐습니다, 아니요 괜찮아요, 아니요 괜찮습니다, "
        "다음에 할게요, 나중에 할게요, 동의하지 않아요, 동의하지 않습니다, 승인하지 않습니다, "
        "진행하지 마세요, 절대 안 돼요",
        courtesy="감사해요, 감사합니다, 고마워, 고마워요, 고맙습니다, 제발, 죄송합니다",
        neither="음, 흠, 어, 글쎄, 글쎄요, 잠깐, 잠깐만, 잠깐만요, 잠시만, 잠시만요, 기다려, "
        "기다려 주세요, 생각해 볼게요, 생각 중이에요, 아마, 아마도, 몰라, 몰라요, 모르겠어요, "
        "모르겠습니다, 잘 모르겠어요, 괜찮아, 괜찮아요, 괜찮습니다, 문제없어요, 아직, 아직요, "
        "아직 아니에요, 나중에, 나중에요, 안녕, 안녕히 계세요, 알겠어요, 알겠습니다, 알았어, "
        "알았어요, 확인, 확인했습니다, 천만에요, 그렇군요",
    ),
    "ar": Phrases(
        yes="نعم, أجل, أيوه, أيوا, بلى, أكيد, بالتأكيد, طبعا, بالطبع, موافق, موافقة, أوافق, "
        "أنا موافق, أنا موافقة, تمام, حسنا, ماشي, أوكي, أوك, صحيح, هذا صحيح, تفضل, تفضلي, تابع, "
        "استمر, أكمل, نفذ, نفذ ذلك, افعل ذلك, أؤكد, أؤكد ذلك, تأكيد",
        no="لا, كلا, إلغاء, ألغ, ألغي, ألغ ذلك, توقف, قف, أوقف, أوقف ذلك, أرفض, رفض, مرفوض, "
        "غير موافق, غير موافقة, لا أوافق, لست موافقا, لست موافقة, مش موافق, لا تفعل, "
        "لا تفعل ذلك, لا تنفذ, لا أريد, لا أريد ذلك, ليس الآن, مش الآن, بلاش, لا داعي, "
        "انس الأمر, انسى الأمر, أبدا, مستحيل, بالطبع لا, طبعا لا, لا طبعا, بالتأكيد لا, أكيد لا",
        courtesy="من فضلك, من فضلكم, لو سمحت, لو سمحتم, رجاء, أرجوك, شكرا, شكرا لك, شكرا لكم, "
        "شكرا جزيلا",
        neither="امم, همم, طيب, لحظة, انتظر, انتظري, دقيقة, ثانية, دعني أفكر, خليني أفكر, سأفكر, "
        "ربما, يمكن, لا أعرف, لا أدري, مش عارف, مش عارفة, لست متأكدا, لست متأكدة, غير متأكد, "
        "مش متأكد, لا مشكلة, لا بأس, لا مانع, عفوا, ليس بعد, لاحقا, فيما بعد, مع السلامة, "
        "إلى اللقاء, جيد, ممتاز, رائع, فهمت, حاضر, إن شاء الله",
    ),
    "tr": Phrases(
        yes="evet, tamam, tamamdır, olur, tabii, tabi, tabii ki, tabi ki, elbette, kesinlikle, "
        "peki, onaylıyorum, onayla, onayladım, onaylandı, kabul, kabul ediyorum, kabul ettim, "
        "katılıyorum, doğru, aynen, aynen öyle, yap, yapın, yapınız, yapabilirsin, "
        "yapabilirsiniz, devam, devam et, devam edin, devam edebilirsin, devam edebilirsiniz, "
        "uygundur, okey",
        no="hayır, yok, olmaz, iptal, iptal et, iptal edin, iptal ediyorum, vazgeç, vazgeçtim, "
        "vazgeçiyorum, dur, durun, durdur, durdurun, reddet, reddediyorum, reddedildi, "
        "kabul etmiyorum, onaylamıyorum, istemiyorum, istemem, yapma, yapmayın, yapmayınız, "
        "devam etme, devam etmeyin, gerek yok, şimdi değil, bugün değil, boş ver, boşver, unut, "
        "unut gitsin, kalsın, kesinlikle hayır, kesinlikle olmaz, tabii ki hayır, elbette hayır, "
        "asla",
        courtesy="lütfen, teşekkürler, teşekkür ederim, teşekkür ederiz, çok teşekkürler, "
        "çok teşekkür ederim, sağ ol, sağol, sağ olun, sağolun, harika, süper",
        neither="şey, ee, ne, bekle, bekleyin, bir dakika, bir saniye, bir an, dur bir dakika, "
        "düşüneyim, bir düşüneyim, düşünüyorum, belki, bilmem, bilmiyorum, emin değilim, "
        "sorun değil, sorun yok, fark etmez, henüz değil, daha değil, sonra, daha sonra, "
        "hoşça kal, hoşçakal, görüşürüz, güle güle, güzel, iyi, anladım, rica ederim, onaylama, "
        "buyurun, inşallah",
    ),
}
"""By ISO 639-1 code."""
