"""Words too common to search by, per language; fragments that apostrophes leave are among them."""

from __future__ import annotations

STOP_WORDS: dict[str, frozenset[str]] = {
    tag: frozenset(words.split())
    for tag, words in {
        "en": """
            a about above after again against all also am an and any are aren as at be because been
            before being below between both but by can could couldn d did didn do does doesn doing
            don down during each few for from further had hadn has hasn have haven having he her
            here hers herself him himself his how i if in into is isn it its itself just ll m me
            more most mustn my myself no nor not now of off on once only or other our ours ourselves
            out over own re s same shan she should shouldn so some such t than that the their theirs
            them themselves then there these they this those through to too under until up us ve
            very was wasn we were weren what when where which while who whom why will with won would
            wouldn you your yours yourself yourselves
        """,
        "es": """
            a al ante como con contra cual cuando de del desde donde e el ella ellas ellos en entre
            era es esa esas ese eso esos esta este esto estos fue ha han hasta hay la las le les lo
            los mas me mi mis muy no nos o os para pero por porque que qué quien se ser si sin sobre
            son su sus también te tu tus un una uno unos y ya yo cómo cuál cuándo dónde
        """,
        "de": """
            aber als am an auch auf aus bei bin bis da damit das dass dem den der des die dies diese
            dieser du durch ein eine einem einen einer er es für hat habe haben ich ihr ihre im in
            ist ja kann kein keine man mein mich mir mit nach nicht noch nur oder ob schon sein sich
            sie sind so um und uns unter vom von vor war was wann wenn wer werden wie wir wird wo zu
            zum zur über
        """,
        "fr": """
            a ai au aux avec c ce ces cet cette comme comment d dans de des du elle elles en est et
            eu il ils j je l la le les leur leurs lui m ma mais me mes moi mon n ne nos notre nous
            on ont ou où par pas pour qu quand que quel quelle qui s sa sans se ses si son sont sur
            t ta te tes toi ton tu un une vos votre vous y à été être
        """,
        "it": """
            a ad agli ai al alla alle anche che chi ci come con cosa da dagli dai dal dalla dei del
            dell della delle di dove e ed era gli ha hai hanno ho i il in io l la le lei li lo loro
            ma mi mia mio ne nei nel nella noi non o per perché più quale quando quanto questa
            questo se sei si sono su sua sul sulla suo ti tra tu un una uno vi voi è
        """,
        "pt": """
            a ao aos as até com como da das de dela dele do dos e ela elas ele eles em entre era
            essa esse esta este eu foi há isso isto já lhe mais mas me meu minha muito na nas no nos
            não o onde os ou para pela pelo por porque qual quando que quem se sem ser seu sua são
            também te tem um uma você à é
        """,
        "nl": """
            aan al als bij dan dat de der deze die dit door een en er ge geen had heb hebben heeft
            het hij hoe hun ik in is je kan maar me meer men met mij mijn na naar niet nog nu of om
            onder ons ook op over te tot u uit van veel voor waar wanneer was wat we wel wie wij
            worden wordt ze zich zij zijn zo
        """,
    }.items()
}
