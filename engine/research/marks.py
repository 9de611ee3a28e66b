"""The marks that a text from outside earns when it speaks to a machine instead of telling news.

Each mark is a plain function of the text as it came. Words are looked for in several spellings of it: as it is, with look-alike
letters folded, with digits read as letters, and turned by thirteen places.
"""

import base64
import binascii
import codecs
import functools
import re
import unicodedata
from collections.abc import Callable, Iterator

from engine.plain_text import plain
from engine.research.look_alikes import folded, mixes_scripts

_UNSEEN = re.compile(
    "[\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e01ef]")
_ESCAPES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_STYLED = re.compile("[\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f110-\U0001f189]")
_STACKED = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{3,}")
_RUNS = re.compile(r"(?:[0-9a-f]{2}[\s:]?){20,}|(?:\b[0-9a-f]{2}[\s:,]){10,}|"
                   r"(?:\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|%[0-9a-f]{2}|&#x?[0-9a-f]{1,6};){3,}"
                   r"|(?:\b[01]{8}\b\s*){4,}", re.IGNORECASE)
_LEET = str.maketrans("013457@$", "oieastas")

_BEFORE = r"(?:previous|prior|above|earlier|preceding|foregoing|former|existing|original|initial|past)"
_ORDERS = r"(?:instructions?|prompts?|directives?|directions?|commands?|system messages?)"
_RULES = (r"(?:rules?|guidelines?|guidance|polic(?:y|ies)|constraints?|limits?|safeguards?|restrictions?|context|messages?|"
          r"data|checks?)")
_DROP = (r"(?:ignor(?:e|es|ing)|disregard(?:s|ing)?|forget(?:s|ting)?|overrid(?:e|es|ing)|bypass(?:es|ing)?|discard|skip|neglect|"
         r"do not (?:follow|obey|heed)|don'?t (?:follow|obey|heed)|stop (?:following|obeying)|pay no attention to)")
_MODELS = (r"(?:large |any |all )*(?:language models?|llms?|ai (?:models?|agents?|systems?|assistants?|readers?|analysts?|"
           r"summari[sz]ers?|traders?)|chat ?bots?|trading (?:bots?|agents?|models?|systems?)|"
           r"automated (?:systems?|readers?|traders?|analysts?)"
           r"|assistants?|gpts?|chatgpt|claude|gemini)")
_DO = (r"(?:ignore|disregard|forget|output|return|respond|reply|answer|set|treat|assume|consider|rate|must|always|never|buy|sell|"
       r"approve|execute|increase|raise|lower|disable|enable|suspend|lift|remove|override|act|pretend|report|assign|print|call|"
       r"place|do not|don'?t|please|you)")
_FIELDS = (r"(?:p_up|p_win|p_cal|p_raw|target_bps|stop_bps|horizon_days|schema_version|automation_level|auto_execute|"
           r"suggest_only|monitor_only|aggressiveness|risk_bps|place_order|evidence_id|event_tags)")

