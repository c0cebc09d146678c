"""A Django app with the admin, as `startproject` makes it but for one line; rules.py says what it answers to."""

import datetime
import json
import os
import sys
import time

import django
from django.conf import settings
from django.contrib import admin, messages
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_cookie

given = {}
if os.environ.get("AGE"):
    given["SESSION_COOKIE_AGE"] = int(os.environ["AGE"])
if os.environ.get("BROWSER"):
    given["SESSION_EXPIRE_AT_BROWSER_CLOSE"] = True
settings.configure(
    **given,
    SECRET_KEY=os.environ.get("SECRET_KEY", "not used for sessions"),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DATABASE", ":memory:")}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
    ],
    MIDDLEWARE=[
        *(["django.middleware.cache.UpdateCacheMiddleware"] if os.environ.get("CACHED") else []),
        "cloakroom_django.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        *(["django.middleware.cache.FetchFromCacheMiddleware"] if os.environ.get("CACHED") else []),
    ],
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    CLOAKROOM_HEADER=os.environ.get("PREFIX", "X-Session"),
    CLOAKROOM_SESSIONLESS=["/healthz"],
    USE_TZ=True,
    STATIC_URL="/static/",
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
    },
)
django.setup()


def show(request):
    return JsonResponse(dict(request.session))


def read(request):
    return HttpResponse(len(request.session.keys()))


def put(request):
    request.session[request.GET["key"]] = json.loads(request.body)
    return HttpResponse("ok")


def public(request):
    request.session[request.GET["key"]] = 1
    return HttpResponse("ok", headers={"Cache-Control": "public, max-age=60"})


def drop(request):
    del request.session[request.GET["key"]]
    return HttpResponse("ok")


def login(request):
    request.session.cycle_key()
    request.session["user"] = request.GET["name"]
    return HttpResponse("ok")


def logout(request):
    request.session.flush()
    return HttpResponse("ok")


def bad(request):
    request.session[request.GET["key"]] = object()
    return HttpResponse("ok")


def who(request):
    return HttpResponse(f"{request.user.is_authenticated} {request.user}")


def expiry(request):
    """set_expiry() with what the query says, as Python."""
    request.session["n"] = time.time()
    allowed = {"timedelta": datetime.timedelta, "now": timezone.now()}
    request.session.set_expiry(eval(request.GET["to"], allowed))
    return HttpResponse("ok")


def key(request):
    return HttpResponse(str(request.session.session_key))


def made_key(request):
    if not request.session.session_key:
        request.session.create()
    return HttpResponse(str(request.session.session_key))


def new_key(request):
    request.session.cycle_key()
    return HttpResponse(str(request.session.session_key))


def cookie(request):
    return HttpResponse(str(settings.SESSION_COOKIE_NAME in request.COOKIES))


def test_cookie(request):
    if request.session.test_cookie_worked():
        request.session.delete_test_cookie()
        return HttpResponse("worked")
    request.session.set_test_cookie()
    return HttpResponse("set")


def message(request):
    messages.success(request, "Saved.")
    return HttpResponse("ok")


def read_messages(request):
    return JsonResponse([str(one) for one in messages.get_messages(request)], safe=False)


def nested(request):
    request.session["cart"]["hat"] = object()  # as many apps do for their templates, without `modified`
    return HttpResponse("ok")


def broken(request):
    request.session["lost"] = 1
    raise RuntimeError("broken")


def broken_log_out(request):
    request.session.flush()
    raise RuntimeError("broken")


def late(request):
    def stream():
        yield "one"
        request.session["late"] = 1
        yield "two"

    return StreamingHttpResponse(stream())


@cache_page(60)
@vary_on_cookie
def cached(request):
    return HttpResponse(request.session.get("user", "nobody"))


def kept(request):
    request.session.setdefault("secret", "known to one only")
    return HttpResponse(request.session.get("user", "nobody"))


async def asynchronous(request):
    await request.session.aset("n", await request.session.aget("n", 0) + 1)
    await request.session.acycle_key()
    return HttpResponse(await request.session.aget("n"))


async def asynchronous_end(request):
    await request.session.aflush()
    return HttpResponse("ok")


def health(request):
    return HttpResponse(request.session.get("user") if "ask" in request.GET else "well")


views = [show, read, put, public, drop, login, logout, bad, who, expiry, key, made_key, new_key, cookie, test_cookie,
         message, read_messages, nested, broken, broken_log_out, late, cached, kept, asynchronous, asynchronous_end]
urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health),
    path("set", csrf_exempt(put)),
    *(path(view.__name__, csrf_exempt(view)) for view in views),
]
app = get_wsgi_application()
asgi = get_asgi_application()

if __name__ == "__main__":
    # A data base with one administrator, Ann.
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("Ann", password=sys.argv[1])
