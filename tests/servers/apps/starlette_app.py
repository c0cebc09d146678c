"""Starlette's own router, which is FastAPI's."""

from seen import note
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


async def page(request, admin=False):
    scope = request.scope
    line = note(
        request.method,
        scope["path"],
        admin,
        b",".join(value for name, value in scope["headers"] if name == b"x-session"),
        scope["scheme"],
        scope["client"][1],
        await request.body(),
        scope["headers"],
    )
    return Response(line, media_type="text/plain")


async def admin(request):
    return await page(request, admin=True)


application = Starlette(
    routes=[
        Route("/admin", admin, methods=METHODS),
        Route("/admin/{rest:path}", admin, methods=METHODS),
        Route("/{rest:path}", page, methods=METHODS),
    ]
)
