"""How often answers of models had to be repaired, asked again or refused: a figure of health, by code."""

from collections import Counter
from collections.abc import Iterable, Iterator

from engine.research.calling import NO_ANSWER
from engine.research.decided import Decided, RoleAnswer
from engine.research_words import RateOfCode

CALLS = 100
MOST_AGAIN = 0.05
MOST_REJECTED = 0.02
MOST_UNANSWERED = 0.05
AGAIN, REJECTED, UNANSWERED = "asked again", "rejected", "unanswered"


def rates_of(decisions: Iterable[Decided], calls: int = CALLS) -> tuple[RateOfCode, ...]:
    """The rates over the newest calls of models; `decisions` come newest first.

    Three sums first, with an alarm once there are so many calls: asked again above 5 %, rejected above 2 %, unanswered above 5 %.
    Then each code and each repair by itself, the most frequent first.
    """
    sums: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    total = 0
    for kind, answer in _kinds(decisions):
        if total == calls:
            break
        total += 1
        sums[kind] += 1
        codes.update((answer.code,) if answer.code else answer.repairs)
    if not total:
        return ()
    full = total >= calls
    bounds = ((AGAIN, MOST_AGAIN), (REJECTED, MOST_REJECTED), (UNANSWERED, MOST_UNANSWERED))
    told = [RateOfCode(name, sums[name], total, full and sums[name] > most * total) for name, most in bounds]
    return (*told, *(RateOfCode(code, count, total, alarm=False) for code, count in sorted(
        codes.items(), key=lambda item: (-item[1], item[0]))))


def _kinds(decisions: Iterable[Decided]) -> Iterator[tuple[str, RoleAnswer]]:
    """Each call of a model with what became of it; the answer that follows one of the same role was asked for again."""
    for decided in decisions:
        answers = decided.answers
        for place, answer in enumerate(answers):
            if not answer.call_hash:
                continue
            followed = place + 1 < len(answers) and answers[place + 1].role == answer.role
            last = decided.rejected and answer.code == decided.code
            yield (UNANSWERED if answer.code in NO_ANSWER else AGAIN if answer.code and followed
                   else REJECTED if answer.code and last else ""), answer
