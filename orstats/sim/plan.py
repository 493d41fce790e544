"""What one conversation is: who talks to which model about what, and how long each turn is.

Metadata and content are both written from the plan, so that a record's token counts and the text behind it agree.
Token counts here are the API's normalised ones.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from orstats.sim import catalogue as models
from orstats.sim.account import APPS, DESIGN, ENRICHMENT, HELPDESK, HOSTILE_USERS, SCRIPTS, App
from orstats.sim.seeds import chance, letters, one_of, skewed, stream, uuid_of
from orstats.sim.texts import HOSTILE_ANSWERS, HOSTILE_ASKS, Subject, subjects, tokens_in

if TYPE_CHECKING:
    import random

    from orstats.sim.catalogue import Endpoint, Model
    from orstats.sim.timeline import Slot

# Every message costs a few tokens more than its text.
PER_MESSAGE = 4
_MEDIA_TOKENS = 640
_ATTACHING = 0.5
_LENGTHENING = 0.55
_LONGEST_DOCUMENT = 24_000
_LONGEST_ANSWER = 3_000
_THINKING = 0.85
_HOSTILE_ASK = 0.012
_HOSTILE_USER = 0.022
_NAMED_SESSION = 0.85

_APP_OF_KIND = {"image": DESIGN, "video": DESIGN, "speech": DESIGN, "embeddings": ENRICHMENT, "rerank": HELPDESK}
_TALK_HEIGHTS = list(accumulate(app.talks for app in APPS))
_ASK_HEIGHTS = list(accumulate(app.asks for app in APPS))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn: which prepared question and answer, what is added to them, and the sizes in tokens.

    ``hostile`` counts from 1 and chooses a text that strangers write; 0 for none. ``media`` is what comes with
    the question: "image", "file", "audio" or nothing.
    """

    pair: int
    attached: int
    asked: int
    lengthened: int
    answered: int
    reasoned: int
    hostile: int
    media: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One conversation (a single request is a conversation of one turn).

    ``talk`` names it, and ``seed`` with it makes its texts.
    """

    seed: int
    talk: str
    app: App
    model: Model
    endpoint: Endpoint
    user: str | None
    agent: str | None
    session: str | None
    subject: Subject
    exchanges: tuple[Exchange, ...]
    kinds: tuple[str, ...]

    def prompt_tokens(self, turn: int) -> int:
        """Count the tokens of the prompt of a turn: everything said before it, and its question."""
        total = tokens_in(self.subject.system) + PER_MESSAGE
        for exchange in self.exchanges[:turn]:
            total += exchange.asked + exchange.answered + 2 * PER_MESSAGE
        return total + self.exchanges[turn].asked + PER_MESSAGE

    def pictures(self, turn: int) -> int:
        """Count the pictures and files in the prompt of a turn; those of earlier turns stay in it."""
        return sum(exchange.media in {"image", "file"} for exchange in self.exchanges[: turn + 1])

    def sounds(self, turn: int) -> int:
        """Count the sound recordings in the prompt of a turn; those of earlier turns stay in it."""
        return sum(exchange.media == "audio" for exchange in self.exchanges[: turn + 1])


def plan_of(seed: int, slot: Slot) -> Plan:
    """Plan the conversation that a generation belongs to.

    Parameters
    ----------
    seed
        The account's.
    slot
        Any turn of the conversation: all give the same plan.
    """
    rng = stream(seed, "talk", slot.talk)
    kinds = slot.kinds
    app = _app(rng, kinds)
    model = _model(rng, kinds)
    endpoint = _endpoint(rng, model, kinds)
    user = skewed(rng, app.users)
    if chance(rng, _HOSTILE_USER):
        user = one_of(rng, HOSTILE_USERS)
    session = None
    if len(kinds) > 1 and chance(rng, _NAMED_SESSION):
        session = f"ticket-{rng.randrange(20_000, 99_999)}" if app is HELPDESK else uuid_of(seed, slot.talk)
    elif chance(rng, 0.1):
        session = f"sess_{letters(rng, 16)}"
    subject = subjects()[app.subject]
    return Plan(
        seed=seed,
        talk=slot.talk,
        app=app,
        model=model,
        endpoint=endpoint,
        user=user,
        agent=None if chance(rng, 0.03) else one_of(rng, app.agents),
        session=session,
        subject=subject,
        exchanges=_exchanges(rng, app, model, subject, kinds),
        kinds=kinds,
    )


def _app(rng: random.Random, kinds: tuple[str, ...]) -> App:
    fixed = _APP_OF_KIND.get(kinds[0])
    if fixed is not None:
        return fixed
    if kinds[0] == "legacy":
        return one_of(rng, (HELPDESK, SCRIPTS, HELPDESK))
    heights = _TALK_HEIGHTS if len(kinds) > 1 else _ASK_HEIGHTS
    return APPS[bisect(heights, rng.random() * heights[-1])]


def _model(rng: random.Random, kinds: tuple[str, ...]) -> Model:
    fixed = _MODELS_OF_KIND.get(kinds[0])
    if len(kinds) == 1 and fixed is not None:
        return models.weighted(rng, fixed)
    return models.weighted(
        rng, models.SEEING if "media" in kinds else models.CHAT if len(kinds) == 1 else models.ROUTED
    )


_MODELS_OF_KIND: dict[str, tuple[Model, ...]] = {
    "free": models.FREE,
    "byok": models.OWN_KEY,
    "fallback": models.ROUTED,
    "refused": models.ROUTED,
    "prompt": (models.INSTRUCT,),
    "embeddings": models.EMBEDDINGS,
    "rerank": (models.RERANK,),
    "image": (models.IMAGE,),
    "speech": (models.SPEECH,),
    "transcription": (models.TRANSCRIPTION,),
    "video": (models.VIDEO,),
    "legacy": models.LEGACY,
}


def _endpoint(rng: random.Random, model: Model, kinds: tuple[str, ...]) -> Endpoint:
    """Choose who serves the conversation: mostly the first; one's own key is for the maker's endpoint only."""
    if kinds == ("byok",):
        return model.endpoints[0]
    return skewed(rng, model.endpoints)


def _media(rng: random.Random, model: Model) -> str:
    if model.hears and chance(rng, 0.6):
        return "audio"
    return "image" if chance(rng, 0.7) else "file"


def _exchanges(
    rng: random.Random, app: App, model: Model, subject: Subject, kinds: tuple[str, ...]
) -> tuple[Exchange, ...]:
    out: list[Exchange] = []
    for turn, kind in enumerate(kinds):
        # After a tool was called, its result takes the place of a question.
        returned = bool(turn) and kinds[turn - 1] == "tools"
        media = _media(rng, model) if kind == "media" and not returned else ""
        pair = rng.randrange(len(subject.asks))
        hostile = rng.randrange(1, 4) if chance(rng, _HOSTILE_ASK) else 0
        attached = 0
        if chance(rng, _ATTACHING):
            attached = int(min(rng.lognormvariate(0.0, 1.1) * app.attached, _LONGEST_DOCUMENT)) + 8
        lengthened = 0
        if subject.more and chance(rng, _LENGTHENING):
            lengthened = int(min(rng.lognormvariate(4.4, 0.9), _LONGEST_ANSWER))
        asked = tokens_in(subject.asks[pair]) + attached + (_MEDIA_TOKENS if media else 0)
        answered = tokens_in(subject.says[pair]) + lengthened
        if hostile:
            asked += tokens_in(HOSTILE_ASKS[hostile - 1])
            answered += tokens_in(HOSTILE_ANSWERS[hostile - 1])
        if returned:
            asked = tokens_in(subject.result) + attached
        if kind == "tools":
            answered = tokens_in(subject.call) + tokens_in(subject.tool)
        reasoned = 0
        if model.reasons and chance(rng, _THINKING):
            reasoned = int(min(rng.lognormvariate(5.4, 1.0), 9000.0)) + 16
        out.append(Exchange(pair, attached, asked, lengthened, answered, reasoned, hostile, media))
    return tuple(out)