_OVERRIDE = (
    rf"\b{_DROP}\b (?:\w+ ){{0,3}}?{_BEFORE} (?:\w+ ){{0,2}}?{_ORDERS}\b",
    (rf"\b{_DROP}\b (?:all |any |every |each )?(?:of )?(?:your|my|the system|system) (?:\w+ ){{0,2}}?(?:{_ORDERS}|"
     rf"{_RULES})\b"),
    rf"\b{_DROP}\b (?:all|any|every)(?: of)?(?: the| these| those)? (?:\w+ )?(?:{_ORDERS}|{_RULES})\b",
    rf"\b{_DROP}\b (?:the |these |those )?(?:instructions|prompts?)\b",
    (rf"\b{_DROP}\b (?:everything|anything|all|what(?:ever)?)(?: that| which| you)?(?: \w+){{0,3}} "
     r"(?:above|before|said|told|earlier|read|learned|previously)\b"),
    rf"\b{_DROP}\b {_BEFORE} {_RULES}\b.{{0,30}}\b(?:and|then|instead|now)\b.{{0,12}}\b{_DO}\b",
    rf"\b{_BEFORE} (?:{_ORDERS}) (?:are|is|were|have been|no longer)\b",
    (r"\bnew (?:\w+ )?(?:instructions?|prompt|directive) ?(?::|for you\b|"
     r"from (?:the |your )?(?:developers?|operators?|system|admin\w*|user))"),
    r"\b(?:from now on|starting now|going forward),? (?:you|always|only|treat|answer|output|respond)\b",
    (r"\b(?:reveal|print|repeat|show|leak|output|display|send|dump)\b.{0,20}\b(?:system prompt|your (?:\w+ "
     r")?(?:instructions|prompt|rules)|api keys?|credentials|passwords?)\b"),
    r"\b(?:developer|debug|maintenance|god|admin|root|unrestricted) mode (?:is |now )?(?:on|enabled|active|engaged)\b",
    r"\byou are (?:now |no longer )(?:an? |in |the |bound|required|\w+gpt)",
    (r"\b(?:pretend|act as|behave as|roleplay|simulate being)\b.{0,12}\b(?:you|if|an? (?:ai|bot|trader|assistant|"
     r"unrestricted))\b"),
)
_ADDRESSED = (
    (r"\b(?:note|notice|important|attention|message|instructions?|memo|reminder|warning|hint|information|advice|summary|context|"
     r"urgent)s?:? "
     rf"(?:\w+ )?(?:to|for) (?:{_MODELS}|llm|ai)(?: (?:reading|processing|analy[sz]ing|summari[sz]ing)\b| ?[:,;.!-]|$)"),
    rf"\b(?:attention|dear|hello|hey|hi|listen|important|notice|note|alert),? {_MODELS} ?[:,;!-]",
    rf"^\W{{0,12}}{_MODELS} ?[:,;-] ?{_DO}\b",
    rf"\b{_MODELS} (?:reading|processing|analy[sz]ing|parsing|summari[sz]ing|evaluating) (?:this|these|the)\b",
    (rf"\b(?:all |any |every )?(?:{_MODELS}|models?|agents?|analysts and models) (?:must|should|shall|need to|have to|"
     r"are (?:required|instructed|ordered|told|advised) to) (?:now |always |only )?(?:output|answer|treat|set|respond|"
     r"assign|rate|return|report|ignore|disregard|assume|buy|sell|go|use|raise|lower|approve)\b"),
    r"\b(?:if|since|because|as) (?:you are|you're) an? (?:\w+ )?(?:ai|llm|language model|model|assistant|bot|agent)\b",
    r"\bas an (?:ai|llm)\b(?: (?:language )?(?:model|assistant))?,? (?:you|your)\b",
    (r"\byou (?:must|should|shall|will|have to|need to) (?:now |always |only |immediately )?(?:output|answer|respond|"
     r"reply|return|set|treat|assign|rate|ignore|disregard|buy|sell|go (?:long|short)|approve|execute|raise|report)\b"),
    r"\b(?:respond|answer|reply|output|return) (?:only|exclusively|strictly|exactly) (?:with|in|the|by)\b",
    r"\b(?:do not|don'?t|never) (?:mention|tell|reveal|report|disclose|flag|show) (?:this|the user|anyone|it|that)\b",
)
_ROLES = (
    (r"(?:^|[\n\r.!?]|\\n)\W{0,12}(?:system|assistant|user|human|developer|operator|ai|tool|admin(?:istrator)?)(?: "
     r"(?:message|note|prompt|notice|"
     rf"update|override|instruction))?\s*[:>\]]+\s*(?:{_DO}\b|i\b|i'?(?:m|ve|ll)\b|the (?:correct|user|right|final|new)|"
     r"risk (?:limits?|checks?)|"
     r"new (?:instructions?|rules?|polic)|all (?:limits|checks|previous|prior|rules)|your\b|limits\b|trading (?:limits|"
     r"rules)|safety|understood|sure|okay|ok\b|verified|confirmed|stance|probability|\{)"),
    r"\b(?:human|user|system) ?:.{3,200}\b(?:assistant|ai|model) ?:", r"<\|[a-z_ ]{2,30}\|>",
    r"\[/?inst\]",
    r"<</?sys>>",
    r"#{2,}\s*(?:instructions?|system|response|assistant|user|human|new task|task)\b",
    (r"\b(?:begin|end|start)(?:ning)?[ _](?:of[ _])?(?:system|user|assistant|admin|instructions?|prompt|untrusted|"
     r"context|data|news)(?:[ _](?:prompt|message|data|block|section|input|text))?\b(?=\W*(?:$|[-=#\]:*>]))"),
    (r"\bas (?:the|your) (?:developer|operator|administrator|owner|creator|supervisor|portfolio manager|risk "
     r"manager)\b.{0,30}\b(?:i|authori[sz]e|instruct|order|grant|you)\b"),
    (r"\b(?:message|note|order|instructions?) from (?:the |your )?(?:developers?|operators?|administrators?|admin|"
     r"system|anthropic|openai|risk desk)\b"),
    (r"\b(?:openai|anthropic|quarterdeck|the operator|the developer|the administrator) (?:has |have )?(?:authori[sz]ed|"
     r"instructs?|orders|requires|permits)\b.{0,20}\byou\b"),
)
_ANSWERS = (
    r"```",
    r"\{\s*[\"'“”\\]+\s*\w+\s*[\"'“”\\]+\s*:",
    rf"\b{_FIELDS}\b",
    r"\b[\"']?(?:stance|conviction)[\"']?\s*[:=]\s*[\"']?(?:long|short|flat|exit|buy|sell|\d)",
    r"\bstance\b.{0,8}\b(?:long|short|flat|exit)\b",
    r"\bp\s?(?:up|win)\s*(?:=|:|is|of)\s*[\d.]+",
    (r"\b(?:set|output|return|answer|respond|assign|report|use|give)\b.{0,40}\b(?:probability|stance|conviction|"
     r"confidence)\b"),
    (r"\b(?:correct|true|right|verified|actual|proper|expected|final) (?:probability|answer|stance|output|forecast "
     r"is)\b"),
    r"\b(?:probability|confidence|conviction)\s*(?:=|:)\s*[\d.]+",
    (r"\b(?:go|be|stay) (?:all[- ]in|maximum long|max(?:imum)? short|long with (?:full|max\w*)|short with (?:full|"
     r"max\w*))\b"),
    r"\bbuy \S+(?: \S+){0,3} with (?:all|the entire|maximum|full|every) ",
    (r"\b(?:treat|interpret|read|consider|regard|score|count|classify)\b.{0,30}\b(?:bearish|negative|bad|bullish|"
     r"positive|good|losses|sell)\b.{0,20}\bas\b.{0,15}\b(?:bullish|positive|good|bearish|negative|bad|gains|buy)\b"),
    r"\b(?:invert|reverse|flip) (?:the |your |all )?(?:signals?|stance|sentiment|expectations?|probabilit|sign)\b",
)
_STATE = (
    (r"\byour (?:(?:current|actual|real|open|total|available|true) )*(?:positions?|balance|holdings?|exposure|cash|"
     r"stop(?: loss)?s?|equity|buying power|"
     r"account|portfolio|limits?|risk (?:limits?|budget)|drawdown|orders?|task|goal|role|job)(?: \w+){0,4}? (?:is|are|"
     r"was|were|has|have|equals?|=)\b"
     r"(?! (?:right|safe|ready|too|at risk|worth|vulnerable|exposed|likely|important|about))"),
    (r"\byou (?:now |currently |already )?(?:have|hold|own) (?:\d[\d,.]* (?:shares|units|contracts|\w+ of)|"
     r"no (?:positions?|shares|limits?)|unlimited|full)"),
    r"\b(?:raised|lifted|removed|doubled|increased|suspended|changed|lowered) your\b", r"\bwhen sizing (?:this|the|your|a)\b",
    r"\bany other (?:figure|number|value|balance|position)s? (?:is|are)\b",
    (r"\b(?:risk|trading|position|loss|exposure|stop|stop[- ]loss|safety|spending|account)[- ](?:limits?|orders?|checks?|"
     r"controls?|gateway|rules?|guards?|losses) "
     r"(?:(?:is|are|have been|has been|were|was) )(?:now |temporarily |hereby )?(?:suspended|removed|disabled|lifted|"
     r"void|waived|off|inactive|unlimited|doubled|cancel+ed)\b"),
    (r"\b(?:raise|increase|double|lift|remove|disable|suspend|set|change|lower|ignore|waive|bypass|switch off|turn "
     r"off)\b (?:\w+ ){0,2}?"
     r"(?:risk (?:limits?|checks?|controls?|per \w+|budget|gateway)|max(?:imum)? (?:risk|position size|leverage|loss)|"
     r"stop[- ]loss(?:es)?|safety|"
     r"kill switch|automation|position siz\w+|the stops?|all stops?|drawdown limit|heat limit)\b"),
    (r"\b(?:approve|execute|confirm|accept|submit|sign)\b (?:all|any|every|this|these|the|each|pending)(?: \w+){0,2}? "
     r"(?:proposals?|orders?|trades?|"
     r"transactions?|requests?)\b(?= (?:now|immediately|without|automatically|at once)|\W*$)"),
    (r"\b(?:without|no|skip(?:ping)?) (?:human |manual |further |any |user )*(?:approval|confirmation|review) (?:is |"
     r"being )?(?:needed|required|necessary)\b"),
    r"\b(?:the )?(?:whitelist|watch ?list|allowed symbols?|symbol list)\b.{0,30}\b(?:now|add|includ|extend|replac)\w*",
    r"\badd \S+ to (?:the |your )(?:whitelist|watch ?list|portfolio|allowed)\b",
    (r"\b(?:call|invoke|use|run|execute) (?:the )?(?:tool|function|api|command|shell|bash|place_?order|cancel_?order|"
     r"\w+\(\))"),
)
_ELSEWHERE = (
    (r"忽略.{0,12}(?:指令|指示|提示|规则|命令)|(?:无视|無視|忘记|忘掉|不要(?:理会|遵守)|忽視|忽略).{0,12}(?:指令|指示|提示|规则|規則|命令|之前|以前|先前|上述)"
     r"|(?:立即|立刻|马上)(?:全部)?(?:买入|卖出|買入|賣出)|新的?指令"),
    r"(?:指示|命令|指令|プロンプト|ルール|規則).{0,8}(?:無視|忘れ|従わ)",
    r"(?:지시|명령|지침|프롬프트|규칙).{0,12}(?:무시|잊)",
    (r"(?:игнориру|забудь|не обращай|проигнорир|не следуй|отмени|ігнору|забудьте).{0,40}(?:инструкц|указани|правил|"
     r"команд|інструкц|вказів)"),
    (r"(?:ignorier|missacht|vergiss|vergesst|vergessen sie|übergeh|beachte nicht|befolge nicht).{0,50}(?:anweisung|"
     r"instruktion|befehl|prompt|(?:vorherig|bisherig|obig|vorig)\w* (?:regel|vorgabe))"),
    (r"(?:ignor|oubli|ne (?:tiens|tenez) (?:pas|aucun) compte|fais abstraction|faites "
     r"abstraction).{0,40}(?:(?:les|ces|vos|tes|des|aux) (?:\w+ )?(?:instructions|consignes)|"
     r"(?:directive|règle|ordre)s? (?:précédent|antérieur|ci-dessus))"),
    (r"(?:ignor|olvid|omit|haz caso omiso|desatiend|no sigas).{0,40}(?:instruccion|"
     r"indicacion|(?:órdenes|ordenes|reglas|directrices) (?:anterior|previa))"),
    r"(?:ignor|dimentica|trascura|non seguire|scorda).{0,40}(?:istruzion|(?:regole|direttive|ordini) precedent)",
    r"(?:ignor|esqueç|desconsider|não sig).{0,40}(?:instruç|(?:regras|ordens|diretrizes) anterior)",
    r"(?:negeer|vergeet|sla .{0,10}over).{0,40}(?:instructie|opdracht|aanwijzing|(?:vorige|eerdere|voorgaande) regel)",
    (r"(?:ignoruj|zignoruj|pomiń|zapomnij|ignorera|glöm|ignorer|glem|unohda|sivuuta|ignoruj|ignorujte).{0,40}"
     r"(?:instrukcj|polece|zasad|instruktion|regler|instruks|ohje|pokyn|instrukc)"),
    r"(?:talimat|yönerge|komut|kural).{0,40}(?:yok say|görmezden|unut|dikkate alma)",
    r"(?:abaikan|lupakan).{0,40}(?:instruksi|perintah|petunjuk|arahan)",
    r"(?:bỏ qua|quên|phớt lờ).{0,40}(?:hướng dẫn|chỉ thị|chỉ dẫn|lệnh|quy tắc)",
    r"(?:تجاهل|انس|تجاهلوا).{0,40}(?:التعليمات|الأوامر|تعليمات|القواعد)",
    (r"(?:निर्देश|आदेश|नियम).{0,30}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल)|(?:अनदेखा|नज़रअंदाज़|नजरअंदाज).{0,30}(?:निर्देश|"
     r"आदेश|नियम)"),
    r"(?:התעלם|תתעלם|שכח).{0,40}(?:הוראות|הנחיות|פקודות)",
    r"(?:αγνόησε|αγνοήστε|ξέχασε).{0,40}(?:οδηγίες|εντολές|κανόνες)",
    r"(?:เพิกเฉย|ละเว้น|ลืม).{0,40}(?:คำสั่ง|คำแนะนำ)",
)
_MARKUP = (
    r"</?[a-z|!?][^<>]{0,120}>",
    r"&lt;/?[a-z]",
    r"!?\[[^\]\n]{0,80}\]\([^)\s]*[^)]*\)",
    r"\]\]>|<!\[cdata",
    (r"\[/[a-z#@ ]{0,30}\]|\[@click|\[link\b|\[(?:bold|italic|underline|strike|blink|reverse|dim|not|on|red|green|blue|"
     r"yellow|white|black|cyan|magenta)\b[a-z0-9 #_]*\]"),
    r"\{\{.{0,80}?\}\}|\$\{[^}]{1,80}\}|\{[a-z_]{3,30}\}|\{%.{0,80}?%\}",
    r"(?:^|\s)(?:-{3,}|={3,}|\*{3,}|~{3,})\s*(?:end|begin|system|new|stop|user|instructions?)\b",
    r"<<<|>>>|%%%",
)
_ADDRESSES = (
    r"\b(?:https?|ftp|file|wss?|ssh|mailto|ipfs|hxxps?)\s*:\s*/?/?\S",
    r"\bwww\.\S+\.\S",
    r"\b(?:javascript|data|vbscript)\s*:\s*\S+[(/;,]",
    r"\b[a-z0-9-]{2,40}\.(?:invalid|example|test|onion|xyz|top|click)\b",
    r"\b[a-z0-9-]{1,40}\.[a-z]{2,6}/\S{0,200}[?&=%]",
)

