"""A Starlette app; rules.py says what it answers to."""

import os

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

import cloakroom_session


async def show(request):
    return JSONResponse(request.session)


async def read(request):
    return PlainTextResponse(str(len(request.session)))


async def put(request):
    request.session[request.query_params["key"]] = await request.json()
    return PlainTextResponse("ok")


async def public(request):
    request.session[request.query_params["key"]] = 1
    return PlainTextResponse("ok", headers={"Cache-Control": "public, max-age=60"})


async def drop(request):
    del request.session[request.query_params["key"]]
    return PlainTextResponse("ok")


async def login(request):
    request.session.regenerate()
    request.session["user"] = request.query_params["name"]
    return PlainTextResponse("ok")


async def logout(request):
    request.session.clear()
    return PlainTextResponse("ok")


async def bad(request):
    request.session[request.query_params["key"]] = object()
    return PlainTextResponse("ok")


async def late(request):
    return PlainTextResponse("ok", background=BackgroundTask(request.session.update, late=1))


async def events(request):
    request.session["begun"] = 1

    async def stream():
        yield "one"
        request.session["late"] = 1
        yield "two"

    return StreamingResponse(stream())


async def socket(websocket):
    websocket.session["socket"] = websocket.session.get("socket", 0) + 1
    await websocket.accept()
    await websocket.send_text(str(websocket.session["socket"]))
    await websocket.close()


async def health(request):
    return PlainTextResponse("well")


routes = [
    Route("/show", show),
    Route("/read", read),
    Route("/set", put, methods=["POST"]),
    Route("/public", public, methods=["POST"]),
    Route("/drop", drop, methods=["POST"]),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/bad", bad, methods=["POST"]),
    Route("/late", late),
    Route("/events", events),
    Route("/healthz", health),
    WebSocketRoute("/socket", socket),
]
app = cloakroom_session.ASGISessions(
    Starlette(routes=routes), header=os.environ.get("PREFIX", "X-Session"), sessionless=["/healthz"]
)
