"""The card of one generation: facts, completion, conversation. Content is loaded on request, failures are shown."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

import orjson

from orstats.api.client import Client
from orstats.content.content import Content
from orstats.content.generation import Generation, get_or_failed
from orstats.content.html_card import static_card
from orstats.errors import OrstatsError
from orstats.fetching.arguments import ArchiveChoice
from orstats.notebook.conversation import Conversation
from orstats.notebook.feedback import Feedback
from orstats.notebook.html.base import action, notice, spinner
from orstats.notebook.html.card import details, head
from orstats.notebook.html.content import (
    folded,
    jumps,
    raw_json,
    reasoning,
    section,
    stored_error,
)
from orstats.notebook.loading import MAY_CHANGE, Attempt, CancelledError, Waiting
from orstats.notebook.pane import Pane
from orstats.notebook.widgets import failure, in_thread
from orstats.text.sanitize import Html

if TYPE_CHECKING:
    import pandas as pd

    from orstats.notebook.session import Session

_SESSION_LINK: Final = action("session", "Show its session")


class Card(Pane):
    """One generation as a widget. Creating it sends no request; its button loads the content, once.

    Where widgets are not kept (exported notebooks, repository pages), its static form is shown: the record without any
    content. Its repr has no content. Saving the state of widgets in a notebook (nbclient does unless
    ``store_widget_state=False``, JupyterLab only if its setting is on) saves loaded content, too.

    Attributes
    ----------
    generation
        The generation shown.
    content
        The loaded content; None before.
    """

    def __init__(
        self,
        generation: Generation,
        *,
        client: Client | None = None,
        archive: ArchiveChoice = None,
        frame: pd.DataFrame | None = None,
        session: Session | None = None,
        zone: str = "UTC",
    ) -> None:
        super().__init__()
        self._client, self._archive, self._frame, self._zone = client, archive, frame, zone
        self._session = session
        self._session_link = _SESSION_LINK
        self._loading = threading.Lock()
        self._attempt: Attempt | None = None
        self._open(generation)

    def _open(self, generation: Generation) -> None:
        self._abandon()
        self.generation = generation if self._zone == "UTC" else generation.in_zone(self._zone)
        self.content: Content | None = None
        self._conversation: Conversation | None = None
        self._feedback = Feedback(self.generation.id, self._client, self._refresh)
        self._offer_loading()

    def __repr__(self) -> str:
        session = "" if self._session is None else f"{self._session!r}, open: "
        return f"Card({session}{self.generation!r})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if data is None:  # there is no front end to show it
            return bundle
        return data | {"text/plain": repr(self), "text/html": self._static()}, metadata

    def _static(self) -> Html:
        return static_card(self.generation) if self._session is None else self._session.static()

    def receive(self, action: str, message: Mapping[str, Any]) -> None:
        """Do what a button of the card asks for."""
        value = str(message.get("value", ""))
        if action in ("session", "open", "list"):
            self._move(action, value)
        elif action == "load":
            in_thread(self.load_content)
        elif action == "cancel":
            self.cancel()
        elif action == "feedback":
            self._feedback.send(value, str(message.get("comment") or ""))
        elif self._conversation is not None and action in ("search", "page", "fold", "format"):
            if action == "page":
                self._conversation.turn_page(-1 if value == "-1" else 1)
            else:
                getattr(self._conversation, action)(value)
            self._refresh()

    def _move(self, action: str, value: str) -> None:
        """Show the session of the generation, another generation of it, or another page of its list."""
        if action == "session":
            self._show_session()
        elif self._session is not None and action == "open" and value.isdecimal():
            generation = self._session.select(int(value))
            if generation is not None:
                self._open(generation)
        elif self._session is not None and action == "list":
            self._session.turn_page(-1 if value == "-1" else 1)
            self._refresh()

    def _show_session(self) -> None:
        """Show the session of the generation: its rows in the DataFrame or, without one, in the archive."""
        session_id, frame = self.generation.session_id, self._frame
        if session_id is None:
            return
        if frame is not None:
            self._open_session(session_id, lambda: frame)
            return
        self._session_link = spinner("Reading the archive…", elapsed_s=0.0)
        self._refresh()

        def rows() -> pd.DataFrame:
            from orstats.notebook.archived import rows_of_session  # noqa: PLC0415 - loads pandas

            return rows_of_session(session_id, self._client, self._archive)

        in_thread(lambda: self._open_session(session_id, rows, "Only generations in the archive are shown."))

    def _open_session(self, session_id: str, rows: Callable[[], pd.DataFrame], note: str = "") -> None:
        from orstats.notebook.session import Session  # noqa: PLC0415 - loads pandas

        try:
            session = Session(rows(), session_id, client=self._client, archive=self._archive, note=note)
            session.find(self.generation.id)
        except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
            self._session_link = Html(_SESSION_LINK + failure("show the session", error))
        else:
            self._session = session
        if self.comm is not None:  # not closed meanwhile
            self._refresh()

    def load_content(self) -> None:
        """Load the content and show it, or say why there is none. Never raises; does nothing once it is loaded."""
        with self._loading:
            if self.content is not None:
                return
            generation = self.generation
            attempt = self._attempt = Attempt(
                "Loading stored prompt and completion…", lambda waiting: self._show_attempt(attempt, waiting)
            )
            try:
                with attempt:
                    content = generation.content()
            except CancelledError:
                return
            except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
                if self._attempt is attempt:
                    self._attempt = None
                    self._offer_loading(failure("load the content", error))
                return
            if self._attempt is attempt:
                self.content = content
                self._attempt = None
                if self.comm is not None:  # not closed meanwhile
                    self._show_content(content)

    def cancel(self) -> None:
        """Stop waiting for the content. A request that is under way is not repeated, and its result is ignored."""
        if self._abandon():
            self._offer_loading(notice("Cancelled."))

    def _abandon(self) -> bool:
        """Ignore the result of the attempt that is under way, and say whether there was one."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancelled = True
        return attempt is not None

    def _show_attempt(self, attempt: Attempt, waiting: Waiting) -> None:
        if self._attempt is attempt:
            problem = notice(waiting.problem, "warn") if waiting.problem else ""
            wheel = spinner(waiting.text, elapsed_s=waiting.elapsed_s)
            self._status = Html(f"{problem}{wheel}{action('cancel', 'Cancel')}")
            self._refresh()

    def _offer_loading(self, reason: Html | None = None) -> None:
        """Show the button that loads the content, after the reason why the last attempt had none."""
        label = "Load prompt and completion" if reason is None else "Try again"
        self._status = Html(f"{reason or ''}{action('load', label)}")
        self._refresh()

    def _show_content(self, content: Content) -> None:
        if content.status == "stored":
            self._status = Html("")
            self._conversation = Conversation(content, self.generation.finish_reason)
            self._refresh()
            return
        reason = notice(f"No content: {content.status}. {content.reason}", "warn")
        if content.status in MAY_CHANGE:
            self.content = None
            self._offer_loading(reason)
        else:
            self._status = reason
            self._refresh()

    def _refresh(self) -> None:
        self.show(self._all_parts())

    def _all_parts(self) -> dict[str, Html]:
        generation, conversation = self.generation, self._conversation
        parts = {} if self._session is None else self._session.parts()
        parts["head"] = head(generation)
        shown = None if self._session is None else self._session.session_id
        if generation.session_id is not None and generation.session_id != shown:
            parts["session link"] = self._session_link
        if generation.fetch_status != "ok":
            return parts
        stored: dict[str, Any] = {}
        texts: dict[str, Html] = {}
        if conversation is not None and self.content is not None:
            stored = {"content": orjson.loads(self.content.raw)}
            if self.content.error is not None:
                texts["error"] = section("Error", stored_error(self.content.error))
            texts |= conversation.completion()
            if self.content.reasoning:
                texts["reasoning"] = folded("Reasoning", reasoning(self.content.reasoning))
            texts |= conversation.messages()
        targets: list[tuple[str, str]] = [
            (name, name) for name in ("completion", "reasoning", "error") if name in texts
        ]
        if conversation is not None and (prompt := conversation.last_prompt):
            targets.insert(0, ("prompt", prompt))
        raw = {"record": dataclasses.asdict(generation)} | stored
        parts |= {"jumps": jumps(targets), "status": self._status} | texts
        parts["details"] = folded("Caller and ids", details(generation))
        parts["raw"] = folded("Raw JSON", raw_json(raw))
        return parts | self._feedback.parts()