Matcher = Callable[[str], bool]


def _any_of(patterns: tuple[str, ...]) -> Matcher:
    def found(text: str) -> bool:
        return any(pattern.search(text) for pattern in _compiled(patterns))

    return found


@functools.cache
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compiled once a text is looked at: an engine that does no research starts without them."""
    return tuple(re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in patterns)


_overrides, _addresses_models, _plays_a_role, _answers, _tells_state, _elsewhere, _has_markup, _has_address = map(
    _any_of, (_OVERRIDE, _ADDRESSED, _ROLES, _ANSWERS, _STATE, _ELSEWHERE, _MARKUP, _ADDRESSES))
_LONGEST_READ = 4_000


def _spellings(text: str) -> Iterator[str]:
    """The text as a reader may take it, plainest first."""
    cut = text[:_LONGEST_READ]
    settled = unicodedata.normalize("NFKC", plain(_UNSEEN.sub("", cut)))
    yield " ".join(settled.split())
    plainest = " ".join(folded(settled).split())
    yield plainest
    yield plainest.translate(_LEET)
    yield re.sub(r"(?<=\w)[\s._*·|/\\-]+(?=\w)", " ", plainest)


def _in_any_spelling(matches: Matcher) -> Matcher:
    return lambda text: any(matches(spelling) for spelling in _spellings(text))


def overrides_instructions(text: str) -> bool:
    """It wants former instructions forgotten or new ones taken, in English."""
    return any(_overrides(spelling) for spelling in _spellings(text)) or _overrides(codecs.encode(text[:_LONGEST_READ], "rot13"))


def overrides_elsewhere(text: str) -> bool:
    """The same in another language."""
    return _elsewhere(unicodedata.normalize("NFKC", plain(_UNSEEN.sub("", text[:_LONGEST_READ]))))


def speaks_to_models(text: str) -> bool:
    """It turns to language models or tells its reader what to answer."""
    return _in_any_spelling(_addresses_models)(text)


def plays_a_role(text: str) -> bool:
    """It poses as a turn of a conversation, or as an authority."""
    return _plays_a_role(text[:_LONGEST_READ]) or _in_any_spelling(_plays_a_role)(text)


def poses_as_an_answer(text: str) -> bool:
    """It holds an answer ready, or names the fields of ours."""
    return _answers(text[:_LONGEST_READ]) or _in_any_spelling(_answers)(text)


def tells_state(text: str) -> bool:
    """It claims to know positions, limits or permissions, or wants them changed."""
    return _in_any_spelling(_tells_state)(text)


def has_markup(text: str) -> bool:
    """Tags, links, templates or the screen's own markup: news has none, and a fence is broken with them."""
    return _has_markup(text[:_LONGEST_READ]) or _has_markup(unicodedata.normalize("NFKC", text[:_LONGEST_READ]))


