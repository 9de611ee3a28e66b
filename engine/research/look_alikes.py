"""Letters of other scripts that look like Latin ones."""

import re
import unicodedata

# From Unicode's confusables for the letters that differ in no ordinary typeface
_CYRILLIC = dict(zip("аАвВсСԁеЕһНіІјЈкКӏМоОрРԛѕЅтТѵԜԝхХуУүғ", "aABBcCdeEhHiIjJkKlMoOpPqsStTvWwxXyYyf", strict=True))
_GREEK = dict(zip("αΑβΒγεΕηΗιΙκΚμΜνΝοΟρΡτΤυΥχΧωζΖ", "aABByeEnHiIkKuMvNoOpPtTuYxXwzZ", strict=True))
_OTHERS = dict(zip("ıɑɡɩʟոսհօցԍꓮꓐꓚꓠꓳꓑꓢꓔ", "iagiLnuhogGABCNOPST", strict=True))
_FOLDING = str.maketrans(_CYRILLIC | _GREEK | _OTHERS)
_WORD = re.compile(r"[^\W\d_]{2,}")


def folded(text: str) -> str:
    """The text with look-alikes and accents replaced by the Latin letters that they pass for."""
    bare = "".join(character for character in unicodedata.normalize("NFKD", text) if not unicodedata.combining(character))
    return bare.translate(_FOLDING)


def mixes_scripts(text: str) -> bool:
    """Whether a word takes letters of two scripts that are never spelled together."""
    return any(len(_scripts(word)) > 1 for word in _WORD.findall(unicodedata.normalize("NFC", text)))


def _scripts(word: str) -> dict[str, None]:
    names = (unicodedata.name(letter, "").split(" ")[0] for letter in word)
    return dict.fromkeys(name for name in names if name in {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "LISU"})