def view(
    generation_id: str, *, client: Client | None = None, archive: ArchiveChoice = None, tz: str | tzinfo = "UTC"
) -> Card:
    """Show one generation as a card, in a notebook.

    The record is loaded immediately, prompt and completion only when the card's button is pressed. Failures (an unknown
    id, no key, the API not available) are shown in the card and do not break the cell.

    Parameters
    ----------
    generation_id : str
        The id.
    client : Client, optional
        The client for all requests. Default: one made from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where settled records are kept, as in :func:`orstats.fetch`. *Show its session* reads the session's records
        from it.
    tz : str or tzinfo
        The time zone in which times are shown, such as ``"Europe/Berlin"``.

    Returns
    -------
    Card
        A widget, with ``.generation`` and, once loaded, ``.content``.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim:
    ...     card = orstats.view(sim.unknown_ids(1, age=3600)[0], client=sim.client())
    >>> card.generation.fetch_status
    'not_found'
    """
    zone = "UTC"
    if tz != zone:
        from orstats.text.time_zones import zone_of  # noqa: PLC0415 - loads pandas

        zone = zone_of(tz)
    try:
        generation, _ = get_or_failed(generation_id, client=client, archive=archive)
    except OrstatsError as error:  # before a request: no key, an unreadable archive
        generation = Generation(str(generation_id), fetch_status="not_attempted", error=str(error))
    card = Card(generation, client=client, archive=archive, zone=zone)
    return card.for_running_cell()
