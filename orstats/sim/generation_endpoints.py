"""The endpoints of one generation: its metadata, its content and feedback on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from orstats.sim.http import Reply, Request, error_reply, json_reply
from orstats.sim.request_bodies import FEEDBACK, fits
from orstats.sim.state import Role

if TYPE_CHECKING:
    from orstats.sim.state import AccountState

FEEDBACK_CATEGORIES = (
    "latency",
    "incoherence",
    "incorrect_response",
    "formatting",
    "billing",
    "api_error",
    "other",
)


def generation(state: AccountState, request: Request, _role: Role) -> Reply:
    """Answer ``GET /generation``: the metadata of one generation, with any key of the account."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400)
    if state.out_of_credits:
        return error_reply(402)
    index = state.find(identifier)
    if index is None:
        return _not_found(state, identifier)
    return Reply(200, state.record_body(index))


def content(state: AccountState, request: Request, role: Role) -> Reply:
    """Answer ``GET /generation/content``: prompt and completion, for administrators of the organisation."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400)
    if role is Role.PLAIN:
        return error_reply(403)
    index = state.find(identifier, content=True)
    stored = state.account.content(index) if index is not None else None
    if stored is None:
        return _not_found(state, identifier)
    return json_reply(200, {"data": stored})


def _not_found(state: AccountState, identifier: str) -> Reply:
    if state.account.is_foreign(identifier):
        return error_reply(403, "This generation belongs to another user")
    return error_reply(404)


def feedback(state: AccountState, request: Request, _role: Role) -> Reply:
    """Answer ``POST /generation/feedback``: once for each generation."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return error_reply(400)
    if not fits(body, FEEDBACK) or not body.keys() >= {"generation_id", "category"}:
        return error_reply(400)
    if body["category"] not in FEEDBACK_CATEGORIES:
        return error_reply(400, f"Unknown category: {body['category']}")
    identifier: str = body["generation_id"]
    if state.find(identifier) is None:
        return _not_found(state, identifier)
    if identifier in state.rated:
        return error_reply(409)
    state.rated.add(identifier)
    return json_reply(200, {"data": {"success": True}})