def has_address(text: str) -> bool:
    """It carries an address to be followed."""
    return _has_address(text[:_LONGEST_READ])


def hides_characters(text: str) -> bool:
    """Controls, escapes, bidirectional or invisible characters, or accents in stacks."""
    has_stacks = _STACKED.search(unicodedata.normalize("NFD", text[:_LONGEST_READ]))
    return bool(_UNSEEN.search(text) or _ESCAPES.search(text) or has_stacks)


def disguises_letters(text: str) -> bool:
    """Letters of another script inside words, or styled ones."""
    return mixes_scripts(text[:_LONGEST_READ]) or len(_STYLED.findall(text[:_LONGEST_READ])) >= 4


def spaces_letters(text: str) -> bool:
    """Words written a letter at a time."""
    return bool(re.search(r"(?:\b[^\W\d_][\s._*·|/-]{1,3}){7,}[^\W\d_]\b", text[:_LONGEST_READ]))


def has_code(text: str) -> bool:
    """A run that only a machine reads: base64, hex, percent or backslash escapes, bits."""
    cut = text[:_LONGEST_READ]
    return bool(_RUNS.search(cut)) or any(_decodes(run) for run in re.findall(r"[A-Za-z0-9+/_-]{20,}={0,2}", cut))


def floods(text: str) -> bool:
    """Far longer than news, or the same words over and over."""
    words = text[:_LONGEST_READ].lower().split()
    is_repeating = len(words) >= 24 and len(dict.fromkeys(words)) * 4 < len(words)
    return len(text) > _LONGEST_READ or is_repeating or bool(re.search(r"(\S)\1{39,}", text[:_LONGEST_READ]))


def _decodes(run: str) -> bool:
    """Whether a run of characters is base64 of readable text, or looks too mixed to be a word."""
    letters = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        told = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    is_readable = sum(32 <= byte < 127 for byte in told) >= 0.9 * len(told)
    is_mixed = len(run) >= 40 and bool(re.search("[a-z]", run) and re.search("[A-Z]", run) and re.search("[0-9]", run))
    return is_readable or is_mixed


MARKS: tuple[tuple[str, Matcher], ...] = (
    ("instruction", overrides_instructions),
    ("instruction_elsewhere", overrides_elsewhere),
    ("addressed_to_models", speaks_to_models),
    ("role", plays_a_role),
    ("answer", poses_as_an_answer),
    ("state", tells_state),
    ("markup", has_markup),
    ("address", has_address),
    ("hidden_characters", hides_characters),
    ("disguised_letters", disguises_letters),
    ("spaced_letters", spaces_letters),
    ("encoded", has_code),
    ("flooding", floods),
)
