"""Words too common to search by, per language; what apostrophes and question words leave too.

The same lists tell languages apart. Those of Chinese, Japanese and Korean hold pairs of characters,
as terms do.
"""

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
            a al ante como con contra cual cuales cuando cuanta cuantas cuanto cuantos cuál cuáles
            cuándo cuánta cuántas cuánto cuántos cómo de del desde donde dónde e el ella ellas ellos
            en entre era es esa esas ese eso esos esta este esto estos está están fue ha han hasta
            hay la las le les lo los mas me mi mis muy no nos o os para pero por porque puede que
            quien quién quiénes qué se ser si sin sobre son su sus también te tiene tu tus un una
            uno unos y ya yo
        """,
        "de": """
            aber als am an auch auf aus bei bin bis da damit dann das dass dem den der des die dies
            diese dieser du durch ein eine einem einen einer er es für habe haben hat ich ihr ihre
            ihrem ihren ihrer im in ist ja jetzt kann kein keine können könnte man mein mich mir mit
            nach nicht noch nur ob oder schon sein seine seinen seiner sich sie sind so soll sollen
            um und uns unter vom von vor wann war warum was weil welche welchem welchen welcher
            welches wem wen wenn wer werden wessen wie wieso wieviel wieviele wir wird wo wurde
            wurden zu zum zur über
        """,
        "fr": """
            a ai au auquel aussi aux avec c ce cela ces cet cette combien comme comment d dans de
            des dont du elle elles en entre est et eu fut il ils j je l la laquelle le lequel les
            lesquelles lesquels leur leurs lui m ma mais me mes moi mon n ne nos notre nous on ont
            ou où par pas peut peuvent plus pour pourquoi qu quand que quel quelle quelles quels qui
            quoi s sa sans se ses si son sont sous sur t ta te tes toi ton tu un une vos votre vous
            y à étaient était été être
        """,
        "it": """
            a ad agli ai al alla alle anche che chi ci come con cosa cui da dagli dai dal dalla dei
            del dell della delle di dove e ed era fu gli ha hai hanno ho i il in io l la le lei li
            lo loro ma mi mia mio ne nei nel nella noi non o per perché più qual quale quali quando
            quanta quante quanti quanto questa questo se sei si sono stata stato su sua sul sulla
            suo ti tra tu un una uno vi viene voi è
        """,
        "pt": """
            a ao aos as até com como cuja cujo da das de dela dele do dos e ela elas ele eles em
            entre era essa esse esta este eu foi foram há isso isto já lhe mais mas me meu minha
            muito na nas no nos não nós o onde os ou para pela pelo pode podem pois por porque
            porquê quais qual quando quanta quantas quanto quantos que quem se sem ser seu sido sua
            são também te tem um uma você à é
        """,
        "nl": """
            aan al als bij dan dat de der deze die dit door een en er ge geen had heb hebben heeft
            het hij hoe hoeveel hun ik in is je kan kunnen maar me meer men met mij mijn moet moeten
            na naar niet nog nu of om onder ons ook op over te tot u uit van veel voor waar waarom
            wanneer waren was wat we wel welk welke werd werden wie wiens wij worden wordt zal ze
            zich zij zijn zo zullen
        """,
        "af": """
            aan al as by dat deur die dit een en er het hierdie hoe hulle hy in is jou julle kan kon
            maar meer met my na nie nog of om ons ook op sal se sy te tot uit van vir wanneer was
            wat watter wie word
        """,
        "be": """
            а але бо быў была было быць вы дзе для до з за і к калі каб ён мы на не ня паміж пры па
            перад пра са та так таксама толькі у хто чаму што як якая які якія яна яны гэта гэты ці
            або ад
        """,
        "bg": """
            а ако беше би бъде в вие във го да до за защо и из или им как какво като кога които кой
            коя къде който която което ли между ми може му на не него но ние от по под при с са само
            се си след със съм също така те това този тази тези той тя че ще я
        """,
        "bn": """
            আছে আমরা আমি আর আপনি ই ইহা এ এই এক একটি এটি এবং ও ওই করা করে করেন কি কী কে কেন কিন্তু
            কখন কোথায় কোন কত জন্য তবে তার তাদের তিনি তা থেকে দিয়ে না নয় পরে পর্যন্ত বা ছিল ছিলেন
            মধ্যে যা যে সঙ্গে সাথে সে হয় হয়েছে হয়েছিল হতে
        """,
        "ca": """
            a al als amb aquest aquesta aquests aquestes aquí com d de del dels des el ella ells els
            en entre era és es està et fins ha han hi ho i jo l la les li lo més mentre molt no o on
            però per perquè pot qual quan quants que qui què sense ser seu seva si sobre són també
            te té tenen tot un una unes uns va van
        """,
        "cs": """
            a aby ale ani asi až být bude budou byl byla bylo byli co což či do i já jak jako jaký
            jaká jaké je jeho její jejich jen jestli ještě již jsem jsme jsou k kde kdo kdy která
            které který kolik ke ku má mezi může na nad nebo není ně o od po pod podle pokud pro
            proč proto při s se si také tak takže tam ten tento této tato to tohoto u už v ve vám
            však z za ze že
        """,
        "da": """
            af alle at blev bliver da de dem den denne der deres det dette dig din disse efter eller
            en end er et for fra få han hans har havde hende her hos hun hvad hvem hvilke hvilken
            hvilket hvis hvor hvordan hvorfor hvornår i ikke ind jeg jer kan kun man med meget men
            mere min mod mange ned nogle nu når og også om op os over på sig sin skal som så til ud
            under var ved vi vil være været
        """,
        "el": """
            αλλά αν από απο αυτά αυτή αυτό αυτές αυτός αυτοί γιατί για δε δεν εάν είναι ειναι εκεί
            ένα ένας ενός έχει έχουν εσείς εγώ η ή ήταν θα και κάθε κατά μας μεταξύ με μετά μη μην
            μια μία μου να ο οι όμως όπως όπου ότι όταν πια πιο ποια ποιες ποιο ποιοι ποιος ποιον
            πόσα πόσες πόση πόσο πόσοι πότε που πού προς πρέπει πως πώς σας σαν σε στη στην στις στο
            στον στους στα τα τη την της τι τις το τον του τους των υπό ως
        """,
        "et": """
            aga ei et enne ja järgi ka kas kes kelle keegi kui kuidas kus kuni kõik ma me miks
            millal milline mida mis mitte mitu ning nad nagu nii nüüd oli olid olla oma on pole
            pärast saab see seda selle siis sa ta te tema või vaid veel üks
        """,
        "eu": """
            al ala arte bai baina baino bat batean batek bere beste da dago dela den dira ditu du
            duela duen dute edo egin egon ere eta ez gara hau hori izan izango ko non nola nor noiz
            oso zein zen zer zergatik ziren zituen zuen zuten
        """,
        "fa": """
            آن آنها آیا از است اگر اما او ای این اینکه با باید باشد باشند بر برای بود بودند به بین
            پس پیش تا تر چرا چگونه چند چه چی خود داد دارد دارند در دیگر را سپس شد شده شود شما کجا
            کرد کردن کرده کند کنند کنید که کی کدام ما من می میشود نیز نیست ها های هایی هر هم همه هیچ
            و وقتی ولی هستند هستید یا یک
        """,
        "fi": """
            ei eikä ennen että he hän ja joiden joka jonka jos jotka jossa kanssa keitä ketkä kuin
            kuinka kuka kun kuten me mikä miksi millainen milloin minkä minä missä mistä mihin mitä
            mitkä mukaan mutta myös ne niin nyt oli olivat olla ole oma on ovat saa se sekä sen sinä
            siinä siitä sitä tai te tämä tämän tässä vain vai voi
        """,
        "ga": """
            a ach ag agus an ar as atá bhfuil bhí cad cá cathain cé chun conas cén de do dá faoi
            gach go i idir is le leis na ná ní níl nó nuair ó os seo sé sí sin siad tá trí
        """,
        "gl": """
            a ao aos as até como con da das de del desde do dos e é ela el eles en entre era esta
            este está foi había hai isto máis mais me moi na nas no nos non o onde os ou para pero
            pola polo por porque pode qué cal cales cando canto que quen se sen ser seu súa sobre
            son tamén ten un unha
        """,
        "he": """
            אבל או אותו אותה אחרי אחת אחד איך אילו איזה איזו אין איפה אל אם אני אנחנו אשר את אתה בו
            בין בה גם דרך הוא היא היה היתה הייתה היו הם הן זאת זה זו יש כאשר כדי כי כל כמה כמו לא
            לאחר לו לה להיות לכם מדוע מאוד מה מי מתי על עד עם עוד רק של שלו שלה שלהם תחת
        """,
        "hi": """
            अगर अपना अपनी अपने आप इन इस इसका इसकी इसके इसमें इसे उन उनका उनकी उनके उन्हें उन्होंने
            उस उसका उसकी उसके उसने उसे एक एवं और कब कर करता करते करना करने कहाँ कहां का कि कितना
            कितनी कितने किन किस किसका किसकी किसके किसने किसी किसे की कुछ के को कोई कौन कौनसा कौनसी
            क्या क्यों गई गए गया जब जहाँ जहां जाता जाती जाते जिन जिस जिसका जिसके जैसे जो तक तब तथा
            तो था थी थीं थे द्वारा ने पर फिर बाद बहुत भी मगर में मैं यदि यह यहाँ यहां या ये रहा रही
            रहे लिए लेकिन वह वहाँ वहां वाला वाली वाले वे सकता सकती सकते साथ से हम ही हुआ हुई हुए हूँ
            है हैं हो होता होती होते होना होने
        """,
        "hr": """
            a ako ali bez bi bih bila bili bilo bio biti će ću da do dok ga gdje i ili im iz iznad
            između ja je jer još kad kada kako kao koja koje koji kojih kojoj kojem koliko kroz li
            me mi mogu može mu na nakon nego ne ni nije njih njegov ništa o od oko on ona oni ono po
            pod prema pri prije s sa samo se što su sve svi ta tako te to tu u uz va vam vas više za
            zašto že
        """,
        "hu": """
            a aki ahol akkor alatt által amely amelyek amelyet ami amikor annak át az azok azon azt
            azzal be benne csak de e ebben egy egyik ehhez el én ennek erre és ez ezek ezen ezt fel
            ha hanem hány hogy hogyan hol honnan hová így is itt ki kik le legyen lehet lesz lett
            még meg mely melyik mennyi mert mi mikor milyen mind mint miért mit mivel más már minden
            között kell ne nem nincs ő ők olyan össze pedig sem sok szerint számára után vagy van
            vannak volt voltak való volna
        """,
        "hy": """
            այդ այլ այն այս առանց բայց եմ են ենք եւ և էր էին է ըստ ինչ ինչպես ինչու իր իսկ կամ հետ
            համար մեջ մի մեկ ով որ որը որոնք որտեղ երբ քանի պես վրա միայն նա նրա նրանք չի ու
        """,
        "id": """
            ada adalah agar akan anda apa apakah atas atau bagaimana bagi bahwa banyak beberapa
            belum berapa bila bisa bukan dalam dan dapat dari dengan di dia hanya harus hingga ia
            ini itu jika juga kalau kami kapan karena ke kepada ketika kita lagi lain lebih maka
            mana manakah mereka mengapa namun oleh orang pada para pernah saat saja salah sampai
            sangat saya sebagai sebuah secara sedang sejak seorang seperti serta setelah siapa sudah
            suatu supaya tanpa telah tentang tersebut tetapi tidak untuk yaitu yang
        """,
        "is": """
            að af aftur alla allt á án eða ef eftir ég ekki en er eru frá fyrir fyrst hafa hann
            hefur henni hún hvað hvaða hvar hvenær hver hverjir hvernig hvers í með meira mikið og
            okkar sem sér sinn svo til um undir upp úr var varð vegna verið við voru yfir það þær
            þau þeim þeir þess þessi þetta þegar þú
        """,
        "ja": """
            から こと これ この した して する その それ です ます など ので また まで よう より
            ない なり なる った てい いる ある あっ され れた どこ どの どれ いつ 何で だれ なぜ
        """,
        "lt": """
            apie ar arba aš bei bet bus būti buvo dar dėl gali iki iš ir jau jei jis ji jų jo jos
            kad kada kai kaip kas kiek kokia kokie koks kodėl kur kurie kuris kuri kurios į mes ne
            nes nėra nors nuo o per po prie prieš šis ši šio šiuo šie su tačiau tai taip tarp tas
            ten tik tu už yra
        """,
        "lv": """
            ar arī bet bez bija būt būs cik caur cits cita es gan ir ja jau jo jums ka kad kādi kāda
            kāds kādā kam kas kā kāpēc kur kura kuras kuri kurš ko līdz lai mēs ne nevar no pa par
            pat pēc pie pirms savu starp šajā šī šis tas ta tad tā tās tie tiek to tomēr tika un uz
            vai var vairāk vēl viņa viņi viņš zem
        """,
        "mk": """
            а ако але би беше биде биле во го да до ги дека е ја јас за зошто и им или има кај како
            каде кога која кое кои кој колку кон ли може му на не нема него ние но нив од оваа овие
            овој ова откако по под при се само сe со сите сум таа тие тоа тој така туку ќе што
        """,
        "mr": """
            अशी असा असे असतात असतो असून असलेल्या आणि आपण आपल्या आहे आहेत एक एका कधी करण्यात करून का
            काय किती किंवा की कुठे कोण कोणता कोणती कोणत्या कसे च ची चा चे जर जे तर ते तो ती त्या
            त्यांच्या त्यांनी त्याच्या तसेच नाही नंतर परंतु पण मध्ये मात्र मी या यांनी याचा येथे ला
            व वर साठी सर्व ह्या हा ही हे होता होती होते
        """,
        "ms": """
            ada adakah adalah akan anda apa apabila atas atau bagaimana bagi bahawa banyak belum
            beliau berapa bila boleh bukan dalam dan dapat dari daripada dengan di dia hanya
            hendaklah ialah ini itu jika juga kami kepada kerana ketika kita lagi lain lebih mana
            manakala mereka mengapa oleh pada para pernah perlu saya sebagai sebuah secara sedang
            sejak seorang seperti serta siapa sudah supaya tanpa telah tentang tersebut tetapi tidak
            untuk yang
        """,
        "no": """
            alle at av ble blei bli da de deg dei dem den denne der dere deres det dette di din
            disse du eg ein eit eller en enn er et etter for fordi fra frå få før gjennom han hans
            har hadde hun hva hvem hvilke hvilken hvilket hvis hvor hvordan hvorfor i ikke ikkje inn
            jeg kan kor korleis kva kven man med meg mellom men mer min mot mye mange når noe noen
            nå og også om opp oss over på så seg skal som til uten ut under var ved vi vil være vært
            vere
        """,
        "pl": """
            a aby albo ale ani aż bardzo bez był była było były być bo by byli ci co coś czy czym
            dla dlaczego do gdy gdyż gdzie go i ich ile im innych iż ja jak jaka jaki jakie jako je
            jego jej jeszcze jest jeśli już kiedy kim kto które która który której którego których
            którzy lecz lub ma mają może można między mnie mu my na nad nam nas nie nich nim niż no
            o od on ona one oni oraz po pod poza przed przez przy są się swoje swój także tak tam te
            tego tej ten to tu tych tylko tym u w was we więc wszystkie wy z za ze że
        """,
        "ro": """
            a acest această aceasta aceste acestea acestei acestor acestui acesta ai al ale alte am
            ar are as asupra atât au avea ca când câte câți cât care căreia căror cărui ce cei cel
            cele celor cine cu cum că da dacă dar de deși despre din dintre doar după e ea ei el ele
            era erau este eu fi fie fiind fost în îi își între însă la le li lor lui mai mult mulți
            multe nici nu o ori pe pentru peste poate prin sa sale sau se și si sub sunt suntem te
            toate un una unde unei unor unui unul va vă voi
        """,
        "ru": """
            а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да
            даже для до его ее если есть еще ещё её же за и из или им их к как какая какие каким
            какими каких какого какое какой каком какую ко когда кого кому которая которого которой
            которую которое которые которых который котором кто ли лишь между меня мне многие может
            можно мой мы на над надо нас не него нее нет ни них но ну о об однако он она они оно от
            ото перед по под после потом потому почему при про с сам свой себя сколько со так также
            такой там те тем то того тоже только том тот ты у уже хотя чего чей чем через что чтобы
            чьё чья эта эти этих это этого этой этом этот эту я
        """,
        "sk": """
            a aby aj ako aká aké aký ale alebo ani áno asi až bez bol bola boli bolo bude budú by
            byť čo či do ho i ich iba im iné ja je jeho jej kde keď kto kedy koľko ktorá ktoré ktorí
            ktorý ktorých ku má medzi môže na nad nie než o od ono pod podľa pokiaľ po potom pre
            prečo pred pri práve sa sme som sú s so si svoj tak takže tam táto tento teda tieto to
            tu už v vo však viac z za zo že
        """,
        "sl": """
            a ali ampak bi bil bila bili bilo biti bo bodo brez če da do ga h ima in iz ja jaz je
            jih k kadar kaj kako kakšen kakšna kakšno kakšni katera katere kateri katero kdaj kdo
            kje kjer ki ko koliko kot lahko le med mi mu na nad naj ne ni nista niso njegov o ob od
            ona oni oziroma po pod pred pri s sam samo saj se sem si smo so svoj ste ta tako tega
            ter ti to tudi v vse vsi vam z za zakaj zato že
        """,
        "sq": """
            ai ajo ata atë çfarë cila cili cilat cilët dhe deri do duke e edhe është ishte ishin
            janë jo ka kanë kjo ku kur këto ky kush më me mund nga në nuk një për pas por pse prej
            që sa se si sipas shumë të tij tyre u vetëm
        """,
        "sr": """
            а ако али без би била били било бити био ће да до док га где и или им из изнад између ја
            је јер још кад када како као која које који којих којој којем колико кроз ли ме ми могу
            може му на након него не ни није њих о од око он она они оно по под према при пре с са
            само се шта што су све сви та тако те то ту у уз вам вас више за зашто
        """,
        "sv": """
            alla allt att av blev bli blir de den denna där deras dess dessa det detta dig din du då
            efter eller en ett emot från för fördes får få han hans har hade hennes hon hur här i
            icke inte innan in ju jag kan kunde man med mellan men mer mot mycket många när nu något
            några och också om oss på sedan sig sin sina ska skall som så till under upp ut utan vad
            var varför varit vars vara ved vem vi vid vilka vilken vilket är över
        """,
        "sw": """
            alikuwa ambao ambayo au bila cha gani hadi hata hii hiyo hizo huyo huu ikiwa ilikuwa
            jinsi juu kama katika kila kisha kutoka kuwa kwa kwamba kwenye la lakini lini mbali mwa
            na nani ndani ni nini ngapi pia sana tu wa wakati wake walikuwa wao wapi wote ya yake
            yao za zake
        """,
        "th": """
            ที่ และ ของ ใน เป็น ได้ มี ให้ จะ ไม่ การ ความ ว่า กับ จาก โดย หรือ แต่ ซึ่ง นี้ นั้น
            อยู่ ก็ ไป มา แล้ว ถูก เมื่อ ต้อง อะไร ใคร ไหน เท่าไร เท่าใด อย่างไร กี่ ทำไม
        """,
        "tl": """
            ang ano at ay bakit dahil din gaya hindi ito iyon kay kaya kung kailan ko kami lamang
            mga may mayroon mula na nang nasa ng ngunit ni noong o paano para pero rin sa saan sila
            sino siya upang
        """,
        "tr": """
            ama ancak bazı ben beri bile bir biri biz bu bunu bunun buna böyle çok çünkü da daha de
            değil diye dolayı eğer en gibi göre hangi hangisi hangileri hem hep her hiç için ile ise
            işte kaç kaçtır kadar karşı ki kim kime kimdir kimin kimler mı mi mu mü nasıl ne neden
            nedir neler nelerdir nerede nereden nereye niçin o olan olarak oldu olduğu olmak olup
            olur ona onu onun onlar onların oysa önce pek sadece sonra şey şu siz son tarafından tüm
            üzere var ve veya ya yani yok zaman
        """,
        "uk": """
            а або але б без би бо був була були було бути в вам вас ви від він вона вони воно все
            всіх де для до є ж за з зі і із й його її їх к коли кого кому котрий хто лише між може
            можна ми на над нас не неї ні них о об однак під по при про після та так також там те ти
            тим то тобто того той тільки тому у хоч це цей ця ці цих цього цієї чи чим чому що щоб
            щодо як яка яке який якими яких якого якої якому якщо які я скільки
        """,
        "ur": """
            آپ اس اسے اسی اگر ان انہوں انہیں اور ایک بعد بھی پر پھر تا تاکہ تک تو تھا تھی تھے جب جس
            جن جو خود دو ساتھ سکتا سکتے سے طرح کا کب کر کرتا کرتے کرنا کرنے کس کسی کتنا کتنے کہ کہاں
            کو کون کونسا کوئی کی کیا کیسے کیوں کے گا گئی گئے گیا لیکن لیے مگر میں نہ نہیں نے وہ والے
            ہم ہو ہوا ہوتا ہوتے ہوئے ہیں ہے یا یہ
        """,
        "vi": """
            ai anh bao bằng bên bị bởi các cả cái chỉ cho chúng có còn cùng cũng của cứ do đã đang
            đây để đến đều đi đó được gì hay hoặc họ khi không là lại lên mà mỗi một này nào nếu như
            nhưng những nơi nó ở qua ra rằng rất rồi sao sau sẽ tại theo thế thì tôi trên trong từ
            và vào vẫn vậy vì với về
        """,
        "zh": """
            什么 什麼 哪个 哪個 哪些 哪里 哪裡 哪种 哪一 多少 怎么 怎麼 怎样 如何 为什 為什 是否
            请问 請問 我们 我們 你们 他们 她们 它们 这个 這個 那个 那個 这些 這些 那些 以及 因为
            因為 所以 但是 可以 没有 沒有 是谁 谁是 几个 什么时 的是 是什
        """,
        "ar": """
            أن إن أنه إنه أنها إنها أو أي أية أين إلا إلى الا التي الذي الذين الى أما أمام أنا أنت
            انت بعد بعض بل بين به بها تكون تلك تم ثم حتى حول حيث خلال دون ذلك سوف على عليه عليها عن
            عنه عند عندما غير في فقد فهو فيه فيها قبل قد كان كانت كل كم كما كيف لا لدى لقد لكن لكي
            لم لماذا لن له لها ليس ليست ما ماذا متى مثل مع من منذ منه منها نحن هذا هذه هل هم هناك هو
            هي و وفي وقد وكان وكانت ولا ولم وما ومن وهو وهي يا يتم يجب يكون يمكن
        """,
        "ko": """
            가장 그 그것 그는 그들 그러나 그리고 그의 누가 누구 누구의 는 대한 대해 더 등 또는 또한
            된 때 무슨 무엇 무엇을 무엇인가 무엇인가요 및 수 어느 어디 어디에 어디에서 어떤 어떻게
            언제 얼마나 몇 왜 위해 위한 이 이는 이런 있는 있다 있었다 있습니다 저 것 것은 것이다
            하는 하지만 한 할 합니다 했다
        """,
    }.items()
}
